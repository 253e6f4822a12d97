/**
 * The plugin `admin`: a node's HTTP endpoint for people, scripts and the
 * command line.
 *
 * Theory of operation. It listens on loopback and asks for a bearer token,
 * always: the token is configured, or stands in a file that `mycnet init`
 * made, or is made here on first start. Beyond loopback it listens only when
 * told `insecure: true`, since HTTP shows the token to whoever is on the path.
 * Other plugins hang groups of routes on it by contributing `adminRoutes`; it
 * needs none of them, and neither do they need it. Whatever it tells is read
 * when asked. Where it listens is noted in the state folder, by which the
 * command line finds the node. With `listen: false` it is a pure application.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { type Admin, admin, adminRoutes } from "../contracts/admin.ts";
import { nodeControl } from "../contracts/node.ts";
import { memberStates, peers } from "../contracts/peers.ts";
import { services } from "../contracts/services.ts";
import { type Settings, settings } from "../contracts/settings.ts";
import { transport } from "../contracts/transport.ts";
import { definePlugin } from "../kernel/define_plugin.ts";
import type { Host } from "../kernel/host.ts";
import { live, type LiveList, type Plugin } from "../kernel/plugin.ts";
import { ignoreFolder } from "../node/identity/files.ts";
import { formatHostPort, type HostPort, isWildcard, parseHostPort } from "../node/net/address.ts";
import { bindField } from "../node/net/field.ts";
import { memberState } from "../node/member_state.ts";
import { AdminApp } from "./app.ts";
import {
  adminNotePath,
  adminTokenPath,
  isToken,
  loadToken,
  makeToken,
  noteAddress,
} from "./files.ts";
import { hostCheck, isLoopback, tokenCheck } from "./guard.ts";
import { eventsRoute } from "./events.ts";
import { routes } from "./routes.ts";
import { serve } from "./server.ts";
import type { NodeView } from "./views.ts";

const config = z.strictObject({
  bindAddress: bindField().default("127.0.0.1:7080")
    .describe("Where to listen; port 0 for any free one."),
  insecure: z.boolean().default(false)
    .describe("Allow an address beyond loopback, where the token can be read on its way."),
  allowedHosts: z.array(z.string().max(253)).max(32).default([])
    .describe("Names besides localhost by which the endpoint may be asked."),
  token: z.string()
    .refine(isToken, "must be 16 to 512 letters, digits and -._~+/=")
    .optional()
    .describe("The bearer token. Better kept in a file."),
  tokenPath: z.string().optional()
    .describe("The file that holds the token. Default: admin.token in the node's state folder."),
  listen: z.boolean().default(true)
    .describe("False: answer within the process only."),
}).superRefine(({ bindAddress, insecure, listen }, context) => {
  if (!listen || insecure) return;
  const { host } = parseHostPort(bindAddress);
  if (isLoopback(host)) return;
  context.addIssue({
    code: "custom",
    path: ["bindAddress"],
    message: `${bindAddress} is not loopback and admin speaks plain HTTP; ` +
      "set insecure to true, or put a proxy with TLS in front of loopback",
  });
});

/** The token by the configuration, the file, or chance. */
async function tokenOf(
  host: Host,
  { token, tokenPath, listen }: z.output<typeof config>,
  { stateDir, baseDir, id }: Settings,
): Promise<string> {
  if (token !== undefined) return token;
  if (tokenPath !== undefined) return await loadToken(host, resolve(baseDir, tokenPath));
  // Without a socket nobody comes from outside, and the simulator has no files.
  if (!listen) return makeToken(host);
  const own = await loadToken(host, adminTokenPath(stateDir, id));
  await ignoreFolder(stateDir);
  return own;
}

/** The first of a list that changes. */
function first<T>(list: LiveList<T>): T | undefined {
  for (const value of list) return value;
  return undefined;
}

/** A wildcard is no address to dial; from this machine loopback reaches it. */
function reachable({ host, port }: HostPort): string {
  const loopback = host.includes(":") ? "::1" : "127.0.0.1";
  return formatHostPort(isWildcard(host) ? loopback : host, port);
}

/** The plugin. */
export const adminPlugin: Plugin<Admin> = definePlugin({
  name: "admin",
  summary: "HTTP endpoint on loopback: health, peers, topology, and what plugins hang on it.",
  provides: admin,
  needs: {
    settings,
    control: nodeControl,
    peers: live(peers),
    services: live(services),
    transports: live(transport),
    routes: live(adminRoutes),
    states: live(memberStates),
  },
  config,
  permissions: ({ bindAddress, listen, tokenPath }) => ({
    ...(listen ? { net: [bindAddress] } : {}),
    ...(tokenPath === undefined ? {} : { read: [tokenPath], write: [tokenPath] }),
  }),
  async setup(scope) {
    const { host, needs, config } = scope;
    const { host: named, port } = parseHostPort(config.bindAddress);
    const bind = { host: named === "" ? "0.0.0.0" : named, port };
    const token = await tokenOf(host, config, needs.settings);
    const view: NodeView = {
      settings: needs.settings,
      control: needs.control,
      wallTime: () => host.wallTime(),
      peers: () => first(needs.peers),
      services: () => first(needs.services),
      addresses: () => [...needs.transports].flatMap((it) => it.addresses),
    };
    const app = new AdminApp({
      control: needs.control,
      routes: [
        ...routes(view, host.log),
        eventsRoute({
          host,
          stateOf: (id) => memberState(needs.states, id),
          signal: scope.signal,
        }),
      ],
      checkHost: hostCheck(config.listen ? bind.host : "localhost", config.allowedHosts),
      checkToken: tokenCheck(token),
      log: host.log,
    });
    scope.own(needs.routes.each((group, plugin) => app.add(group, plugin)));
    const fetch = (request: Request) => app.fetch(request);
    if (!config.listen) return { address: undefined, fetch };

    const served = scope.own(serve(host, bind, fetch));
    const address = `http://${reachable(served.bound)}`;
    const { stateDir, id } = needs.settings;
    scope.own(
      await noteAddress(adminNotePath(stateDir, id), {
        address,
        pid: Deno.pid,
        startedAt: needs.control.startedAt,
      }),
    );
    host.log.info("Admin listens", { address });
    return { address, fetch };
  },
});

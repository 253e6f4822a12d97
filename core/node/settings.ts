/**
 * Settings: `mycnet.node` and `mycnet.profiles`, parsed, with what is left out
 * filled in from the state folder that `mycnet init` made.
 *
 * It is a plugin like the others, so that a changed setting restarts exactly
 * what reads settings, and so that plugins ask for it by capability.
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { type Settings, settings } from "../contracts/settings.ts";
import { definePlugin } from "../kernel/define_plugin.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { Plugin } from "../kernel/plugin.ts";
import { duration } from "../kernel/config.ts";
import { nodeTypes } from "@mycnet/protocols/identity";
import { overridesSchema } from "./profile_overrides.ts";

const name = z.string().regex(/^[a-z0-9._-]{1,63}$/, "must match [a-z0-9._-]{1,63}");
const address = z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]*):\d{1,5}$/, "must be host:port");

/** The schema of `mycnet.node`. */
export const nodeSettings = z.strictObject({
  id: name.optional()
    .describe("The node's id. Default: the one node of the state folder, else the host's name."),
  type: z.enum(nodeTypes as ["sclerotia", "rhizomorph", "hyphae"]).optional()
    .describe("Full node, semi-node or client. Default: as issued, else sclerotia."),
  cluster: name.optional()
    .describe("The cluster's id. Default: that of the state folder, else local."),
  bindAddress: z.union([address, z.literal(false)]).optional()
    .describe("Where transports listen; false for nowhere. Default 0.0.0.0:7000; hyphae: false."),
  advertiseAddress: address.optional().describe("How other nodes reach this one."),
  datacenter: z.string().max(63).optional(),
  rack: z.string().max(63).optional(),
  capacity: z.strictObject({
    cpus: z.number().positive().optional(),
    memoryBytes: z.number().nonnegative().optional(),
    diskBytes: z.number().nonnegative().optional(),
  }).optional().describe("What the node can hold and do."),
  metadata: z.record(z.string().max(63), z.string().max(255))
    .refine((it) => Object.keys(it).length <= 32, "at most 32 labels").default({})
    .describe("Free-form labels."),
  maxConnections: z.int().min(1).max(100_000).default(1000).describe("Links in all."),
  connectionTimeout: duration("5s").describe("For dialling and for the handshake."),
  stateDir: z.string().default(".mycnet")
    .describe("Where keys and what must survive a restart are kept."),
});

/** What `settings` is configured with: the two parts of the key that are the node's own. */
export const settingsConfig = z.strictObject({
  node: nodeSettings.prefault({ connectionTimeout: undefined }),
  profiles: overridesSchema.default({}),
  baseDir: z.string(),
});

/** What a state folder says about the node, as far as it exists. */
async function readState(
  stateDir: string,
  id: string | undefined,
): Promise<{ cluster?: string; id?: string; type?: string }> {
  const readJson = async (path: string): Promise<Record<string, unknown> | undefined> => {
    try {
      return JSON.parse(await Deno.readTextFile(path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw new MycnetError("config_unreadable", `${path}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  };
  const cluster = (await readJson(join(stateDir, "cluster.json")))?.cluster as string | undefined;
  if (id === undefined) {
    const ids: string[] = [];
    try {
      for await (const entry of Deno.readDir(join(stateDir, "nodes"))) ids.push(entry.name);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (ids.length > 1) {
      throw new MycnetError(
        "config_invalid",
        `node.id: ${stateDir} holds ${ids.length} nodes (${
          ids.sort().slice(0, 5).join(", ")
        }); say which one this is`,
      );
    }
    id = ids[0];
  }
  const type = id === undefined
    ? undefined
    : (await readJson(join(stateDir, "nodes", id, "node.json")))?.type as string | undefined;
  return {
    ...(cluster === undefined ? {} : { cluster }),
    ...(id === undefined ? {} : { id }),
    ...(type === undefined ? {} : { type }),
  };
}

/** The host's name as a node id. */
function hostId(): string {
  const host = Deno.hostname().toLowerCase().replaceAll(/[^a-z0-9._-]/g, "-").slice(0, 63);
  return host === "" ? "node" : host;
}

/** The plugin; always present, configured by createNode. */
export const settingsPlugin: Plugin<Settings> = definePlugin({
  name: "settings",
  summary: "The node's own settings.",
  provides: settings,
  needs: {},
  config: settingsConfig,
  permissions: ({ node, baseDir }) => ({
    read: [resolve(baseDir, node.stateDir)],
    write: [resolve(baseDir, node.stateDir)],
    ...(node.id === undefined ? { sys: ["hostname"] } : {}),
  }),
  async setup({ config: { node, profiles, baseDir } }) {
    const stateDir = resolve(baseDir, node.stateDir);
    const complete = node.id !== undefined && node.cluster !== undefined && node.type !== undefined;
    const state = complete ? {} : await readState(stateDir, node.id);
    const type = node.type ?? (state.type as Settings["type"] | undefined) ?? "sclerotia";
    const bindAddress = node.bindAddress ?? (type === "hyphae" ? false : "0.0.0.0:7000");
    return {
      id: node.id ?? state.id ?? hostId(),
      type,
      cluster: node.cluster ?? state.cluster ?? "local",
      bindAddress: bindAddress === false ? undefined : bindAddress,
      advertiseAddress: node.advertiseAddress,
      datacenter: node.datacenter,
      rack: node.rack,
      capacity: node.capacity as Settings["capacity"],
      metadata: node.metadata,
      maxConnections: node.maxConnections,
      connectionTimeoutMs: node.connectionTimeout,
      stateDir,
      baseDir,
      profiles,
    };
  },
});

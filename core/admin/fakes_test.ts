/** What the tests of admin and of what hangs on it share: a node without a network. */
import { type AdminRoutes, adminRoutes } from "../contracts/admin.ts";
import { type NodeHealth } from "../contracts/health.ts";
import { type JoinOutcome, type NodeControl, nodeControl } from "../contracts/node.ts";
import { type PeerInfo, type Peers, peers as peersToken } from "../contracts/peers.ts";
import { type Services, services as servicesToken } from "../contracts/services.ts";
import { type Settings, settings as settingsToken } from "../contracts/settings.ts";
import { type Admin, admin } from "../contracts/admin.ts";
import {
  capability,
  createHost,
  definePlugin,
  type Entry,
  Kernel,
  type LogFields,
  type Plugin,
  providePlugin,
} from "../kernel/mod.ts";
import { z } from "zod";
import { adminPlugin } from "./plugin.ts";

/** The token of every test. */
export const token = "0123456789abcdef-test";

/** A peer that is alive, with one link, except for what is said. */
export function peer(id: string, other: Partial<PeerInfo> = {}): PeerInfo {
  return {
    id,
    type: "sclerotia",
    cluster: "test",
    generation: 1,
    version: "0.1.0",
    state: "alive",
    health: "healthy",
    addresses: [`tls://${id}:7000`],
    lastSeen: 5,
    links: [{
      id: `${id}-1`,
      transport: "tls",
      localAddress: "127.0.0.1:1",
      remoteAddress: "127.0.0.1:2",
      direction: "dialled",
      state: "up",
      health: "healthy",
      roundTripMs: 2,
      profile: {
        wanted: {
          name: "high-performance",
          encryption: "standard",
          compression: "low",
          compressions: ["none"],
          reliability: "high",
          validation: "strict",
          negotiationEnabled: false,
        },
        inForce: { encryption: "standard", compression: "none", reliability: "best-effort" },
      },
      since: 1,
      bytesSent: 10,
      bytesReceived: 20,
      messagesSent: 1,
      messagesReceived: 2,
      exchanges: 3,
    }],
    ...other,
  };
}

/** Peers that were told to a test. */
export class FakePeers {
  readonly known: PeerInfo[] = [];

  asPeers(): Peers {
    const fake: Partial<Peers> = {
      list: () => this.known,
      get: (id) => this.known.find((it) => it.id === id),
      links: () => [],
    };
    return fake as Peers;
  }
}

/** What a test may change while the node runs. */
export class FakeNode {
  readonly peers = new FakePeers();
  readonly logged: { level: string; message: string; fields: LogFields }[] = [];
  readonly left: string[] = [];
  /** Which seeds answer, and who answers there. */
  readonly reachable = new Map<string, string>();
  ready = true;
  health: NodeHealth = { status: "healthy", reasons: [], reports: {} };
  services: Partial<Services> = { list: () => [] };
  stateDir = "/nonexistent";

  control(): NodeControl {
    return Object.defineProperties({} as NodeControl, {
      runtimeVersion: { value: "0.1.0" },
      startedAt: { value: 1000 },
      ready: { get: () => this.ready },
      leaving: { get: () => this.left.length > 0 },
      health: { value: () => this.health },
      metrics: { value: () => ({ communication: { messages_sent: 7 } }) },
      plugins: {
        value: () => [{ id: "tls", plugin: "tls", provides: "transport", startMs: 1.5 }],
      },
      join: {
        value: (seeds: readonly string[]) =>
          Promise.resolve(seeds.map((address): JoinOutcome => {
            const id = this.reachable.get(address);
            return id === undefined
              ? {
                address,
                ok: false,
                code: "unreachable",
                message: `nothing answers at ${address}`,
              }
              : { address, ok: true, node: peer(id) };
          })),
      },
      leave: {
        value: (reason: string) => {
          this.left.push(reason);
          return Promise.resolve();
        },
      },
    });
  }

  settings(): Settings {
    return {
      id: "a",
      type: "sclerotia",
      cluster: "test",
      bindAddress: undefined,
      advertiseAddress: "a.example:7000",
      datacenter: "ams",
      rack: undefined,
      capacity: undefined,
      metadata: {},
      maxConnections: 10,
      connectionTimeoutMs: 100,
      stateDir: this.stateDir,
      baseDir: this.stateDir,
      profiles: {},
    } as unknown as Settings;
  }
}

/** A plugin that hangs one group of routes on admin. */
export function routesPlugin(name: string, group: AdminRoutes): Plugin<AdminRoutes> {
  return definePlugin({
    name,
    summary: "Routes of a test.",
    provides: capability<AdminRoutes>(`test.${name}`),
    needs: {},
    config: z.strictObject({}),
    setup(scope) {
      scope.contribute(adminRoutes, group);
      return group;
    },
  });
}

/** A node with an admin endpoint, and whatever plugins a test adds. */
export class AdminFixture implements AsyncDisposable {
  readonly node = new FakeNode();
  readonly kernel = new Kernel(createHost({
    log: (level, message, fields) => void this.node.logged.push({ level, message, fields }),
  }));
  readonly #parts: Entry[] = [];

  /** Makes the node run with these plugins beside admin. */
  async run(config: object, more: readonly Entry[] = []): Promise<Admin> {
    if (this.#parts.length === 0) {
      const { node } = this;
      const services: Services = {
        list: () => node.services.list!(),
        records: () => [],
        appears: (...args) => node.services.appears!(...args),
        call: (...args) => node.services.call!(...args),
        stream: (...args) => node.services.stream!(...args),
      };
      this.#parts.push(
        { id: "settings", plugin: providePlugin("settings", settingsToken, node.settings()) },
        { id: "node", plugin: providePlugin("node", nodeControl, node.control()) },
        { id: "peers", plugin: providePlugin("peers", peersToken, node.peers.asPeers()) },
        { id: "services", plugin: providePlugin("services", servicesToken, services) },
      );
    }
    await this.kernel.apply([
      ...this.#parts,
      { id: "admin", plugin: adminPlugin, config },
      ...more,
    ]);
    return this.kernel.get(admin);
  }

  /** {@linkcode run} as a pure application. */
  runPure(more: readonly Entry[] = [], config: object = {}): Promise<Admin> {
    return this.run({ listen: false, token, ...config }, more);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kernel.stop();
  }
}

/** Asks with the token. */
export function ask(app: Admin, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("authorization")) headers.set("authorization", `Bearer ${token}`);
  return app.fetch(new Request(`http://localhost${path}`, { ...init, headers }));
}

/** A JSON body. */
export function post(body: unknown): RequestInit {
  return {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json" },
  };
}

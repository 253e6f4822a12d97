/**
 * Clusters of real processes for the tests of this folder: a state folder with
 * everybody's certificates, a configuration file a node, and `mycnet` itself.
 */
import { fileURLToPath } from "node:url";
import { initCluster, type NewNode } from "../../core/node/identity/authority.ts";
import { createHost } from "../../core/kernel/mod.ts";
import { freePort } from "../harness/ports.ts";
import {
  type Child,
  type ChildOptions,
  nodeArguments,
  patienceMs,
  rootPath,
  startDeno,
  type Started,
  started,
  taskPermissions,
  tempFolder,
} from "../harness/processes.ts";

/** The path of a plugin beside this file. */
export function pluginPath(name: "greeter" | "load" | "watch"): string {
  return fileURLToPath(new URL(`${name}.ts`, import.meta.url));
}

/** A node that runs. */
export interface RunningProcess extends AsyncDisposable {
  readonly child: Child;
  readonly id: string;
  readonly admin: string;
  readonly token: string;
  readonly addresses: readonly string[];
}

/** What a node is declared with, besides what every node here has. */
export interface Declared {
  readonly node?: Readonly<Record<string, unknown>>;
  readonly plugins?: Readonly<Record<string, unknown>>;
}

/** A cluster's folder. */
export class TestCluster implements AsyncDisposable {
  readonly folder: string;
  readonly stateDir: string;
  readonly #gone: AsyncDisposable;
  readonly #ports = new Map<string, number>();

  private constructor(folder: string, gone: AsyncDisposable) {
    this.folder = folder;
    this.stateDir = `${folder}/.mycnet`;
    this.#gone = gone;
  }

  /** Makes a cluster called `test` with keys for its nodes, issued at `issuedAt` (default now). */
  static async create(nodes: readonly NewNode[], issuedAt?: number): Promise<TestCluster> {
    const folder = await tempFolder();
    const cluster = new TestCluster(folder.path, folder);
    const host = createHost();
    await initCluster({
      stateDir: cluster.stateDir,
      cluster: "test",
      nodes,
      host: {
        wallTime: () => issuedAt ?? host.wallTime(),
        randomBytes: (length) => host.randomBytes(length),
      },
    });
    return cluster;
  }

  /** Where a node listens: the same at each of its starts. */
  address(id: string): string {
    let port = this.#ports.get(id);
    if (port === undefined) this.#ports.set(id, port = freePort());
    return `127.0.0.1:${port}`;
  }

  /** The path of a node's configuration. */
  configPath(id: string): string {
    return `${this.folder}/${id}.json`;
  }

  /** Writes a node's configuration, linked to `seeds`. */
  async declare(id: string, seeds: readonly string[], declared: Declared = {}): Promise<void> {
    const mycnet = {
      node: { id, bindAddress: this.address(id), stateDir: ".mycnet", ...declared.node },
      plugins: {
        static: { seeds: seeds.map((it) => ({ id: it, address: this.address(it) })) },
        admin: { bindAddress: "127.0.0.1:0" },
        greeter: { use: pluginPath("greeter") },
        swim: false, // Most tests here are of links; those of gossip declare it.
        ...declared.plugins,
      },
    };
    await Deno.writeTextFile(this.configPath(id), JSON.stringify({ mycnet }, undefined, 2));
  }

  /** Starts `mycnet node` with a node's configuration and waits until it is up. */
  async start(id: string, options: ChildOptions = {}): Promise<RunningProcess> {
    return await running(startNode(this.configPath(id), options), this.stateDir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gone[Symbol.asyncDispose]();
  }
}

/** Starts `mycnet node`. */
export function startNode(config: string, options: ChildOptions = {}): Child {
  const flags = ["--quiet", "--no-prompt", ...taskPermissions("node")];
  return startDeno(
    ["run", ...flags, `${rootPath}mod.ts`, ...nodeArguments, "--config", config],
    options,
  );
}

/** Waits until a node is up. */
export async function running(child: Child, stateDir: string): Promise<RunningProcess> {
  let said: Started;
  try {
    said = await started(child);
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
  const { id, admin, addresses } = said;
  const token = (await Deno.readTextFile(`${stateDir}/nodes/${id}/admin.token`)).trim();
  return {
    child,
    id,
    admin,
    token,
    addresses,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

/** Asks a node's endpoint with its token. */
export function ask(node: RunningProcess, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${node.admin}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${node.token}`, ...init.headers },
  });
}

/** Waits until a node's directory names a service. Nothing announces that to the outside: look until it shows. */
export async function served(node: RunningProcess, service: string): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (true) {
    const { services } = await (await ask(node, "/services")).json();
    if (services.some((it: { name: string }) => it.name === service)) return;
    if (performance.now() > deadline) throw new Error(`${node.id} never heard of ${service}`);
    await new Promise((resume) => setTimeout(resume, 10));
  }
}

/** A log line of a node. */
export type LogLine = Readonly<Record<string, unknown>>;

/** Waits for a log line with this message, and these fields if any are named. */
export function logged(
  { child }: { readonly child: Child },
  message: string,
  fields: LogLine = {},
): Promise<LogLine> {
  const wanted = Object.entries(fields);
  return child.log(
    `the log line ${JSON.stringify({ message, ...fields })}`,
    (line) =>
      line.message === message && wanted.every(([key, value]) => line[key] === value)
        ? line
        : undefined,
  );
}

/** The log lines so far. */
export function logLines({ child }: { readonly child: Child }): LogLine[] {
  return child.stderr.filter((it) => it.startsWith("{")).map((it) => JSON.parse(it));
}

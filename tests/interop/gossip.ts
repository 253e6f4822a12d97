/** Nodes of this runtime that gossip on real sockets inside a test, and waiting for what they see. */
import {
  createNode,
  type Member,
  type MemberEvent,
  type Membership,
  type Node,
  type NodeOptions,
} from "../../mod.ts";
import { patienceMs } from "../harness/processes.ts";

/** How a node is started. */
export interface GossipOptions {
  readonly id: string;
  /** Where it keeps what a restart must not forget. */
  readonly stateDir: string;
  readonly key?: string;
  readonly join?: readonly string[];
  readonly tags?: Readonly<Record<string, string>>;
  /** Laid over the plugin's configuration. */
  readonly swim?: Readonly<Record<string, unknown>>;
  readonly node?: Readonly<Record<string, unknown>>;
  /** Default: an endpoint within the process. */
  readonly admin?: Readonly<Record<string, unknown>>;
  /** Hears what it logs. Default: nobody. */
  readonly log?: NonNullable<NodeOptions["log"]>;
}

/** Starts a node on loopback whose links are plain TCP and whose gossip is as asked. */
export function startGossiping(options: GossipOptions): Promise<Node> {
  const {
    id,
    stateDir,
    key,
    join = [],
    tags = {},
    swim = {},
    node = {},
    admin = { listen: false },
    log = () => {},
  } = options;
  return createNode({
    config: false,
    log,
    node: { id, cluster: "test", stateDir, bindAddress: "127.0.0.1:0", ...node },
    plugins: {
      "identity": { insecure: true },
      "tls": false,
      "tcp": { insecure: true },
      admin,
      "http-gateway": false,
      "sockets": {},
      "file": {},
      "swim": {
        bindAddress: "127.0.0.1:0",
        reconnectInterval: "1s",
        join,
        tags,
        ...(key === undefined ? { insecure: true } : { encryptKey: key }),
        ...swim,
      },
    },
  });
}

/** Where a node gossips. */
export function gossipAddress(node: Node): string {
  return node.membership!.member(node.id)!.address;
}

/** The state of a member as a node sees it. */
export function stateAt(node: Node, id: string): string | undefined {
  return node.membership!.member(id)?.state;
}

/** Members by state, e.g. `{ alive: ["a", "b"] }`. */
export function byState(node: Node): Record<string, string[]> {
  const groups: Record<string, string[]> = {};
  for (const { id, state } of node.membership!.members()) (groups[state] ??= []).push(id);
  for (const ids of Object.values(groups)) ids.sort();
  return groups;
}

/**
 * Waits until something holds, looking again whenever a member changes.
 * @throws when patience runs out, naming what was waited for and what was seen.
 */
export async function until(
  node: Node,
  what: string,
  wanted: (members: readonly Member[]) => boolean,
): Promise<void> {
  await changes(node.membership!, what, () => wanted(node.membership!.members()) || undefined);
}

/** Waits for a change of a member. */
export async function change(
  node: Node,
  what: string,
  wanted: (event: MemberEvent) => boolean,
): Promise<MemberEvent> {
  return await changes(
    node.membership!,
    what,
    (event) => event !== undefined && wanted(event) ? event : undefined,
  );
}

async function changes<T>(
  membership: Membership,
  what: string,
  look: (event: MemberEvent | undefined) => T | undefined,
): Promise<T> {
  const found = look(undefined);
  if (found !== undefined) return found;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => {
    const seen = membership.members().map((it) =>
      `${it.id} ${it.state} ${JSON.stringify(it.tags)}`
    );
    reject(new Error(`in vain: ${what}\n${seen.join("\n")}`));
  }, patienceMs);
  using _hearing = membership.onMember((event) => {
    const found = look(event);
    if (found !== undefined) resolve(found);
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until something shows that nothing announces. */
export async function shows(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`in vain: ${what}`);
    await new Promise((resume) => setTimeout(resume, 10));
  }
}

/** All that an async iterable yields. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

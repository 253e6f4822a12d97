/** What the tests of membership among real processes ask nodes and their logs. */
import type { Member } from "../../core/contracts/membership.ts";
import { patienceMs } from "../harness/processes.ts";
import { ask, logLines, type RunningProcess } from "./cluster.ts";

/** A member as the endpoint tells of it. */
export type ListedMember = Omit<Member, "phi" | "distanceMs">;

/** This node's own gossip, as its endpoint tells of it. */
export interface OwnGossip {
  readonly incarnation: number;
  readonly status: string;
  readonly healthScore: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** Everybody whom a node knows, by id. */
export async function membersOf(
  node: RunningProcess,
): Promise<Readonly<Record<string, ListedMember>>> {
  const { members } = await (await ask(node, "/api/v1/network/members")).json();
  return Object.fromEntries((members as ListedMember[]).map((it) => [it.id, it]));
}

/** A node's own gossip. */
export async function gossipOf(node: RunningProcess): Promise<OwnGossip> {
  return await (await ask(node, "/api/v1/network/gossip")).json();
}

/** Waits until something holds. For what nobody announces: look until it shows. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  withinMs: number = patienceMs,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`in vain: ${what}`);
    await new Promise((resume) => setTimeout(resume, 25));
  }
}

/** Waits until each of these nodes sees each of these members in a state. */
export async function allSee(
  nodes: readonly RunningProcess[],
  ids: readonly string[],
  state: ListedMember["state"],
): Promise<void> {
  const seen = new Map<string, string>();
  const look = async () => {
    for (const node of nodes) {
      const members = await membersOf(node);
      seen.set(node.id, JSON.stringify(ids.map((id) => [id, members[id]?.state])));
      if (!ids.every((id) => members[id]?.state === state)) return false;
    }
    return true;
  };
  try {
    await until(`${ids} ${state} as ${nodes.map(({ id }) => id)} see it`, look);
  } catch (error) {
    throw new Error(`${(error as Error).message}; seen: ${JSON.stringify([...seen])}`);
  }
}

/** Waits until a counter of each of these nodes has risen by so much. */
export async function counted(
  nodes: readonly RunningProcess[],
  counter: string,
  by: number,
): Promise<void> {
  await Promise.all(nodes.map(async (node) => {
    const read = async () => (await gossipOf(node)).counters[counter]!;
    const goal = await read() + by;
    await until(`${by} more ${counter} of ${node.id}`, async () => await read() >= goal);
  }));
}

/** The ids of members that a node called failed since a time (wall-clock ms). */
export function failuresAt(node: RunningProcess, sinceMs: number = 0): string[] {
  return logLines(node)
    .filter((line) =>
      line.message === "A member failed." && Date.parse(String(line["@timestamp"])) >= sinceMs
    )
    .map((line) => String(line.node));
}

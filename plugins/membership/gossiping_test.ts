/** What the tests of membership in the simulator share: whole nodes that gossip, and what they see. */
import { z } from "zod";
import { defineService, type Node } from "../../mod.ts";
import { type SimNode, simulatedNode, type Simulation } from "../../simulation.ts";

export const names = ["a", "b", "c", "d", "e"] as const;
export const clock = defineService("clock", {
  version: 1,
  methods: { zone: { input: z.object({}), output: z.string(), idempotent: true } },
});
export const key = new Uint8Array(32).fill(7).toBase64();

/** A node that gossips under a key and knows of nobody else but `swim.join`. */
export function gossiping(
  swim: Readonly<Record<string, unknown>> = {},
  node: Readonly<Record<string, unknown>> = {},
) {
  return simulatedNode({
    node,
    plugins: {
      swim: { encryptKey: key, join: ["a:7946"], ...swim },
      admin: { listen: false, token: "0123456789abcdef" },
    },
  });
}

/** How a node sees each member: `{ a: "alive", ... }`. */
export function states({ value }: SimNode<Node>): Record<string, string> {
  return Object.fromEntries(value.membership!.members().map(({ id, state }) => [id, state]));
}

/** Whether each of these nodes sees exactly these members alive. */
export function agree(nodes: readonly SimNode<Node>[], alive: readonly string[]): boolean {
  const wanted = [...alive].sort().join();
  return nodes.every((node) => {
    const seen = Object.entries(states(node)).filter(([, state]) => state === "alive");
    return seen.map(([id]) => id).sort().join() === wanted;
  });
}

export async function form(
  sim: Simulation,
  start = gossiping(),
  who: readonly string[] = names,
): Promise<SimNode<Node>[]> {
  const nodes: SimNode<Node>[] = [];
  for (const name of who) nodes.push(await sim.node(name, start));
  await sim.until(() => agree(nodes, who));
  return nodes;
}

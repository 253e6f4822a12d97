/** A service to call, servers that do as they are told, and a caller linked to them. */
import assert from "node:assert/strict";
import { z } from "zod";
import { FakeNetwork, type FakeNode } from "./fakes_test.ts";
import { CallError, defineService } from "./mod.ts";

export const work = defineService("work", {
  version: 1,
  methods: {
    safe: { input: z.string(), output: z.string(), idempotent: true },
    once: { input: z.string(), output: z.string() },
    items: { input: z.number(), stream: z.number(), idempotent: true },
    load: { input: z.string(), upload: z.number(), output: z.number(), idempotent: true },
  },
});

/** A server whose handlers do what the test says, and that counts what it ran. */
export function server(node: FakeNode, behave: (input: string) => unknown = (it) => it) {
  const ran: string[] = [];
  const run = async (input: string) => {
    ran.push(input);
    return await behave(input) as string;
  };
  const serving = node.layer.serve(work, {
    safe: run,
    once: run,
    async *items(upTo) {
      ran.push("items");
      for (let i = 1; i <= upTo; i++) yield i;
    },
    async load(_, { upload }) {
      ran.push("load");
      let sum = 0;
      for await (const it of upload) sum += it;
      return sum;
    },
  });
  return { ran, serving };
}

/** A caller `c` linked to servers s1 to sN. */
export function cluster(servers: number, seed?: number) {
  const network = new FakeNetwork(seed);
  const caller = network.add("c");
  const nodes = Array.from({ length: servers }, (_, i) => network.add(`s${i + 1}`));
  for (const node of nodes) network.link("c", node.id);
  return { network, caller, nodes, client: caller.layer.client(work) };
}

export const never = new Promise<never>(() => {});

export async function failureOf(promise: Promise<unknown>): Promise<CallError> {
  const error = await promise.then(() => assert.fail("it succeeded"), (it) => it);
  assert.ok(error instanceof CallError, String(error));
  return error;
}

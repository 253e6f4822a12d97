/** A service to be tested: how many of an item are left. */
import { defineService, type Node, serviceError } from "@mycnet/runtime";
import { z } from "zod";

/** The contract. */
export const inventory = defineService("inventory", {
  version: 1,
  methods: {
    count: { input: z.object({ item: z.string() }), output: z.int(), idempotent: true },
    take: { input: z.object({ item: z.string(), count: z.int().positive() }), output: z.int() },
  },
  errors: { tooFew: z.object({ left: z.int() }) },
});

/** Serves it from a table, which it changes. */
export function serveInventory(node: Node, stock: Map<string, number>): AsyncDisposable {
  return node.serve(inventory, {
    count: ({ item }) => stock.get(item) ?? 0,
    take: ({ item, count }) => {
      const left = (stock.get(item) ?? 0) - count;
      if (left < 0) throw serviceError(inventory, "tooFew", { left: left + count });
      stock.set(item, left);
      return left;
    },
  });
}

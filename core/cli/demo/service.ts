/** The service that the demo's servers offer and its client calls. */
import { z } from "zod";
import { defineService } from "../../node/services/mod.ts";

/** Answers with the name of the node that did the work, so that the client sees who served it. */
export const quotes = defineService("quotes", {
  version: 1,
  methods: {
    quote: {
      input: z.object({ symbol: z.string().max(16), quantity: z.int().min(1).max(1_000_000) }),
      output: z.object({ node: z.string(), total: z.number() }),
      idempotent: true,
    },
  },
});

/** What one share costs, derived from its symbol: the same on every node. */
export function priceOf(symbol: string): number {
  let hash = 7;
  for (let i = 0; i < symbol.length; i++) hash = (hash * 31 + symbol.charCodeAt(i)) % 9973;
  return 1 + hash / 100;
}

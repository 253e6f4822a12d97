/**
 * An ordinary Hono application, with the node as its way to the cluster. It is
 * a function of the node, so that a test hands it one of a test cluster.
 */
import { CallError, codeOf, defineService, type Node } from "@mycnet/runtime";
import { Hono } from "hono";
import { z } from "zod";

/** What the application calls, wherever in the cluster it is served. */
export const prices = defineService("prices", {
  version: 1,
  methods: {
    of: { input: z.object({ item: z.string() }), output: z.number(), idempotent: true },
  },
});

/** Serves prices from a table. */
export function servePrices(
  node: Node,
  table: Readonly<Record<string, number>>,
): AsyncDisposable {
  return node.serve(prices, {
    of: ({ item }) => {
      if (!Object.hasOwn(table, item)) throw new CallError("not_found", `no price for ${item}`);
      return table[item];
    },
  });
}

/** The application. */
export function application(node: Node): Hono {
  const client = node.client(prices);
  const app = new Hono();
  app.get("/prices/:item", async (c) => {
    const item = c.req.param("item");
    // A browser that goes away cancels the call, at the server too.
    const price = await client.of({ item }, { timeout: "2s", signal: c.req.raw.signal });
    return c.json({ item, price });
  });
  app.get("/healthz", (c) => c.json(node.health(), node.ready ? 200 : 503));
  app.onError((error, c) => {
    const status = codeOf(error) === "not_found" ? 404 : 502;
    return c.json({ error: error.message }, status);
  });
  return app;
}

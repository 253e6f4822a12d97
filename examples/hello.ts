/**
 * The shortest node: one process that serves a typed service and calls it.
 *
 *   deno run examples/hello.ts
 *
 * No permission is asked, because this node touches nothing outside of it.
 */
import { createNode, defineService } from "@mycnet/runtime";
import { z } from "zod";

const greeter = defineService("greeter", {
  version: 1,
  methods: {
    hello: { input: z.object({ name: z.string() }), output: z.string(), idempotent: true },
  },
});

// Alone in the world: no configuration file, no keys, no sockets, no admin endpoint.
await using node = await createNode({
  config: false,
  node: { id: "solo", cluster: "hello", type: "sclerotia" },
  plugins: { identity: { insecure: true }, tls: false, admin: false, "http-gateway": false },
});
await using _serving = node.serve(greeter, { hello: ({ name }) => `Hello, ${name}!` });

console.log(await node.client(greeter).hello({ name: "Ada" }));

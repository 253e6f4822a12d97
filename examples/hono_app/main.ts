/**
 * A node inside a web server that exists already.
 *
 *   deno run --allow-net=127.0.0.1 examples/hono_app/main.ts
 *   curl http://127.0.0.1:8000/prices/apple
 *
 * An argument is the port, 0 for any free one. Ctrl-C stops both in order: the
 * server answers what it has begun, then the node says goodbye to its peers.
 */
import { createNode } from "@mycnet/runtime";
import { application, servePrices } from "./app.ts";

const [port = "8000"] = Deno.args;

await using node = await createNode({
  config: false,
  // With bindAddress and seeds of your own it is one of many; alone it serves itself.
  node: { id: "web", cluster: "shop", type: "sclerotia", bindAddress: false },
  plugins: { identity: { insecure: true }, tls: false, admin: false, "http-gateway": false },
});
await using _serving = servePrices(node, { apple: 3, pear: 4 });

const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);

await using _server = Deno.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  onListen: ({ hostname, port }) => console.log(`serving http://${hostname}:${port}`),
}, application(node).fetch);

await stopped;
console.log("stopping");
// What `await using` holds is undone from here, in reverse: server, service, node.

/**
 * Two processes over mutual TLS: this one serves, client.ts calls.
 *
 *   # Once: a cluster with two nodes, their keys in examples/two_nodes/.mycnet
 *   deno run -P=node mod.ts init --nodes server,client --config examples/two_nodes/mycnet.jsonc
 *   # One terminal
 *   deno run -P=node examples/two_nodes/server.ts
 *   # Another
 *   deno run -P=node examples/two_nodes/client.ts
 *
 * An argument is where to listen: `server.ts 127.0.0.1:7001`, port 0 for any free one.
 */
import { createNode } from "@mycnet/runtime";
import { calculator } from "./service.ts";

const [bindAddress = "127.0.0.1:7000"] = Deno.args;

await using node = await createNode({
  config: `${import.meta.dirname}/mycnet.jsonc`,
  node: { id: "server", bindAddress },
});
// Signals are the program's own: the library installs no handlers.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => node.stop(signal));
}

await using _serving = node.serve(calculator, {
  sum: (numbers, { caller }) => {
    console.log(`${caller.id} asks for the sum of ${numbers.join(", ")}`);
    return numbers.reduce((sum, it) => sum + it, 0);
  },
});

console.log(`listening at ${node.addresses.join(", ")}`);
await node.closed;
console.log("stopped");

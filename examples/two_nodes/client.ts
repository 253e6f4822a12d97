/**
 * Calls what server.ts serves, over mutual TLS. See there for the commands.
 *
 * An argument is where the server listens: `client.ts 127.0.0.1:7001`.
 */
import { createNode } from "@mycnet/runtime";
import { calculator } from "./service.ts";

const [server = "127.0.0.1:7000"] = Deno.args;

await using node = await createNode({
  config: `${import.meta.dirname}/mycnet.jsonc`,
  node: { id: "client", bindAddress: false },
});
const [{ id, type, cluster }] = await node.cluster.join([server]);
console.log(`linked to ${id}, a ${type} of ${cluster}`);

const [link] = node.members()[0].links;
console.log(`encryption: ${link.profile.inForce.encryption}`);
console.log(`1 + 2 + 3 = ${await node.client(calculator).sum([1, 2, 3])}`);

/**
 * A plugin of one's own, declared in a configuration file by its path.
 *
 *   deno run --allow-net=127.0.0.1 --allow-read examples/own_plugin/main.ts
 *
 * The same file runs on the command line:
 *
 *   deno run -P=node mod.ts node --config examples/own_plugin/mycnet.jsonc
 *
 * favourite.ts is the plugin, mycnet.jsonc declares it.
 */
import { createNode, defineService, type Node } from "@mycnet/runtime";
import { z } from "zod";

const where = defineService("where", {
  version: 1,
  methods: { am: { input: z.object({}), output: z.string(), idempotent: true } },
});

const config = `${import.meta.dirname}/mycnet.jsonc`;
await using caller = await createNode({ config, watch: false });

/** A node like the caller, under another name, that serves. */
async function server(id: string): Promise<Node> {
  const node = await createNode({ config, watch: false, node: { id } });
  node.serve(where, { am: () => id });
  return node;
}

await using a = await server("a");
await using b = await server("b");
await caller.cluster.join([...a.addresses, ...b.addresses]);

const client = caller.client(where, { balance: "favourite" });
// A call to one node waits until that node is known to serve; from then on both are candidates.
for (const node of ["a", "b"]) await client.am({}, { node });

const ask = async () => {
  const answers: string[] = [];
  for (let call = 0; call < 4; call++) answers.push(await client.am({}));
  return answers.join(" ");
};
console.log(`with the favourite:    ${await ask()}`);
await b.stop();
console.log(`without the favourite: ${await ask()}`);

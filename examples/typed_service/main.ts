/**
 * A typed service with a stream, middleware on both sides and an error of its
 * own, between two nodes on this machine.
 *
 *   deno run --allow-net=127.0.0.1 examples/typed_service/main.ts
 *
 * definition.ts is what both sides share; server.ts and client.ts import it.
 * Here both run in one process over plain TCP, so that one command shows them;
 * examples/two_nodes has two processes and mutual TLS.
 */
import { createNode, type Node } from "@mycnet/runtime";
import { actFor, describe, readAll } from "./client.ts";
import { ledger } from "./definition.ts";
import { serveLedger } from "./server.ts";

function start(id: string, bindAddress: string | false): Promise<Node> {
  return createNode({
    config: false,
    node: { id, cluster: "example", type: "sclerotia", bindAddress },
    plugins: {
      tls: false,
      tcp: { insecure: true },
      identity: { insecure: true },
      admin: false,
      "http-gateway": false,
    },
  });
}

await using server = await start("server", "127.0.0.1:0");
await using _serving = serveLedger(server);
await using client = await start("client", false);
await client.cluster.join(server.addresses);

console.log(await describe(client, 1));
{
  await using _acting = actFor(client, "acme");
  const { append } = client.client(ledger);
  const { number, kind } = await append({ text: "paid the rent" });
  console.log(`appended entry ${number}, a ${kind}`);
  await append({ text: "call the bank", kind: "task" });
  console.log((await readAll(client)).join("\n"));
  console.log(await describe(client, 2));
  console.log(await describe(client, 7));
}
{
  await using _acting = actFor(client, "globex");
  console.log(`globex has ${(await readAll(client)).length} entries`);
}

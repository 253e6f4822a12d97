/** A node as a process: one that serves echoes, one that calls them, or over memory both at once. */
import { cpuUs } from "../lib/cpu.ts";
import { load, type LoadOptions, type Start } from "../lib/load.ts";
import { memory } from "../lib/memory.ts";
import { type BenchNode, echoMessage, orders, serveEchoes, startNode } from "../lib/nodes.ts";
import { programArgument, serveCommands } from "../lib/program.ts";
import { sampleBytes, sampleOrder } from "../lib/sample.ts";

/** The id of the node that serves. */
const server = "server";

if (import.meta.main) {
  const argument = programArgument<BenchNode>();
  await using stack = new AsyncDisposableStack();
  if (argument.transport === "memory" && argument.id !== server) {
    serveEchoes(
      stack.use(await startNode({ id: server, type: "sclerotia", transport: "memory" })),
    );
  }
  const node = stack.use(await startNode(argument));
  const starts: Record<string, Start> = {};
  if (argument.id === server) serveEchoes(node);
  else {
    const client = node.client(orders);
    // What fails is not caught: a bench with failures measures nothing, and ends here.
    starts.message = (done) => void node.request(server, echoMessage, sampleBytes).then(done);
    starts.typed = (done) => void client.echo(sampleOrder).then(done);
    // Once each, so that the link is up and the directory knows the service.
    await node.request(server, echoMessage, sampleBytes);
    await client.echo(sampleOrder);
  }
  await serveCommands(node.addresses[0] ?? "", {
    load: (options) => load(starts, options as LoadOptions),
    links: () => node.members().flatMap((it) => it.links).filter((it) => it.state === "up").length,
    cpu: cpuUs,
    memory,
  });
}

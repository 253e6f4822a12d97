/**
 * What tracing costs a typed call over tcp: switched off, not in use, in use.
 *
 *     deno run -A bench/tracing.ts [--seconds 3] [--rounds 10] [--inflight 1,256]
 *                                  [--placement apart] [--json]
 *
 * `absent` is a node with `"tracing": false`; `off` has the plugin, as every node
 * does, in a process without a tracer; `on` runs with OTEL_DENO=true and exports to
 * a receiver that throws everything away. Two processes a side, the sides taking
 * turns. This file is the measured program too, when its argument is a node.
 */
import { createNode, type NodeOptions } from "../mod.ts";
import { fileURLToPath } from "node:url";
import { coresOf, onCore, placed } from "./lib/cores.ts";
import { load, type LoadOptions, type Round } from "./lib/load.ts";
import { orders, serveEchoes } from "./lib/nodes.ts";
import type { BenchOptions } from "./lib/options.ts";
import { Program, programArgument, serveCommands } from "./lib/program.ts";
import type { Report } from "./lib/report.ts";
import { alternate, median, medianRatio } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";
import { sampleOrder } from "./lib/sample.ts";

/** How a measured node differs from the next one. */
interface TracedNode {
  readonly id: string;
  readonly plugin: boolean;
  /** Whom to call. */
  readonly server?: string;
}

const sides = ["absent", "off", "on"] as const;

/** Measures the cost of tracing. */
export async function benchTracing(options: BenchOptions): Promise<Report> {
  const { seconds, rounds, inFlight: levels, placement } = options;
  await using stack = new AsyncDisposableStack();
  const receiver = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (it) => {
    await it.body?.cancel();
    return Response.json({});
  });
  stack.defer(() => receiver.shutdown());
  const cores = coresOf(placement);
  const start = async (side: typeof sides[number], node: TracedNode, core?: number) => {
    const own = fileURLToPath(import.meta.url);
    const words = [Deno.execPath(), "run", "--allow-all", own, JSON.stringify(node)];
    const env: Record<string, string> = side === "on"
      ? {
        OTEL_DENO: "true",
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${receiver.addr.port}`,
        OTEL_DENO_CONSOLE: "ignore",
      }
      : {};
    return stack.use(await Program.command<string>(onCore(core, words), { env }));
  };
  const callers: Partial<Record<typeof sides[number], Program>> = {};
  for (const side of sides) {
    const plugin = side !== "absent";
    const { ready } = await start(side, { id: "server", plugin }, cores.server);
    callers[side] = await start(side, { id: "client", plugin, server: ready }, cores.caller);
  }
  const turns = (inFlight: number, ms: number) => {
    const one = (side: typeof sides[number]) => () =>
      callers[side]!.ask<Round>("load", { what: "typed", inFlight, ms } satisfies LoadOptions);
    return { absent: one("absent"), off: one("off"), on: one("on") };
  };
  await alternate(2, turns(256, seconds * 200));
  const rows: Report["rows"][number][] = [];
  for (const inFlight of levels) {
    const results = await alternate(rounds, turns(inFlight, seconds * 1000 / rounds));
    const rates = (side: typeof sides[number]) => results[side].map((it) => it.perSecond);
    for (const side of sides) {
      rows.push({
        inFlight,
        side,
        ratio: medianRatio(rates(side), rates("absent")),
        perSecond: Math.round(median(rates(side))),
        // What one call costs more, in the time of whichever end is slower.
        costUs: side === "absent"
          ? undefined
          : 1e6 * (1 / median(rates(side)) - 1 / median(rates("absent"))),
      });
    }
  }
  return {
    bench: "tracing",
    what: `typed calls over tcp without tracing, with it unused, and with it; ${
      placed(placement)
    }; medians of ${rounds} rounds`,
    columns: [
      { key: "inFlight", title: "in flight" },
      { key: "side", title: "tracing" },
      { key: "ratio", title: "to absent" },
      { key: "perSecond", title: "calls/s" },
      { key: "costUs", title: "more µs a call" },
    ],
    rows,
  };
}

/** The measured node. */
async function runNode({ id, plugin, server }: TracedNode): Promise<void> {
  const plugins: NodeOptions["plugins"] = {
    identity: { insecure: true },
    tls: false,
    tcp: { insecure: true },
    admin: false,
    "http-gateway": false,
    ...(plugin ? {} : { tracing: false }),
  };
  const bindAddress = "127.0.0.1:0";
  await using node = await createNode({
    config: false,
    node: { id, type: "sclerotia", cluster: "bench", bindAddress },
    plugins,
  });
  if (server === undefined) serveEchoes(node);
  else {
    await node.cluster.join([server]);
    await node.client(orders).echo(sampleOrder);
  }
  const client = node.client(orders);
  const typed = (done: () => void) => void client.echo(sampleOrder).then(done);
  await serveCommands(node.addresses[0] ?? "", {
    load: (options) => load({ typed }, options as LoadOptions),
  });
}

if (import.meta.main) {
  if (Deno.args[0]?.startsWith("{")) await runNode(programArgument<TracedNode>());
  else await runBenches([benchTracing]);
}

/**
 * The demo's children: a server that answers, and a client that never stops
 * asking. Each is a node like any other; it reports to its parent on standard
 * output and ends when its standard input does, however its parent ended.
 */
import type { Node } from "../../node/node.ts";
import type { Host } from "../../kernel/host.ts";
import { LatencyWindow } from "./latencies.ts";
import type { LinkReport, Report } from "./reports.ts";
import { priceOf, quotes } from "./service.ts";

/** How a child reports. Must not throw. */
export type Tell = (report: Report) => void;

/** Calls that the client keeps under way. */
const inFlight = 32;
/** How often the client reports, in ms: a slice of its latency window. */
const reportMs = 250;

/** Tells the parent what happens to links and peers until the node ends. */
function tellEvents(
  node: Node,
  tell: Tell,
  heard: (type: string, about: string) => void,
): Promise<void> {
  const events = node.events({ capacity: 4096 });
  return (async () => {
    for await (const event of events) {
      if (event.type === "lagged" || event.type === "link_refused") continue;
      const about = typeof event.node === "string" ? event.node : event.node.id;
      heard(event.type, about);
      tell({ kind: "event", at: event.at, type: event.type, about });
    }
  })();
}

/** Serves until `signal` aborts. */
export async function serveQuotes(node: Node, tell: Tell, signal: AbortSignal): Promise<void> {
  await using _serving = node.serve(quotes, {
    quote: ({ symbol, quantity }) => ({
      node: node.id,
      total: Math.round(priceOf(symbol) * quantity * 100) / 100,
    }),
  });
  const events = tellEvents(node, tell, () => {});
  tell({ kind: "ready", node: node.id, admin: node.adminAddress });
  await aborted(signal);
  await node.stop("the demo is over");
  await events;
}

/** Calls until `signal` aborts, then waits for the calls under way and reports once more. */
export async function callQuotes(
  node: Node,
  host: Host,
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  const client = node.client(quotes);
  const window = new LatencyWindow();
  const byNode: Record<string, number> = {};
  /** Nodes that were lost, and whether another has answered since. */
  const lost = new Map<string, { rerouted: boolean }>();
  let made = 0, answered = 0, retried = 0, failed = 0;
  let firstFailure: string | undefined;

  const events = tellEvents(node, tell, (type, about) => {
    if (type === "call_retried") retried++;
    if (type === "node_failed") lost.set(about, { rerouted: false });
  });

  const note = (from: string) => {
    byNode[from] = (byNode[from] ?? 0) + 1;
    if (lost.size === 0) return;
    for (const [about, state] of lost) {
      if (about === from) {
        lost.delete(about);
        tell({ kind: "answer", at: host.wallTime(), from, why: "back", about });
      } else if (!state.rerouted) {
        state.rerouted = true;
        tell({ kind: "answer", at: host.wallTime(), from, why: "rerouted", about });
      }
    }
  };

  const report = () => {
    const links: LinkReport[] = node.members().flatMap((peer) =>
      peer.links.map((link) => ({
        node: peer.id,
        type: peer.type,
        transport: link.transport,
        health: link.health,
        profile: link.profile.wanted.name,
        encryption: link.profile.inForce.encryption,
        roundTripMs: link.roundTripMs,
      }))
    );
    tell({
      kind: "load",
      at: host.wallTime(),
      made,
      answered,
      retried,
      failed,
      perSecond: window.count,
      p50Ms: window.quantile(0.5),
      p99Ms: window.quantile(0.99),
      byNode,
      links,
      firstFailure,
    });
  };

  const symbols = ["OAK", "ELM", "FIR", "ASH", "YEW", "BIRCH"];
  const caller = async (seed: number) => {
    for (let turn = seed; !signal.aborted; turn++) {
      const symbol = symbols[turn % symbols.length];
      const quantity = 1 + turn % 100;
      const start = host.now();
      made++;
      try {
        const { node: from, total } = await client.quote({ symbol, quantity }, { timeout: "5s" });
        const right = Math.round(priceOf(symbol) * quantity * 100) / 100;
        if (total !== right) throw new Error(`${from} answered ${total} instead of ${right}`);
        answered++;
        window.add(host.now() - start);
        note(from);
      } catch (error) {
        failed++;
        firstFailure ??= String(error);
        await host.sleep(50); // A failing cluster is not hammered.
      }
    }
  };

  tell({ kind: "ready", node: node.id, admin: node.adminAddress });
  using _timer = host.every(reportMs, () => {
    report();
    window.turn();
  });
  await Promise.all(Array.from({ length: inFlight }, (_, i) => caller(i * 7)));
  report();
  await node.stop("the demo is over");
  await events;
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

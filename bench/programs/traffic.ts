/** A node as a process that sends or receives what is not a call: messages, and streams of bytes, with calls beside them. */
import { delay } from "../lib/delay.ts";
import { load, type Round } from "../lib/load.ts";
import { type Memory, memory } from "../lib/memory.ts";
import { type BenchNode, startNode } from "../lib/nodes.ts";
import { programArgument, serveCommands } from "../lib/program.ts";
import { oneWayBytes, sampleBytes } from "../lib/sample.ts";
import type { Node } from "../../mod.ts";

/** The id of the node that receives. */
const server = "server";
const echo = "custom.echo";
const sink = "custom.sink";
/** Answers how many messages the sink has had. */
const arrivals = "custom.arrivals";
const chunkBytes = 64 * 1024;
const readBytes = 256 * 1024;

/** What is promised of messages. */
export type Promised = "best-effort" | "high" | "guaranteed";

/** What `flood` is asked. */
export interface FloodOptions {
  readonly promised: Promised;
  readonly ms: number;
}

/** What `mixed` is asked. */
export interface MixedOptions {
  /** Send a stream of bytes. */
  readonly bulk: boolean;
  /** Make critical calls, one at a time: so many ms after the last, 0 for at once, undefined for none. */
  readonly pauseMs?: number;
  readonly ms: number;
}

/** What `mixed` answers. */
export interface Mixed {
  readonly bytesPerSecond?: number;
  readonly calls?: Round;
}

/** What `stall` is asked: senders that each send one body after the other to a peer that does not read. */
export interface StallOptions {
  readonly senders: number;
  readonly wait: boolean;
  readonly ms: number;
}

/** What `stall` answers, memory in bytes. */
export interface Stall {
  readonly before: Memory;
  /** The most that was resident at any time. */
  readonly most: number;
  /** At the end, the peer standing still. */
  readonly after: Memory;
  /** Messages that the link took. */
  readonly sent: number;
  /** Sends that failed as overloaded. */
  readonly refused: number;
}

/** After how long a sender that was refused tries again, ms. */
const retryMs = 100;
/** How many acknowledgements or disk writes are waited for at a time. */
const unsettled = 1024;
/** How many messages each of those waiting sends between looks at the clock, which costs a tenth of a message. */
const lookEvery = 16;
/** How long what was sent may take to arrive, ms. */
const patienceMs = 30_000;
/** How many messages without either go out between waits for room. */
const batch = 64;

async function flood(node: Node, { promised, ms }: FloodOptions): Promise<number> {
  const before = await arrived(node);
  const began = performance.now();
  const endsAt = began + ms;
  let sent = 0;
  const options = { reliability: promised } as const;
  if (promised === "best-effort") {
    while (performance.now() < endsAt) {
      for (let i = 1; i < batch; i++) void node.send(server, sink, oneWayBytes, options);
      await node.send(server, sink, oneWayBytes, options);
      sent += batch;
    }
  } else {
    await Promise.all(Array.from({ length: unsettled }, async () => {
      for (let i = 0; i % lookEvery > 0 || performance.now() < endsAt; i++) {
        await node.send(server, sink, oneWayBytes, options);
        sent++;
      }
    }));
  }
  for (let missing; (missing = before + sent - await arrived(node)) > 0;) {
    if (performance.now() > endsAt + patienceMs) {
      throw new Error(`${missing} of ${sent} messages (${promised}) did not arrive`);
    }
  }
  return sent / (performance.now() - began) * 1000;
}

/** How many messages the server has had. */
async function arrived(node: Node): Promise<number> {
  const count = await node.request(server, arrivals, sampleBytes, { timeout: "30s" });
  return Number(new TextDecoder().decode(count));
}

async function sendBulk(node: Node, ms: number): Promise<number> {
  // Nothing that compression could make smaller: the bare copy has none.
  const chunk = crypto.getRandomValues(new Uint8Array(chunkBytes));
  const began = performance.now();
  const { bytes } = await node.bulk.send(server, "sink", () =>
    new ReadableStream({
      pull(controller) {
        if (performance.now() - began < ms) controller.enqueue(chunk);
        else controller.close();
      },
    }));
  return bytes / (performance.now() - began) * 1000;
}

/** Calls one after the other, with a pause between; what load.ts does without one. */
async function calls(node: Node, pauseMs: number, ms: number): Promise<Round> {
  const options = { priority: "critical", timeout: "30s" } as const;
  const call = () => node.request(server, echo, sampleBytes, options);
  if (pauseMs === 0) {
    const starts = { call: (done: () => void) => void call().then(done) };
    return await load(starts, { what: "call", inFlight: 1, ms });
  }
  const took: number[] = [];
  const began = performance.now();
  do {
    await delay(pauseMs);
    const at = performance.now();
    await call();
    took.push(performance.now() - at);
  } while (performance.now() - began < ms);
  took.sort((a, b) => a - b);
  const quantile = (share: number) => 1000 * took[Math.floor(took.length * share)];
  return {
    calls: took.length,
    perSecond: took.length / (performance.now() - began) * 1000,
    p50Us: quantile(0.5),
    p99Us: quantile(0.99),
  };
}

async function mixed(node: Node, { bulk, pauseMs, ms }: MixedOptions): Promise<Mixed> {
  const [bytesPerSecond, round] = await Promise.all([
    bulk ? sendBulk(node, ms) : undefined,
    pauseMs === undefined ? undefined : calls(node, pauseMs, ms),
  ]);
  return { bytesPerSecond, calls: round };
}

async function stall(node: Node, { senders, wait, ms }: StallOptions): Promise<Stall> {
  const before = memory();
  const stop = new AbortController();
  const body = new Uint8Array(chunkBytes);
  let most = before.resident;
  let sent = 0;
  let refused = 0;
  // What acknowledged messages hold besides is bounded by whoever awaits them.
  const options = { wait, signal: stop.signal, reliability: "best-effort" } as const;
  const send = async () => {
    while (!stop.signal.aborted) {
      try {
        await node.send(server, sink, body, options);
        sent++;
      } catch (error) {
        if (stop.signal.aborted) return;
        if ((error as { code?: string }).code !== "overloaded") throw error;
        refused++;
        await delay(retryMs);
      }
    }
  };
  const sending = Array.from({ length: senders }, send);
  const endsAt = performance.now() + ms;
  do {
    await delay(5);
    most = Math.max(most, Deno.memoryUsage().rss);
  } while (performance.now() < endsAt);
  const after = memory();
  stop.abort();
  await Promise.all(sending);
  return { before, most, after, sent, refused };
}

if (import.meta.main) {
  const argument = programArgument<BenchNode>();
  await using node = await startNode(argument);
  let received = 0;
  if (argument.id === server) {
    node.handle(echo, (bytes) => bytes);
    node.handle(sink, () => void received++);
    node.handle(arrivals, () => new TextEncoder().encode(String(received)));
    node.bulk.handle("sink", async (transfer) => {
      // Into one buffer again and again, as the bare copy reads.
      const reader = transfer.accept().getReader({ mode: "byob" });
      let buffer = new Uint8Array(readBytes);
      while (true) {
        const { done, value } = await reader.read(buffer);
        if (done) break;
        buffer = new Uint8Array(value.buffer);
      }
    });
  } else {
    await node.request(server, echo, sampleBytes);
  }
  await serveCommands(node.addresses[0] ?? "", {
    flood: (options) => flood(node, options as FloodOptions),
    mixed: (options) => mixed(node, options as MixedOptions),
    stall: (options) => stall(node, options as StallOptions),
    memory,
  });
}

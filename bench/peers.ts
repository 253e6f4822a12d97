/**
 * Echo calls beside other runtimes, over plaintext TCP on loopback, two processes
 * a side (and NATS's server between its two), ours and theirs taking turns.
 *
 *     deno run -A bench/peers.ts [--seconds 3] [--rounds 10] [--inflight 1,256]
 *                                [--peers moleculer,nats,grpc,erlang] [--no-install] [--json]
 *
 * A request has 64 bytes (in Moleculer, whose frames are JSON, as many
 * characters). The typed call is a service of ours with zod schemas and
 * MessagePack both ways, beside a Moleculer action that validates its parameters
 * and speaks JSON. Peers have the settings that they come with. Moleculer,
 * NATS's client and grpc-js run on the Node of the path, installed by this bench
 * into a cache folder; NATS's server and Erlang come from the system. What is
 * missing is skipped, loudly. No process is pinned: some peers have threads.
 */
import type { LoadOptions, Round } from "./lib/load.ts";
import type { BenchOptions, PeerName } from "./lib/options.ts";
import { startPair } from "./lib/pair.ts";
import { PeerMissing, startPeer } from "./lib/peers.ts";
import type { Program } from "./lib/program.ts";
import type { Report } from "./lib/report.ts";
import { alternate, median, medianRatio } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";

/** One row: which of ours is set beside which of theirs. */
interface Subject {
  readonly peer: string;
  readonly ours: "message" | "typed";
  readonly theirs: string;
  /** How many times as fast ours should be with 256 in flight. */
  readonly target: number | undefined;
}

const subjects: Readonly<Record<PeerName, readonly Subject[]>> = {
  moleculer: [
    { peer: "Moleculer 0.15", ours: "message", theirs: "message", target: 15 },
    { peer: "Moleculer 0.15", ours: "typed", theirs: "typed", target: 4 },
  ],
  nats: [{ peer: "NATS", ours: "message", theirs: "message", target: 20 }],
  grpc: [{ peer: "grpc-js", ours: "message", theirs: "message", target: 100 }],
  erlang: [
    { peer: "Erlang, a process a call", ours: "message", theirs: "message", target: 12 },
    { peer: "Erlang, one pipelining", ours: "message", theirs: "pipelined", target: undefined },
  ],
};

/** The calls in flight that targets speak of. */
const targetInFlight = 256;

/** Measures calls beside peers. */
export async function benchPeers(options: BenchOptions): Promise<Report> {
  await using ours = await startPair({ transport: "tcp" });
  const rows: Report["rows"][number][] = [];
  for (const name of options.peers) {
    try {
      await using theirs = await startPeer(name, options.install);
      for (const subject of subjects[name]) {
        rows.push(...await measure(subject, ours.caller, theirs.caller, options));
      }
    } catch (error) {
      if (!(error instanceof PeerMissing)) throw error;
      console.error(`peers: ${name} SKIPPED: ${error.message}`);
      rows.push({ peer: name, what: `skipped: ${error.message}` });
    }
  }
  return {
    bench: "peers",
    what: `64-byte echo calls between two processes over plaintext TCP; medians of ` +
      `${options.rounds} rounds, ${options.seconds} s in all for each side`,
    columns: [
      { key: "peer", title: "peer" },
      { key: "what", title: "what" },
      { key: "inFlight", title: "in flight" },
      { key: "ratio", title: "ours/theirs" },
      { key: "target", title: "target" },
      { key: "perSecond", title: "calls/s" },
      { key: "theirPerSecond", title: "their calls/s" },
      { key: "p50", title: "p50 µs" },
      { key: "theirP50", title: "their p50" },
      { key: "p99", title: "p99 µs" },
      { key: "theirP99", title: "their p99" },
    ],
    rows,
  };
}

async function measure(
  { peer, ours, theirs, target }: Subject,
  ourCaller: Program,
  theirCaller: Program,
  { seconds, rounds, inFlight: levels }: BenchOptions,
): Promise<Report["rows"]> {
  const side = (program: Program, what: string, inFlight: number, ms: number) => () =>
    program.ask<Round>("load", { what, inFlight, ms } satisfies LoadOptions);
  const sides = (inFlight: number, ms: number) => ({
    ours: side(ourCaller, ours, inFlight, ms),
    theirs: side(theirCaller, theirs, inFlight, ms),
  });
  await alternate(2, sides(targetInFlight, seconds * 200)); // Warms up both.
  const rows: Report["rows"][number][] = [];
  for (const inFlight of levels) {
    const results = await alternate(rounds, sides(inFlight, seconds * 1000 / rounds));
    const of = (name: keyof typeof results, key: keyof Round) => results[name].map((it) => it[key]);
    rows.push({
      peer,
      what: ours === "typed" ? "typed call" : "request",
      inFlight,
      ratio: medianRatio(of("ours", "perSecond"), of("theirs", "perSecond")),
      target: inFlight === targetInFlight ? target : undefined,
      perSecond: Math.round(median(of("ours", "perSecond"))),
      theirPerSecond: Math.round(median(of("theirs", "perSecond"))),
      p50: median(of("ours", "p50Us")),
      theirP50: median(of("theirs", "p50Us")),
      p99: median(of("ours", "p99Us")),
      theirP99: median(of("theirs", "p99Us")),
    });
  }
  return rows;
}

if (import.meta.main) await runBenches([benchPeers]);

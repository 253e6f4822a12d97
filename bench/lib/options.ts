/** What every bench can be told on its command line, and the sentence for one it cannot. */
import { parseArgs } from "node:util";

import { type Placement, placements } from "./cores.ts";

/** The transports that calls are measured over. */
export const transports = ["memory", "tcp", "tls"] as const;
/** One of {@linkcode transports}. */
export type BenchTransport = (typeof transports)[number];

/** What the bench of peers sets ours beside. */
export const peerNames = ["moleculer", "nats", "grpc", "erlang"] as const;
/** One of {@linkcode peerNames}. */
export type PeerName = (typeof peerNames)[number];

/** Options of all benches; each reads those that mean something to it. */
export interface BenchOptions {
  /** How long each side of a ratio is measured, all rounds together, in seconds. Default 3. */
  readonly seconds: number;
  /** Into how many rounds that is cut, the sides taking turns. Default 10. */
  readonly rounds: number;
  /** How many calls are under way at a time; one table row each. Default 1 and 256. */
  readonly inFlight: readonly number[];
  /** Default: all. */
  readonly transports: readonly BenchTransport[];
  /** Where the two processes of a pair run. Default `apart`. */
  readonly placement: Placement;
  /** Whom to measure ours beside. Default: all. */
  readonly peers: readonly PeerName[];
  /** Install peers that are missing, from the package registry of this machine. Default true. */
  readonly install: boolean;
  /** How long the soak lasts, in minutes. Default 60. */
  readonly minutes: number;
  /** How many links the memory of a link is measured with. Default 100. */
  readonly links: number;
  /** How often a process is started. Default 10. */
  readonly starts: number;
  /** Sizes of simulated clusters; one table row each. Default 10, 100, 1000 and 10,000. */
  readonly members: readonly number[];
  /** How many crashes the first detection is averaged over, for each size. Default 2000. */
  readonly crashes: number;
  /** How many members are slow at a time; one table row each. Default 1 to 32, doubling. */
  readonly slow: readonly number[];
  /** How many simulated runs of two minutes each row of slow members has. Default 10. */
  readonly runs: number;
  /** How many real members a live cluster has. Default 32. */
  readonly live: number;
  /** Print JSON instead of a table. Default false. */
  readonly json: boolean;
}

/** What holds unless it is said otherwise. */
export const defaultOptions: BenchOptions = {
  seconds: 3,
  rounds: 10,
  inFlight: [1, 256],
  transports,
  placement: "apart",
  peers: peerNames,
  install: true,
  minutes: 60,
  links: 100,
  starts: 10,
  members: [10, 100, 1000, 10_000],
  crashes: 2000,
  slow: [1, 2, 4, 8, 16, 32],
  runs: 10,
  live: 32,
  json: false,
};

/** Reads options from arguments. @throws an error that says what an option takes. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      seconds: { type: "string" },
      rounds: { type: "string" },
      inflight: { type: "string" },
      transports: { type: "string" },
      placement: { type: "string" },
      peers: { type: "string" },
      "no-install": { type: "boolean" },
      minutes: { type: "string" },
      links: { type: "string" },
      starts: { type: "string" },
      members: { type: "string" },
      crashes: { type: "string" },
      slow: { type: "string" },
      runs: { type: "string" },
      live: { type: "string" },
      json: { type: "boolean" },
    },
  });
  const number = (name: string, text: string, least: number, most: number, whole = true) => {
    const value = Number(text);
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
    throw new Error(`--${name}: a number from ${least} to ${most} expected, not "${text}"`);
  };
  const numbers = (name: string, text: string, least: number, most: number) =>
    text.split(",").map((it) => number(name, it, least, most));
  const choices = <T extends string>(name: string, text: string, known: readonly T[]) =>
    text.split(",").map((it) => {
      const found = known.find((one) => one === it);
      if (found !== undefined) return found;
      throw new Error(`--${name}: some of ${known.join(",")} expected, not "${it}"`);
    });
  const { seconds, rounds, inflight, links, starts, json } = values;
  const { members, crashes, slow, runs, live } = values;
  return {
    ...defaultOptions,
    ...(seconds !== undefined && { seconds: number("seconds", seconds, 0.01, 600, false) }),
    ...(rounds !== undefined && { rounds: number("rounds", rounds, 1, 1000) }),
    ...(links !== undefined && { links: number("links", links, 1, 900) }),
    ...(starts !== undefined && { starts: number("starts", starts, 1, 1000) }),
    ...(inflight !== undefined && { inFlight: numbers("inflight", inflight, 1, 1024) }),
    ...(members !== undefined && { members: numbers("members", members, 3, 10_000) }),
    ...(crashes !== undefined && { crashes: number("crashes", crashes, 1, 100_000) }),
    ...(slow !== undefined && { slow: numbers("slow", slow, 1, 90) }),
    ...(runs !== undefined && { runs: number("runs", runs, 1, 1000) }),
    ...(live !== undefined && { live: number("live", live, 8, 128) }),
    ...(values.transports !== undefined && {
      transports: choices("transports", values.transports, transports),
    }),
    ...(values.peers !== undefined && { peers: choices("peers", values.peers, peerNames) }),
    ...(values.placement !== undefined && {
      placement: choices("placement", values.placement, placements)[0],
    }),
    ...(values["no-install"] && { install: false }),
    ...(values.minutes !== undefined &&
      { minutes: number("minutes", values.minutes, 0.01, 10_000, false) }),
    ...(json !== undefined && { json }),
  };
}

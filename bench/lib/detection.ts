/**
 * What is measured of simulated clusters of bare SWIM machines: how soon a crash
 * is noticed, how the word of it spreads, and what membership costs.
 */
import { swimPresets } from "@mycnet/protocols/swim";
import { SwimCluster } from "../../tests/harness/swim/cluster.ts";
import type { Site } from "../../tests/harness/swim/site.ts";

const { default: preset } = swimPresets;
/** The protocol period, ms. */
export const periodMs = preset.probeIntervalMs;

/**
 * The defaults, but for streams that are not compressed: here all members share one
 * processor. Where only the first detection counts, nobody need hear of it either,
 * which leaves the processor free for more crashes.
 */
const shared = { ...preset, compressStreams: false };

/** How many of so many members crash: 1%, at least one. */
export function crashesOf(members: number): number {
  return Math.max(1, Math.round(members / 100));
}

/**
 * How long after a crash the first probe meets it, on average, in ms.
 *
 * Of n members k crash. Each of the M = n - k others begins one probe a period, at
 * a phase of its own, and a probe meets a given one of the N = n - 1 others with
 * probability 1/N. So none of the M has met it x ms later with probability
 * (1 - x / (N T))^M, and the integral of that is T N / (M + 1): about one period T.
 * In the lockstep rounds of the SWIM paper (section 3.1) it is e / (e - 1) periods.
 */
export function expectedProbeMs(members: number, crashes: number): number {
  return periodMs * (members - 1) / (members - crashes + 1);
}

function formed(
  members: number,
  seed: number | string,
  gossip: boolean,
  onEvent: (site: Site, type: string, about: string) => void,
): SwimCluster {
  const cluster = new SwimCluster({
    seed,
    config: gossip ? shared : { ...shared, gossipNodes: 0, pushPullIntervalMs: 0 },
    shareCards: true,
    onEvent: (site, event) => {
      if (event.type === "suspected" || event.type === "failed") {
        onEvent(site, event.type, event.member.name);
      }
    },
  });
  for (let i = 0; i < members; i++) cluster.add(`m${i}`, { expectedMembers: members });
  cluster.form();
  return cluster;
}

/** Crashes 1% of the members at random times of one period. Times of the crashes in ms, by name. */
function crashSome(cluster: SwimCluster, afterMs: number): Map<string, number> {
  const crashedAt = new Map<string, number>();
  const { random, sites, scheduler } = cluster;
  while (crashedAt.size < crashesOf(sites.length)) {
    const site = random.pick(sites);
    if (crashedAt.has(site.name)) continue;
    const atMs = afterMs + random.float() * periodMs;
    crashedAt.set(site.name, atMs);
    scheduler.at(atMs, () => cluster.crash(site, true));
  }
  return crashedAt;
}

/** From each crash to the first suspicion anywhere, in ms. */
export function detect(members: number, seed: number | string): number[] {
  const suspectedMs: number[] = [];
  const cluster = formed(members, seed, false, (_site, _type, about) => {
    const atMs = crashedAt.get(about);
    if (atMs === undefined) return;
    crashedAt.delete(about);
    suspectedMs.push(cluster.now - atMs);
  });
  const crashedAt = crashSome(cluster, periodMs);
  const limitMs = 100 * periodMs;
  while ((crashedAt.size > 0 || cluster.now < 2 * periodMs) && cluster.now < limitMs) {
    cluster.run(periodMs / 4);
  }
  if (crashedAt.size > 0) throw new Error(`${[...crashedAt.keys()]} never suspected`);
  return suspectedMs;
}

/** What became of one crash. Times in ms since the crash, except where said. */
export interface Story {
  /** The first suspicion, and the first declaration of death. */
  readonly suspectMs: number;
  readonly deadMs: number;
  /** From the first suspicion until half of the others, and all of them, had heard. */
  readonly halfHeardMs: number;
  readonly allHeardMs: number;
  /** From the first declaration of death until all others had heard. */
  readonly allBuriedMs: number;
}

/** What membership costs one member in a second. */
export interface Cost {
  readonly packets: number;
  readonly bytes: number;
  /** Of push/pulls, both ways, as written by the members. */
  readonly streamBytes: number;
}

/** What a run of some time has shown. */
export interface RunFindings {
  readonly stories: readonly Story[];
  /** Before the crash. */
  readonly quiet: Cost;
  /** In the whole run. */
  readonly whole: Cost;
  /** Members that were declared dead and were not. */
  readonly falseDeaths: number;
}

interface Heard {
  atMs: number;
  suspectMs: number[];
  deadMs: number[];
}

/** A formed cluster that runs, with 1% of crashes after a quiet time. */
export class CrashRun {
  readonly #cluster: SwimCluster;
  readonly #heard: Map<string, Heard> = new Map();
  readonly #quietMs: number;
  #quiet: Cost | undefined;
  #falseDeaths = 0;

  /** @param quietMs how long nothing happens first. */
  constructor(members: number, seed: number | string, quietMs: number) {
    this.#quietMs = quietMs;
    this.#cluster = formed(members, seed, true, (_site, type, about) => {
      const heard = this.#heard.get(about);
      if (heard === undefined) return void (type === "failed" && this.#falseDeaths++);
      (type === "failed" ? heard.deadMs : heard.suspectMs).push(this.#cluster.now);
    });
    for (const [name, atMs] of crashSome(this.#cluster, quietMs)) {
      this.#heard.set(name, { atMs, suspectMs: [], deadMs: [] });
    }
  }

  /** Virtual time passes. */
  advance(ms: number): void {
    let left = ms;
    if (this.#quiet === undefined) {
      const quietLeft = Math.min(left, this.#quietMs - this.#cluster.now);
      this.#cluster.run(quietLeft);
      left -= quietLeft;
      if (this.#cluster.now < this.#quietMs) return;
      this.#quiet = this.#cost();
    }
    this.#cluster.run(left);
  }

  /** What it has shown so far. @throws if a crash is not known to all yet. */
  findings(): RunFindings {
    const others = this.#cluster.sites.length - this.#heard.size;
    const stories = [...this.#heard].map(([name, { atMs, suspectMs, deadMs }]): Story => {
      if (deadMs.length < others) {
        throw new Error(`${others - deadMs.length} members do not know that ${name} is dead`);
      }
      // Who hears only of the death has heard no later than then.
      const suspectedMs = [...suspectMs, ...deadMs].slice(0, others).sort((a, b) => a - b);
      return {
        suspectMs: suspectedMs[0] - atMs,
        deadMs: deadMs[0] - atMs,
        halfHeardMs: suspectedMs[others >> 1] - suspectedMs[0],
        allHeardMs: suspectedMs[others - 1] - suspectedMs[0],
        allBuriedMs: deadMs[others - 1] - deadMs[0],
      };
    });
    const whole = this.#cost();
    return { stories, quiet: this.#quiet ?? whole, whole, falseDeaths: this.#falseDeaths };
  }

  #cost(): Cost {
    const { sites, now } = this.#cluster;
    const share = 1000 / now / sites.length;
    const sum = (of: (site: Site) => number) => sites.reduce((all, it) => all + of(it), 0) * share;
    return {
      packets: sum((it) => it.machine.counters.packetsSent),
      bytes: sum((it) => it.machine.counters.bytesSent),
      streamBytes: sum((it) => it.streamBytes),
    };
  }
}

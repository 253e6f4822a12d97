/**
 * The experiment of the Lifeguard paper (Dadgar, Phillips, Currey 2017, section 5):
 * some members of a healthy cluster are slow, and others pay for it.
 *
 * A slow member blocks now and then: what it sends and what reaches it waits, while
 * its timers run on, so that it finds the others silent. How long it blocks and how
 * long it runs in between are drawn anew each time. Every death of a member that
 * was never slow is false. Crashes of healthy members, spread over the run, tell
 * how soon a true death is known.
 */
import { type SwimConfig, swimPresets } from "@mycnet/protocols/swim";
import type { Random } from "../../core/simulation/mod.ts";
import { SwimCluster } from "../../tests/harness/swim/cluster.ts";
import type { Site } from "../../tests/harness/swim/site.ts";

/** SWIM with Lifeguard, with memberlist's bounds. */
const lifeguard: SwimConfig = swimPresets.lan;

/** The same without local health, with one fixed suspicion time (the shortest), and nobody told that it is suspect. */
const plain: SwimConfig = {
  ...lifeguard,
  awarenessMax: 1,
  suspicionMaxMult: 1,
  suspicionConfirmations: 0,
  tellSuspects: false,
};

/** What is compared. */
export const detectors = { plain, lifeguard } as const;
/** The name of a configuration. */
export type Detector = keyof typeof detectors;

/** What a run has shown. */
export interface SlowRun {
  /** Declarations of death of members that were healthy, by anybody. */
  readonly falseDeaths: number;
  /** Members that were healthy and that anybody declared dead. */
  readonly victims: number;
  /**
   * From crash to the first suspicion and the first declaration of death, ms, of those
   * whom nobody suspected before; else a detector would shine by suspecting everybody.
   */
  readonly suspectMs: readonly number[];
  readonly deadMs: readonly number[];
}

const members = 100;
const runMs = 120_000;
const crashes = 8;
/** A block lasts between these, ms, each magnitude as likely: from a hiccup to beyond the suspicion time. */
const blockMs = [128, 32_768] as const;
/** And is followed by a time between these in which all is well. */
const wellMs = [16, 4096] as const;

interface Crash {
  readonly atMs: number;
  /** Somebody suspected it before it crashed. */
  readonly tainted: boolean;
  suspectMs?: number;
  deadMs?: number;
}

/** Runs two minutes with so many slow members. The same seed has the same slow members, blocks and crashes for each detector. */
export function runSlow(slow: number, detector: Detector, seed: number): SlowRun {
  const crashed = new Map<Site, Crash>();
  const victims = new Set<string>();
  let falseDeaths = 0;
  const cluster = new SwimCluster({
    seed,
    config: detectors[detector],
    shareCards: true,
    onEvent: (_site, event) => {
      if (event.type !== "suspected" && event.type !== "failed") return;
      const about = cluster.site(event.member.name);
      const { now } = cluster;
      const crash = crashed.get(about);
      if (event.type === "suspected") {
        if (crash !== undefined) crash.suspectMs ??= now - crash.atMs;
      } else if (crash !== undefined) {
        crash.deadMs ??= now - crash.atMs;
      } else if (!slowSites.has(about)) {
        falseDeaths++;
        victims.add(about.name);
      }
    },
  });
  for (let i = 0; i < members; i++) cluster.add(`m${i}`);
  cluster.form();
  const random = cluster.random.fork("experiment");
  const slowSites = new Set(cluster.sites.slice(0, slow));
  for (const site of slowSites) blockOnAndOff(cluster, site, random.fork(site.name));
  for (let i = 1; i <= crashes; i++) {
    const site = cluster.sites[members - i];
    // Early enough that even the longest suspicion ends within the run.
    cluster.scheduler.at(runMs * i / (crashes + 1) / 2, () => {
      const tainted = cluster.sites.some((it) =>
        it.state !== "down" && it.machine.member(site.name)?.state !== "alive"
      );
      crashed.set(site, { atMs: cluster.now, tainted });
      cluster.crash(site, true);
    });
  }
  cluster.run(runMs);
  const known = (times: (number | undefined)[]) => times.filter((it) => it !== undefined);
  const clean = [...crashed.values()].filter((it) => !it.tainted);
  return {
    falseDeaths,
    victims: victims.size,
    suspectMs: known(clean.map((it) => it.suspectMs)),
    deadMs: known(clean.map((it) => it.deadMs)),
  };
}

function blockOnAndOff(cluster: SwimCluster, site: Site, random: Random): void {
  const { scheduler } = cluster;
  const between = ([least, most]: readonly [number, number]) =>
    least * (most / least) ** random.float();
  scheduler.after(random.float() * 10_000, function block(): void {
    cluster.halt(site, "blocked");
    scheduler.after(between(blockMs), () => {
      cluster.resume(site);
      scheduler.after(between(wellMs), block);
    });
  });
}

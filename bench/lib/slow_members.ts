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

/** SWIM with Lifeguard, with memberlist's bounds, as it is by default. */
const lifeguard: SwimConfig = swimPresets.lan;

/** The same with what the paper describes and no more: who hears nobody judges all the same. */
const paper: SwimConfig = { ...lifeguard, deafPeriods: 0 };

/** Without local health, with one fixed suspicion time (the shortest), and nobody told that it is suspect. */
const plain: SwimConfig = {
  ...paper,
  awarenessMax: 1,
  suspicionMaxMult: 1,
  suspicionConfirmations: 0,
  tellSuspects: false,
};

/** What is compared. */
export const detectors = { plain, paper, lifeguard } as const;
/** The name of a configuration. */
export type Detector = keyof typeof detectors;

/** How one crash became known. Times in ms since the crash, to the first of those meant; absent if none did. */
export interface CrashStory {
  /**
   * A healthy member held it not for alive when it crashed. Such a crash says nothing
   * of detection: whoever suspects everybody knows of every crash at once.
   */
  readonly accused: boolean;
  /** Until a healthy member suspected it, and declared it dead or heard so. */
  readonly suspectMs: number | undefined;
  readonly deadMs: number | undefined;
  /** The same, slow members included. */
  readonly anySuspectMs: number | undefined;
  readonly anyDeadMs: number | undefined;
}

/** What a run has shown. */
export interface SlowRun {
  /** Events of failure about members that were healthy, at any member: the paper's FP. */
  readonly falseDeaths: number;
  /** Of these, those at healthy members: the paper's FP-. */
  readonly falseDeathsAtHealthy: number;
  /** Members that were healthy and that anybody declared dead. */
  readonly victims: number;
  /** In the order of the crashes, which is the same for all detectors. */
  readonly crashes: readonly CrashStory[];
}

/** Members of the cluster. */
export const members = 100;
const runMs = 120_000;
const crashes = 8;
/** A block lasts between these, ms, each magnitude as likely: from a hiccup to beyond the suspicion time. */
const blockMs = [128, 32_768] as const;
/** And is followed by a time between these in which all is well. */
const wellMs = [16, 4096] as const;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Runs two minutes with so many slow members. The same seed has the same slow members, blocks and crashes for each detector. */
export function runSlow(slow: number, detector: Detector, seed: number): SlowRun {
  const crashed = new Map<Site, Writable<CrashStory> & { readonly atMs: number }>();
  const victims = new Set<string>();
  let falseDeaths = 0;
  let falseDeathsAtHealthy = 0;
  const cluster = new SwimCluster({
    seed,
    config: detectors[detector],
    shareCards: true,
    onEvent: (site, event) => {
      if (event.type !== "suspected" && event.type !== "failed") return;
      const about = cluster.site(event.member.name);
      const story = crashed.get(about);
      const healthy = !slowSites.has(site);
      if (story !== undefined) {
        const ms = cluster.now - story.atMs;
        if (event.type === "suspected") {
          story.anySuspectMs ??= ms;
          if (healthy) story.suspectMs ??= ms;
        } else {
          story.anyDeadMs ??= ms;
          if (healthy) story.deadMs ??= ms;
        }
      } else if (event.type === "failed" && !slowSites.has(about)) {
        falseDeaths++;
        if (healthy) falseDeathsAtHealthy++;
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
    const site = cluster.sites[members - i]!;
    // Early enough that even the longest suspicion ends within the run.
    cluster.scheduler.at(runMs * i / (crashes + 1) / 2, () => {
      const accused = cluster.sites.some((it) =>
        it.state !== "down" && !slowSites.has(it) &&
        it.machine.member(site.name)?.state !== "alive"
      );
      crashed.set(site, {
        atMs: cluster.now,
        accused,
        suspectMs: undefined,
        deadMs: undefined,
        anySuspectMs: undefined,
        anyDeadMs: undefined,
      });
      cluster.crash(site, true);
    });
  }
  cluster.run(runMs);
  return {
    falseDeaths,
    falseDeathsAtHealthy,
    victims: victims.size,
    crashes: [...crashed.values()],
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

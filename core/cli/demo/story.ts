/**
 * The demo as a story: what the children report becomes a timeline and, at the
 * end, a verdict. Pure: reports and times go in, lines and figures come out.
 *
 *   up ──kill──> killed ──client saw it──> noticed ──answer from another──> rerouted
 *      ──a server doubts it──> suspected ──gossip gives it up──> dead
 *      ──process started again──> restarted ──answer from the same node──> back
 *
 * The link is what the client notices by, within milliseconds; whether the node is
 * a member is the servers' to decide, by gossip, within seconds.
 *
 * Every moment is wall-clock time on one machine, told relative to the kill.
 * The verdict is good only if each call was answered and the killed node
 * answered again.
 */
import type { LoadReport, Report } from "./reports.ts";

/** The moments of the story, in their order. */
export const moments = [
  "kill",
  "noticed",
  "rerouted",
  "suspected",
  "dead",
  "restarted",
  "back",
] as const;
/** One of them. */
export type Moment = typeof moments[number];

/** A moment on the timeline. */
export interface TimelineEntry {
  readonly moment: Moment;
  /** Milliseconds after the kill. */
  readonly afterMs: number;
  readonly text: string;
}

/** How it ended. */
export interface Verdict {
  readonly ok: boolean;
  readonly made: number;
  readonly answered: number;
  readonly retried: number;
  readonly failed: number;
  readonly timeline: readonly TimelineEntry[];
  /** What went wrong; empty when all went well. */
  readonly problems: readonly string[];
}

/** Collects reports. */
export class Story {
  /** The node that does not gossip: to it a lost link is all there is to see. */
  readonly #client: string;
  readonly #at = new Map<Moment, { readonly at: number; readonly text: string }>();
  #load: LoadReport | undefined;
  #victim: string | undefined;

  /** @param client the id of the node that calls. */
  constructor(client: string) {
    this.#client = client;
  }

  /** The client's latest figures. */
  get load(): LoadReport | undefined {
    return this.#load;
  }

  /** The node that was killed. */
  get victim(): string | undefined {
    return this.#victim;
  }

  /** True once a moment has come. */
  has(moment: Moment): boolean {
    return this.#at.has(moment);
  }

  /** The parent killed a node. */
  killed(node: string, at: number): void {
    this.#victim = node;
    this.#mark("kill", at, `kill -9 ${node}`);
  }

  /** The parent started it again. */
  restarted(at: number): void {
    this.#mark("restarted", at, `${this.#victim} started again`);
  }

  /** A child reported. */
  report(from: string, report: Report): void {
    if (report.kind === "load") this.#load = report;
    if (!this.has("kill")) return;
    const lost = report.kind === "event" &&
      (report.type === "node_failed" || report.type === "link_down");
    if (lost && report.about === this.#victim) {
      this.#mark("noticed", report.at, `${from} lost its link to ${report.about}`);
    }
    if (report.kind === "event" && report.about === this.#victim && from !== this.#client) {
      if (report.type === "node_suspected") {
        this.#mark("suspected", report.at, `${from} got no answer from ${report.about}`);
      } else if (report.type === "node_failed") {
        this.#mark(
          "dead",
          report.at,
          `gossip declared ${report.about} dead; ${from} heard it first`,
        );
      }
    }
    if (report.kind === "answer" && report.about === this.#victim) {
      if (report.why === "rerouted") {
        this.#mark("rerouted", report.at, `the next call was answered by ${report.from}`);
      } else if (this.has("restarted")) {
        this.#mark("back", report.at, `${report.from} answers again`);
      }
    }
  }

  #mark(moment: Moment, at: number, text: string): void {
    if (!this.#at.has(moment)) this.#at.set(moment, { at, text });
  }

  /** What has happened so far, in order. */
  timeline(): readonly TimelineEntry[] {
    const start = this.#at.get("kill")?.at ?? 0;
    return moments.flatMap((moment) => {
      const entry = this.#at.get(moment);
      return entry === undefined
        ? []
        : [{ moment, afterMs: Math.max(0, entry.at - start), text: entry.text }];
    });
  }

  /** Judges. `early` names what ended the demo before its time, if anything did. */
  verdict(early?: string): Verdict {
    const { made = 0, answered = 0, retried = 0, failed = 0, firstFailure } = this.#load ?? {};
    const problems: string[] = [];
    if (early !== undefined) problems.push(early);
    if (made === 0) problems.push("the client made no call");
    if (failed > 0) problems.push(`${failed} calls failed, the first with: ${firstFailure}`);
    if (made - answered - failed !== 0) {
      problems.push(`${made - answered - failed} calls were never answered`);
    }
    for (const moment of moments) {
      if (!this.has(moment)) problems.push(`"${moment}" never came`);
    }
    const timeline = this.timeline();
    return { ok: problems.length === 0, made, answered, retried, failed, timeline, problems };
  }
}

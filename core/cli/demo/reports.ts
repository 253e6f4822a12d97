/**
 * What a demo's children tell their parent: one JSON object a line on standard
 * output. Whatever else they print (a warning of Deno's, say) is no report.
 */

/** A child is up. */
export interface ReadyReport {
  readonly kind: "ready";
  readonly node: string;
  readonly admin: string | undefined;
}

/** Something happened to a link or a peer. `at` is wall-clock time in ms. */
export interface EventReport {
  readonly kind: "event";
  readonly at: number;
  /** The type of the node event. */
  readonly type: string;
  /** The node that it is about. */
  readonly about: string;
}

/** The client's figures since its start; sent several times a second. */
export interface LoadReport {
  readonly kind: "load";
  readonly at: number;
  readonly made: number;
  readonly answered: number;
  readonly retried: number;
  readonly failed: number;
  /** Answers within the last second. */
  readonly perSecond: number;
  /** Of the calls of the last second, in ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers by node since the start. */
  readonly byNode: Readonly<Record<string, number>>;
  readonly links: readonly LinkReport[];
  /** The error of the first failed call, if any failed. */
  readonly firstFailure: string | undefined;
}

/** One link as the client sees it. */
export interface LinkReport {
  readonly node: string;
  readonly type: string;
  readonly transport: string;
  readonly health: string;
  readonly profile: string;
  readonly encryption: string;
  readonly roundTripMs: number | undefined;
}

/** The first answer from a node after it had been lost. */
export interface AnswerReport {
  readonly kind: "answer";
  readonly at: number;
  readonly from: string;
  /** How it came about: the first answer after losing a node, or the first from a node that is back. */
  readonly why: "rerouted" | "back";
  /** The node that was lost. */
  readonly about: string;
}

/** The child could not go on. */
export interface FatalReport {
  readonly kind: "fatal";
  readonly message: string;
}

/** Any of them. */
export type Report = ReadyReport | EventReport | LoadReport | AnswerReport | FatalReport;

/** Reads a line, or undefined if it is none of ours. */
export function parseReport(line: string): Report | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value = JSON.parse(line) as { kind?: unknown };
    const kinds = ["ready", "event", "load", "answer", "fatal"];
    return kinds.includes(value.kind as string) ? value as Report : undefined;
  } catch {
    return undefined;
  }
}

/** The demo on a screen: what is known, as lines. Pure. */
import type { Style } from "../output.ts";
import type { LoadReport } from "./reports.ts";
import type { TimelineEntry, Verdict } from "./story.ts";

/** What the view shows. */
export interface ViewState {
  readonly title: string;
  readonly nodes: readonly {
    readonly id: string;
    readonly type: string;
    readonly pid: number | undefined;
    readonly up: boolean;
  }[];
  readonly load: LoadReport | undefined;
  readonly timeline: readonly TimelineEntry[];
  readonly status: string;
}

/** Colours a word, or leaves it alone. */
export type Paint = (style: Style, text: string) => string;

const count = (value: number): string => value.toLocaleString("en-US");
const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

/** One line for people who watch a log instead of a screen. */
export function progressLine(load: LoadReport): string {
  return `${count(load.answered)} answered, ${count(load.perSecond)} calls/s, p50 ${
    ms(load.p50Ms)
  }, ` +
    `p99 ${ms(load.p99Ms)}, ${load.retried} retried, ${load.failed} failed`;
}

/** A moment as a line. */
export function timelineLine({ moment, afterMs, text }: TimelineEntry, tint: Paint): string {
  return `  ${tint("cyan", `+${Math.round(afterMs)} ms`.padStart(9))}  ${
    moment.padEnd(10)
  } ${text}`;
}

/** The whole screen. */
export function screen(state: ViewState, tint: Paint): string[] {
  const { load } = state;
  const lines = [tint("bold", state.title), ""];
  lines.push(
    tint(
      "dim",
      "  node        type         process   link   profile            encryption   round trip   answers",
    ),
  );
  for (const node of state.nodes) {
    const link = load?.links.find((it) => it.node === node.id);
    const cells = [
      node.id.padEnd(11),
      node.type.padEnd(12),
      (node.up ? String(node.pid ?? "") : "gone").padEnd(9),
      (link?.transport ?? "-").padEnd(6),
      (link?.profile ?? "-").padEnd(18),
      (link?.encryption ?? "-").padEnd(12),
      (link?.roundTripMs === undefined ? "-" : ms(link.roundTripMs)).padEnd(12),
      count(load?.byNode[node.id] ?? 0),
    ];
    lines.push(tint(node.up ? "green" : "red", node.up ? "● " : "○ ") + cells.join(" "));
  }
  lines.push("");
  if (load !== undefined) {
    lines.push(
      `  ${tint("bold", count(load.perSecond))} calls/s   p50 ${ms(load.p50Ms)}   p99 ${
        ms(load.p99Ms)
      }`,
    );
    lines.push(
      `  ${count(load.made)} made, ${count(load.answered)} answered, ${load.retried} retried, ` +
        tint(load.failed > 0 ? "red" : "dim", `${load.failed} failed`),
    );
    lines.push("");
  }
  for (const entry of state.timeline) lines.push(timelineLine(entry, tint));
  lines.push(tint("dim", `  ${state.status}`));
  return lines;
}

/** What is printed at the end. */
export function conclusion(verdict: Verdict, tint: Paint): string[] {
  const lines = [
    tint("bold", "Timeline"),
    ...verdict.timeline.map((it) => timelineLine(it, tint)),
    "",
  ];
  lines.push(
    `Calls: ${count(verdict.made)} made, ${count(verdict.answered)} answered, ` +
      `${count(verdict.retried)} retried, ${count(verdict.failed)} failed`,
  );
  for (const problem of verdict.problems) lines.push(tint("red", `Problem: ${problem}`));
  lines.push(
    verdict.ok
      ? tint("green", "The cluster survived: every call was answered and the killed node is back.")
      : tint("red", "The demo failed."),
  );
  return lines;
}

/**
 * What a bench found: rows of cells under columns, with the machine they come
 * from, shown as a table for people or as JSON for programs.
 */
import { type Machine, machine } from "./machine.ts";

/** A cell: text, a number, or nothing to be said. */
export type Cell = string | number | undefined;

/** One column. */
export interface Column {
  /** The key of its cells. */
  readonly key: string;
  /** With the unit. */
  readonly title: string;
}

/** What a bench found. */
export interface Report {
  /** Its name, which is also its file's: `calls` is `bench/calls.ts`. */
  readonly bench: string;
  /** What the figures are of, and how they were come by, in a sentence or two. */
  readonly what: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Readonly<Record<string, Cell>>[];
}

/** Reports with the machine they come from. */
export interface Document {
  readonly machine: Machine;
  /** Load averages (1, 5 and 15 minutes) when measuring began, and when it ended. */
  readonly load: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly reports: readonly Report[];
}

/** Puts reports together with this machine. */
export function documentOf(
  reports: readonly Report[],
  load: Document["load"],
): Document {
  return { machine: machine(), load, reports };
}

/** For people. */
export function renderDocument({ machine, load, reports }: Document): string {
  const { deno, v8, os, cores, cpu } = machine;
  return [
    `Deno ${deno} (V8 ${v8}), ${os}, ${cores} cores, ${cpu}`,
    `load average before ${load.before.join(" ")}, after ${load.after.join(" ")}`,
    ...reports.map(renderReport),
  ].join("\n");
}

/** One report as a Markdown table, which a terminal shows as well. */
export function renderReport({ bench, what, columns, rows }: Report): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ key }) => show(row[key]))),
  ];
  const widths = columns.map((_, i) => Math.max(3, ...cells.map((line) => line[i].length)));
  const isText = columns.map(({ key }) => !rows.some((row) => typeof row[key] === "number"));
  const line = (texts: readonly string[]) =>
    `| ${
      texts.map((it, i) => isText[i] ? it.padEnd(widths[i]) : it.padStart(widths[i])).join(" | ")
    } |`;
  const rule = widths.map((width, i) =>
    "-".repeat(isText[i] ? width : width - 1) + (isText[i] ? "" : ":")
  );
  return [`\n${bench}: ${what}\n`, line(cells[0]), line(rule), ...cells.slice(1).map(line)]
    .join("\n");
}

/** Three significant digits below a thousand, thousands apart above. */
function show(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell === "string") return cell;
  if (Number.isInteger(cell) || Math.abs(cell) >= 1000) {
    return Math.round(cell).toLocaleString("en-US");
  }
  return cell.toFixed(Math.max(0, 2 - Math.floor(Math.log10(Math.abs(cell) || 1))));
}

/**
 * Families as Prometheus's text format, version 0.0.4.
 *
 * For each family a line of help, a line with its type, and a line for each value;
 * a histogram has one for each bucket and two more. Backslashes and line feeds are
 * escaped, quotes too where there are quotes around. It is written here, and held
 * against prom-client in the tests, because prom-client depends on a package on
 * which `deno compile` overflows its stack (Deno 2.9).
 */
import type { ReadyFamily } from "./families.ts";

/** The media type of {@linkcode renderText}'s text. */
export const textType = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;

/** The text of these families. Their names, and those of their labels, have been checked. */
export function renderText(families: readonly ReadyFamily[]): string {
  return families.map((family) => `${linesOf(family).join("\n")}\n`).join("\n");
}

function linesOf({ name, help, type, samples }: ReadyFamily): string[] {
  const lines = [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`];
  const add = (suffix: string, labels: Labels, value: number) =>
    lines.push(`${name}${suffix}${labelText(labels)} ${numberText(value)}`);
  for (const { labels, value } of samples) {
    if (typeof value === "number") {
      add("", labels, value);
      continue;
    }
    const { bounds, cumulative, count, sum } = value;
    for (const [at, bound] of bounds.entries()) {
      add("_bucket", { ...labels, le: numberText(bound) }, cumulative[at]!);
    }
    add("_bucket", { ...labels, le: "+Inf" }, count);
    add("_sum", labels, sum);
    add("_count", labels, count);
  }
  return lines;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${escaped(value).replaceAll('"', '\\"')}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join()}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/** `+Inf` where JavaScript says Infinity. */
function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}

/**
 * What `deno task ok` runs, as data, and how it reads what the tools print.
 *
 * Deno's tools exit with success after a warning. Here a warning is a failure,
 * unless it is listed below with the reason why it must be borne.
 */

/** One step: a name and the arguments to Deno. */
export interface Step {
  readonly name: string;
  readonly args: readonly string[];
}

/** A warning that is borne, and why. */
export interface BorneWarning {
  readonly pattern: RegExp;
  /** What the line after it must say, where the tool names the place there. */
  readonly place?: RegExp;
  readonly reason: string;
}

/** Warnings that do not fail the gate. */
export const borneWarnings: readonly BorneWarning[] = [
  {
    pattern: /^warning\[unanalyzable-dynamic-import\]/,
    place: /\/core\/kernel\/import_module\.ts:/,
    reason: "plugins of the user's own are named in a configuration, so their import is computed",
  },
];

/** The steps, the quick ones first. `entryPoints` are the public modules. */
export function steps(entryPoints: readonly string[]): Step[] {
  return [
    { name: "format", args: ["fmt", "--check"] },
    { name: "lint", args: ["lint"] },
    { name: "types", args: ["task", "check"] },
    { name: "documentation", args: ["doc", "--lint", ...entryPoints] },
    { name: "publish", args: ["publish", "--dry-run", "--allow-dirty"] },
    { name: "test", args: ["task", "test"] },
  ];
}

// deno-lint-ignore no-control-regex -- escape sequences begin with a control character
const colours = /\x1b\[[0-9;]*m/g;

/** The lines of a tool's output that warn of something not borne. */
export function warningsIn(
  output: string,
  borne: readonly BorneWarning[] = borneWarnings,
): string[] {
  const lines = output.replace(colours, "").split("\n");
  return lines.filter((line, at) =>
    /^\s*warning\b/i.test(line) &&
    !borne.some(({ pattern, place }) =>
      pattern.test(line.trim()) && (place === undefined || place.test(lines[at + 1] ?? ""))
    )
  );
}

/** What `deno test` counted. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly ignored: number;
}

/** Reads the closing line of `deno test`, or returns undefined where there is none. */
export function countsIn(output: string): TestCounts | undefined {
  const line = output.replace(colours, "").split("\n").findLast((it) =>
    /^(ok|FAILED) \| \d+ passed/.test(it)
  );
  if (line === undefined) return undefined;
  const count = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(line)?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed"), ignored: count("ignored") };
}

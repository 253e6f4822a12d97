/** Help, made from the commands' own data. */
import type { Command } from "./command.ts";
import { exitCodes } from "./exit_codes.ts";
import type { Output } from "./output.ts";
import { allOptions } from "./parse.ts";

const exitMeanings: readonly (readonly [number, string])[] = [
  [exitCodes.ok, "it worked"],
  [exitCodes.failed, "it failed; the error says why"],
  [exitCodes.usage, "the command line makes no sense"],
  [exitCodes.unreachable, "no node answers"],
  [exitCodes.refused, "the node refuses: the token, or what it may do"],
  [exitCodes.interrupted, "ended by a signal"],
];

/** Two columns, indented. */
function columns(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
}

function section(out: Output, title: string, lines: readonly string[]): readonly string[] {
  return ["", out.style("bold", `${title}:`), ...lines];
}

function exitSection(out: Output): readonly string[] {
  return section(out, "Exit codes", columns(exitMeanings.map(([code, text]) => [`${code}`, text])));
}

/** Help for the whole program. */
export function programHelp(commands: readonly Command[], version: string, out: Output): string {
  return [
    `mycnet ${version}: a cluster runtime for Deno and TypeScript`,
    ...section(out, "Usage", ["  mycnet <command> [options]"]),
    ...section(out, "Commands", columns(commands.map((it) => [it.name, it.summary]))),
    ...section(
      out,
      "Options",
      columns([
        ["-h, --help", "Show help; with a command, that command's."],
        ["-V, --version", "Show the version."],
      ]),
    ),
    ...section(
      out,
      "Environment",
      columns([
        ["MYCNET_CONFIG", "The configuration file, in place of the nearest deno.json."],
        ["MYCNET_ADMIN", "The admin endpoint to ask, as --admin."],
        ["MYCNET_TOKEN", "The admin token, as --token."],
        ["NO_COLOR", "Anything: no colours."],
      ]),
    ),
    ...exitSection(out),
  ].join("\n");
}

/** Help for one command. */
export function commandHelp(command: Command, out: Output): string {
  const rows = Object.entries(allOptions(command)).map(([name, spec]): [string, string] => {
    const short = spec.short === undefined ? "    " : `-${spec.short}, `;
    const value = spec.type === "boolean" ? "" : ` <${spec.value ?? "value"}>`;
    return [`${short}--${name}${value}`, spec.description];
  });
  return [
    command.summary,
    ...section(out, "Usage", command.usage.map((it) => `  mycnet ${it}`.trimEnd())),
    ...(command.details === undefined ? [] : ["", command.details.trim()]),
    ...section(out, "Options", columns(rows)),
    ...exitSection(out),
  ].join("\n");
}

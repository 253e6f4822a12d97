/**
 * Logging of a node that the command line runs: LogTape, configured here and
 * nowhere else, so that libraries which log through LogTape land in the same
 * stream. Lines go to standard error, as text for people or JSON for programs.
 */
import {
  configure,
  dispose,
  getJsonLinesFormatter,
  getLogger,
  type LogRecord,
} from "@logtape/logtape";
import type { LogFields, LogLevel } from "../kernel/host.ts";
import type { LogSink } from "../kernel/logger.ts";
import type { CliWriter } from "./io.ts";
import { printable } from "./output.ts";

/** How lines look. */
export type LogFormat = "text" | "json";

/** All formats. */
export const logFormats: readonly LogFormat[] = ["text", "json"];

/** All levels, lowest first. */
export const logLevels: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** Where a node's log lines go until disposed. */
export interface OpenLog extends AsyncDisposable {
  readonly sink: LogSink;
}

/** LogTape's names where they differ from ours. */
const tapeLevel = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** A value that reads well bare is left bare; everything else is JSON. */
function fieldText(value: unknown): string {
  if (typeof value === "string" && /^[\w.:/@+-]+$/.test(value)) return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

/** `2025-01-31T12:00:00.000Z info  node-1 peer up peer=b`, with a stack on lines of its own. */
export function textLine({ timestamp, level, message, properties }: LogRecord): string {
  const { stack, ...fields } = properties;
  const parts = Object.entries(fields).map(([name, value]) => `${name}=${fieldText(value)}`);
  const head = [
    new Date(timestamp).toISOString(),
    (level === "warning" ? "warn" : level).padEnd(5),
    message.map(String).join(""),
    ...parts,
  ].map(printable).join(" ");
  if (level !== "error" || typeof stack !== "string") return `${head}\n`;
  return `${head}\n${stack.split("\n").map((it) => `    ${printable(it)}`).join("\n")}\n`;
}

/** What a line of JSON holds besides the fields. */
const ownNames = new Set(["@timestamp", "level", "message", "logger"]);

/** Fields beside the line's own; one that is called like one of those gets `_` at its end. */
function properties(fields: LogFields): Record<string, unknown> {
  const entries = Object.entries(fields);
  return Object.fromEntries(
    entries.map(([name, value]) => [ownNames.has(name) ? `${name}_` : name, value]),
  );
}

/** Configures LogTape and gives the sink for a host's log. */
export async function openLog(
  stderr: CliWriter,
  wallTime: () => number,
  level: LogLevel,
  format: LogFormat,
): Promise<OpenLog> {
  const jsonLine = getJsonLinesFormatter({ properties: "flatten" });
  const line = format === "json" ? jsonLine : textLine;
  await configure({
    reset: true,
    sinks: { stderr: (record) => stderr.write(line(record)) },
    loggers: [
      { category: [], lowestLevel: tapeLevel[level], sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
  const logger = getLogger(["mycnet"]);
  return {
    sink(level, message, fields) {
      // Emitted as it is: a message of ours is a sentence, never a template.
      logger.emit({
        level: tapeLevel[level],
        message: [message],
        rawMessage: message,
        timestamp: wallTime(),
        properties: properties(fields),
      });
    },
    [Symbol.asyncDispose]: () => dispose(),
  };
}

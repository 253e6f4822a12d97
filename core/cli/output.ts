/**
 * What commands print: lines, tables, JSON and errors, in colour only where a
 * person looks at it and has not asked for none (https://no-color.org).
 */
import { stripVTControlCharacters, styleText } from "node:util";
import { codeOf, type ErrorCode, errorCodes } from "../kernel/errors.ts";
import { exitCodes } from "./exit_codes.ts";
import type { CliIo, CliWriter } from "./io.ts";

/** Styles in use. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Characters that would move the cursor or worse; names and reasons come from other nodes. */
// deno-lint-ignore no-control-regex -- control characters are what it is for.
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text fit for a terminal, whoever wrote it. */
export function printable(text: string): string {
  return text.replace(controls, "\ufffd");
}

/** The output of one command. */
export class Output {
  /** True: JSON was asked for. */
  readonly json: boolean;
  readonly #io: CliIo;
  readonly #colour: boolean;

  /** Writes to `io`; `json` as asked for. */
  constructor(io: CliIo, json: boolean) {
    this.#io = io;
    this.json = json;
    const refused = io.env("NO_COLOR");
    this.#colour = !json && (refused === undefined || refused === "") && io.env("TERM") !== "dumb";
  }

  /** Styles a text for standard output. */
  style(style: Style, text: string): string {
    return this.#styled(this.#io.stdout, style, text);
  }

  /** One line. What it holds must be our own text or {@linkcode printable}. */
  line(text = ""): void {
    this.#io.stdout.write(`${text}\n`);
  }

  /** One value as JSON: on one line when asked for by `--json` or piped, spread out for a person. */
  value(value: unknown): void {
    const wide = !this.json && this.#io.stdout.isTerminal;
    this.line(JSON.stringify(value, undefined, wide ? 2 : undefined));
  }

  /** A table with a head; columns as wide as they need to be. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    const clean = rows.map((row) => row.map(cell));
    const widths = head.map((title, at) =>
      Math.max(title.length, ...clean.map((row) => stripVTControlCharacters(row[at] ?? "").length))
    );
    const layout = (cells: readonly string[]) =>
      cells.map((text, at) =>
        at === cells.length - 1
          ? text
          : text + " ".repeat(widths[at] - stripVTControlCharacters(text).length)
      ).join("  ").trimEnd();
    this.line(this.style("bold", layout(head)));
    for (const row of clean) this.line(layout(row));
  }

  /** A remark beside the result, on standard error. */
  note(text: string): void {
    this.#io.stderr.write(`${text}\n`);
  }

  /** Prints an error and tells the exit code that it means. */
  fail(error: unknown): number {
    const { code, message, remedy } = describe(error);
    if (this.json) {
      this.#io.stderr.write(`${JSON.stringify({ error: { code, message, remedy } })}\n`);
    } else {
      const stderr = this.#io.stderr;
      stderr.write(`${this.#styled(stderr, "red", "error:")} ${printable(message)}\n`);
      if (remedy !== undefined) stderr.write(`  ${this.#styled(stderr, "dim", remedy)}\n`);
    }
    return exitOf(code);
  }

  #styled(writer: CliWriter, style: Style, text: string): string {
    if (!this.#colour || !writer.isTerminal) return text;
    return styleText(style, text, { validateStream: false });
  }
}

/** A cell on one line. Styles that `style` made are kept, other control characters are not. */
function cell(text: string): string {
  // deno-lint-ignore no-control-regex -- the escape sequences that styleText writes.
  return text.split(/(\x1b\[\d+m)/).map((it, at) => at % 2 === 1 ? it : printable(it)).join("")
    .replaceAll(/[\t\n]/g, " ");
}

/** What to say of an error: the remedy of a problem document goes before that of the table. */
function describe(error: unknown): { code: string; message: string; remedy: string | undefined } {
  const code = codeOf(error) ?? "internal";
  const message = error instanceof Error ? error.message : String(error);
  const own = (error as { remedy?: unknown } | null)?.remedy;
  if (typeof own === "string") return { code, message, remedy: own };
  const known = code !== "internal" && Object.hasOwn(errorCodes, code);
  return { code, message, remedy: known ? errorCodes[code as ErrorCode] : undefined };
}

/** The exit code of an error code. */
export function exitOf(code: string): number {
  switch (code) {
    case "usage":
    case "node_ambiguous":
      return exitCodes.usage;
    case "node_unreachable":
      return exitCodes.unreachable;
    case "unauthenticated":
    case "permission_denied":
    case "host_refused":
      return exitCodes.refused;
    case "cancelled":
      return exitCodes.interrupted;
    default:
      return exitCodes.failed;
  }
}

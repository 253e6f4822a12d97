/**
 * Writing into the `mycnet` key of a deno.json without disturbing the rest:
 * comments, order and indentation stay as their author left them.
 */
import { applyEdits, modify, parse } from "jsonc-parser";
import { dirname, join, resolve } from "node:path";
import { MycnetError } from "../kernel/errors.ts";
import { parseConfigText } from "../node/config/file.ts";
import type { CliIo } from "./io.ts";
import { configOf } from "./state_folder.ts";

/** A file that declares a node, or will. */
export interface EditableConfig {
  /** Absolute. */
  readonly path: string;
  /** Its text; undefined if the file does not exist yet. */
  readonly text: string | undefined;
  /** The value of its `mycnet` key; undefined without one. */
  readonly value: unknown;
}

/** One setting under the `mycnet` key. */
export interface Setting {
  /** Keys from `mycnet` inwards, e.g. `["node", "id"]`. */
  readonly path: readonly string[];
  readonly value: unknown;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new MycnetError("config_unreadable", `${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/**
 * The file to write to: the one named, else the nearest that has a `mycnet`
 * key, else the deno.json of the working directory, which need not exist.
 */
export async function editableConfig(
  io: CliIo,
  given: string | undefined,
): Promise<EditableConfig> {
  if (given === undefined) {
    const found = await configOf(io, undefined);
    if (found !== undefined) return found;
  }
  const candidates = given === undefined ? ["deno.json", "deno.jsonc"] : [given];
  for (const name of candidates) {
    const path = resolve(io.cwd, name);
    const text = await readIfThere(path);
    if (text !== undefined) return { path, text, value: await parseConfigText(text, path) };
  }
  return { path: resolve(io.cwd, candidates[0]), text: undefined, value: undefined };
}

/** Spaces or a tab, by the first indented line. */
function indentation(text: string): { readonly insertSpaces: boolean; readonly tabSize: number } {
  const indent = /^([ \t]+)\S/m.exec(text)?.[1] ?? "  ";
  return { insertSpaces: !indent.startsWith("\t"), tabSize: Math.min(indent.length, 8) };
}

/** The text with the settings made; what is already so is not touched. */
export function withSettings(text: string, settings: readonly Setting[]): string {
  const start = text.trim() === "" ? "{}\n" : text;
  const formattingOptions = {
    ...indentation(start),
    eol: start.includes("\r\n") ? "\r\n" : "\n",
  };
  return settings.reduce((now, { path, value }) => {
    const whole = ["mycnet", ...path];
    // deno-lint-ignore no-explicit-any -- JSON of any shape, read by a path.
    const present = whole.reduce((at: any, key) => at?.[key], parse(now));
    if (JSON.stringify(present) === JSON.stringify(value)) return now;
    return applyEdits(now, modify(now, whole, value, { formattingOptions }));
  }, start);
}

/** Writes a configuration whole or not at all, keeping its mode. */
export async function writeConfig(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  // A link is followed, so that what it points to is written and not replaced.
  const target = await Deno.realPath(path).catch(() => path);
  const mode = await Deno.stat(target).then((it) => it.mode ?? undefined, () => undefined);
  const draft = join(dirname(target), `.${Deno.pid}.mycnet.tmp`);
  try {
    await Deno.writeTextFile(draft, text, mode === undefined ? {} : { mode: mode & 0o777 });
    await Deno.rename(draft, target);
  } catch (error) {
    await Deno.remove(draft).catch(() => {});
    throw new MycnetError(
      "config_unreadable",
      `cannot write ${path}: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

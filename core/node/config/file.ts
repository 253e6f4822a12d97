/**
 * Where the declaration of a node comes from.
 *
 * Looked for in this order: the path given, `MYCNET_CONFIG`, the nearest
 * deno.json or deno.jsonc from the working directory upward that has a
 * `mycnet` key, and the deno.json embedded in an executable. The file is JSON
 * with comments. Only its `mycnet` key is ours; whatever else is in it is not
 * looked at. What is wrong is reported with file, line and column.
 */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { MycnetError } from "../../kernel/errors.ts";

/** A configuration file as read. */
export interface ConfigFile {
  /** Absolute path. */
  readonly path: string;
  /** The value of its `mycnet` key, not yet checked. */
  readonly value: unknown;
  /** The text of the whole file, to tell a change. */
  readonly text: string;
}

/** The file names tried in each folder. */
const names = ["deno.json", "deno.jsonc"];

/** The value of a text that is plain JSON; undefined for any other. */
function parsePlain(text: string): unknown {
  // Such a key, spelt out or escaped, would be an ordinary one here, and has to be refused.
  if (/__proto__|\\u/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The `mycnet` key of a text, or undefined if there is none.
 * @throws `config_unreadable` when the text is not JSON with comments, `config_invalid` for a
 * key that no object can have.
 */
export async function parseConfigText(text: string, path: string): Promise<unknown> {
  const whole = parsePlain(text) ?? (await import("./jsonc.ts")).parseJsonc(text, path);
  if (typeof whole !== "object" || whole === null) return undefined;
  return (whole as Record<string, unknown>).mycnet;
}

/** Reads one file, which must have a `mycnet` key. */
export async function readConfig(path: string): Promise<ConfigFile> {
  const absolute = resolve(path);
  let text: string;
  try {
    text = await Deno.readTextFile(absolute);
  } catch (error) {
    throw new MycnetError("config_unreadable", `${absolute}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const value = await parseConfigText(text, absolute);
  if (value === undefined) {
    throw new MycnetError("config_unreadable", `${absolute} has no "mycnet" key`);
  }
  return { path: absolute, value, text };
}

/** The nearest file with a `mycnet` key, from `folder` upward. */
async function nearest(folder: string): Promise<ConfigFile | undefined> {
  for (let at = resolve(folder);; at = dirname(at)) {
    for (const name of names) {
      const path = join(at, name);
      let text: string;
      try {
        text = await Deno.readTextFile(path);
      } catch {
        continue; // Absent, or not ours to read: look further up.
      }
      const value = await parseConfigText(text, path);
      if (value !== undefined) return { path, value, text };
    }
    if (dirname(at) === at) return undefined;
  }
}

/** An environment variable, or undefined where there is none or it may not be read. */
function variable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch {
    return undefined;
  }
}

/**
 * Finds the declaration.
 * @param given a path that overrides the search.
 * @param cwd where the search starts. Default: the working directory.
 */
export async function findConfig(
  given: string | undefined,
  cwd: string = Deno.cwd(),
): Promise<ConfigFile | undefined> {
  const named = given ?? (variable("MYCNET_CONFIG") || undefined); // Set to nothing is as good as not set.
  if (named !== undefined) return await readConfig(resolve(cwd, named));
  const found = await nearest(cwd);
  if (found !== undefined || !Deno.build.standalone) return found;
  return await nearest(dirname(fileURLToPath(Deno.mainModule)));
}

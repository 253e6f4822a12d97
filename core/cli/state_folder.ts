/** Where the state of the nodes that a command is about lies. */
import { dirname, resolve } from "node:path";
import { type ConfigFile, findConfig } from "../node/config/file.ts";
import type { CliIo } from "./io.ts";

/** The state folder's name unless the configuration says otherwise. */
export const defaultStateDir = ".mycnet";

/** The configuration file that a command line names, or the nearest; undefined if there is none. */
export async function configOf(
  io: CliIo,
  given: string | undefined,
): Promise<ConfigFile | undefined> {
  return await findConfig(given ?? io.env("MYCNET_CONFIG"), io.cwd);
}

/** `node.stateDir` of an unchecked `mycnet` key. */
export function declaredStateDir(value: unknown): string | undefined {
  const node = (value as { node?: { stateDir?: unknown } } | null | undefined)?.node;
  return typeof node?.stateDir === "string" ? node.stateDir : undefined;
}

/** The state folder, absolute: by the option, by the configuration, or the usual one in the working directory. */
export async function stateFolder(
  io: CliIo,
  options: { readonly "state-dir"?: string; readonly config?: string },
): Promise<string> {
  const given = options["state-dir"];
  if (given !== undefined) return resolve(io.cwd, given);
  const file = await configOf(io, options.config);
  if (file === undefined) return resolve(io.cwd, defaultStateDir);
  return resolve(dirname(file.path), declaredStateDir(file.value) ?? defaultStateDir);
}

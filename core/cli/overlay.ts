/**
 * What a command line says of a node beside its configuration file, laid over
 * that at the start and at every reload, whatever form the file declares the
 * plugins in.
 */
import type { Entry } from "../kernel/entry.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { StartOptions } from "./runtime.ts";

/** What can be laid over. */
export type Overlay = Pick<StartOptions, "adminAddress" | "seeds">;

/** Changes what a declaration resolved to. @throws `usage` if the plugin that an option is about is switched off. */
export function overlay({ adminAddress, seeds = [] }: Overlay): (entries: Entry[]) => Entry[] {
  return (entries) => {
    let changed = entries;
    if (adminAddress !== undefined) {
      changed = configure(changed, "admin", "--admin", (config) => ({
        ...config,
        bindAddress: adminAddress,
      }));
    }
    if (seeds.length > 0) {
      changed = configure(changed, "static", "--seed", (config) => ({
        ...config,
        seeds: Array.isArray(config.seeds) || config.seeds === undefined
          ? [...config.seeds ?? [], ...seeds]
          : config.seeds, // Not ours to mend: the plugin says what is wrong with it.
      }));
    }
    return changed;
  };
}

/** Changes the configuration of the first instance of a plugin. */
function configure(
  entries: readonly Entry[],
  name: string,
  option: string,
  change: (config: Readonly<Record<string, unknown>>) => unknown,
): Entry[] {
  const at = entries.findIndex(({ plugin }) => plugin.name === name);
  if (at < 0) {
    throw new MycnetError(
      "usage",
      `${option}: the configuration switches the plugin "${name}" off`,
    );
  }
  const { config = {}, ...entry } = entries[at];
  if (typeof config !== "object" || config === null) return [...entries];
  return entries.with(at, { ...entry, config: change(config as Record<string, unknown>) });
}

/**
 * A declaration as the kernel takes it: instances of plugins, each with its
 * configuration. All of it is checked here before anything stops or starts,
 * and all that is wrong is said at once.
 */
import type { Plugin } from "./plugin.ts";
import { isPlugin } from "./define_plugin.ts";
import { MycnetError } from "./errors.ts";
import { startOrder } from "./graph.ts";
import { formatIssue, formatPath } from "./issues.ts";
import { copyRaw } from "./raw_config.ts";

/** One instance of a plugin, its module already imported. */
export interface Entry {
  /** The instance id: the key under `mycnet.plugins`. Unique in a declaration. */
  readonly id: string;
  /** The plugin. The same object twice gives two instances. */
  readonly plugin: Plugin<unknown>;
  /** The configuration as written, not yet parsed. Default `{}`. */
  readonly config?: unknown;
  /** Where the configuration stands, for errors. Default: the instance id. */
  readonly path?: readonly string[];
}

/** An entry whose configuration has been parsed. */
export interface PreparedEntry {
  readonly id: string;
  readonly plugin: Plugin<unknown>;
  /** A copy of the configuration as written: what a later declaration is compared with. */
  readonly raw: unknown;
  /** The configuration as the plugin reads it. */
  readonly config: unknown;
}

/**
 * Checks a whole declaration and puts it into start order.
 * @throws `plugin_invalid`, `config_invalid` (all issues of all plugins),
 * `plugin_missing`, `plugin_ambiguous` or `plugin_cycle`.
 */
export function prepare(wanted: readonly Entry[]): PreparedEntry[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  const prepared: PreparedEntry[] = [];
  for (const { id, plugin, config = {}, path = [id] } of wanted) {
    if (!isPlugin(plugin)) {
      throw new MycnetError("plugin_invalid", `"${id}" is not a plugin`);
    }
    if (seen.has(id)) problems.push(`${id}: this instance id is declared twice`);
    seen.add(id);
    try {
      const raw = copyRaw(config);
      const parsed = plugin.parse(raw);
      if (parsed.ok) prepared.push({ id, plugin, raw, config: parsed.value });
      else problems.push(...parsed.issues.map((issue) => formatIssue(issue, path)));
    } catch (error) {
      problems.push(`${formatPath(path)}: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (problems.length > 0) throw new MycnetError("config_invalid", problems.join("\n"));
  return startOrder(prepared);
}

/**
 * What a declaration must be granted: the union of what its plugins say they
 * touch, and the same as a permission set of deno.json.
 */
import type { Permissions } from "./plugin.ts";
import { type Entry, prepare } from "./entry.ts";

const kinds = ["net", "read", "write", "env", "sys"] as const;

/** The union: `true` (anything) swallows every list; lists are sorted and without repeats. */
export function mergePermissions(all: readonly Permissions[]): Permissions {
  const merged: Partial<Record<keyof Permissions, readonly string[] | true>> = {};
  for (const kind of kinds) {
    const asked = all.map((permissions) => permissions[kind]).filter((it) => it !== undefined);
    if (asked.includes(true)) merged[kind] = true;
    else {
      const names = new Set((asked as readonly (readonly string[])[]).flat());
      if (names.size > 0) merged[kind] = [...names].sort();
    }
  }
  return merged;
}

/** What all plugins of a declaration touch. @throws as {@linkcode prepare} does, if the declaration is wrong. */
export function declaredPermissions(wanted: readonly Entry[]): Permissions {
  return mergePermissions(
    prepare(wanted).map(({ plugin, config }) => plugin.permissions(config)),
  );
}

/**
 * The permissions as the `permissions` key of deno.json, for
 * `deno run -P=<name>`.
 * @param name The name of the set, e.g. `"node"`.
 */
export function formatPermissionSet(name: string, permissions: Permissions): string {
  return JSON.stringify({ permissions: { [name]: mergePermissions([permissions]) } }, null, 2);
}

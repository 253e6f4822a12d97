/**
 * What a node must be granted: what its plugins say that they touch, and what
 * reading the declaration itself takes.
 *
 * Paths come out absolute, since a plugin names a file as the configuration
 * does, relative to that, and a flag is relative to wherever one stands. For a
 * plugin of the user's own it is the folder of its module: Deno asks for leave
 * to load that and whatever it imports.
 */
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { declaredPermissions, mergePermissions } from "../kernel/permissions.ts";
import { importModule } from "../kernel/import_module.ts";
import type { BuiltIns } from "../kernel/declaration.ts";
import type { Permissions } from "../kernel/plugin.ts";
import { controlPlugin } from "../node/control.ts";
import { resolveEntries } from "../node/create_node.ts";
import { checkShape } from "../node/config/declaration.ts";
import { findConfig } from "../node/config/file.ts";
import { runtimeVersion } from "../node/version.ts";

/** Stands in for the node's control, which others need and which touches nothing. */
const control = controlPlugin({
  runtimeVersion,
  startedAt: 0,
  isReady: () => false,
  isLeaving: () => false,
  plugins: () => [],
  join: () => Promise.resolve([]),
  leave: () => Promise.resolve(),
});

/** What a node with this configuration file (undefined: the nearest, else defaults) must be granted. */
export async function permissionsOf(
  builtIns: BuiltIns,
  path: string | undefined,
): Promise<Permissions> {
  const file = await findConfig(path);
  const config = file === undefined ? {} : checkShape(file.value, `${file.path}: mycnet`);
  const baseDir = file === undefined ? Deno.cwd() : dirname(file.path);
  const modules: string[] = [];
  const load = (specifier: string): Promise<unknown> => {
    if (specifier.startsWith("file:")) modules.push(dirname(fileURLToPath(specifier)));
    return importModule(specifier);
  };
  const entries = await resolveEntries(builtIns, config, baseDir, load);
  const declared = declaredPermissions([...entries, { id: "node", plugin: control }]);
  const absolute = (paths: Permissions["read"]) =>
    paths === undefined || paths === true ? paths : paths.map((it) => resolve(baseDir, it));
  const { read, write, ...others } = declared;
  return mergePermissions([
    others,
    { read: absolute(read), write: absolute(write) },
    { read: [...file === undefined ? [] : [file.path], ...modules] },
  ]);
}

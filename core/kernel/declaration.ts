/**
 * Turns `mycnet.plugins` as written into entries for the kernel:
 *
 *   "tls": { ... }                              a built-in; the value is its configuration
 *   "tls": true                                 the same, all defaults
 *   "lan": { "use": "tcp", "config": { ... } }  another instance, or a plugin of one's own
 *   "quic": false                               switched off, where a default declares it
 *
 * `use` is the name of a built-in, a path relative to the configuration file,
 * an npm:, jsr: or file: specifier, or, in code, the plugin itself. Loading a
 * module is a function passed in, so that this file does no I/O. All that is
 * wrong with a declaration is said at once.
 */
import type { Plugin } from "./plugin.ts";
import type { Entry } from "./entry.ts";
import { isPlugin } from "./define_plugin.ts";
import { type ErrorCode, MycnetError } from "./errors.ts";
import { unknownKey } from "./issues.ts";
import { didYouMean } from "./nearest.ts";

/** What stands under one key of `mycnet.plugins`; {@linkcode resolveDeclaration} says what it means. In code a plugin may stand there itself. */
export type DeclaredPlugin = boolean | Readonly<Record<string, unknown>> | Plugin<unknown>;

/** `mycnet.plugins`: instance ids to what they are. */
export type Declaration = Readonly<Record<string, DeclaredPlugin>>;

/** Built-ins by name, each a literal `import()`. */
export type BuiltIns = Readonly<
  Record<string, () => Promise<{ readonly default: Plugin<unknown> }>>
>;

/** Options of {@linkcode resolveDeclaration}. */
export interface DeclarationOptions {
  /** Plugins by name. */
  readonly builtIns: BuiltIns;
  /** Plugins that the program itself brings, by name. They come before built-ins of the same name. */
  readonly values?: Readonly<Record<string, Plugin<unknown>>>;
  /** The folder of the configuration file: an absolute path or a file URL. What relative paths are relative to. */
  readonly base: string | URL;
  /** Loads a module by an absolute specifier. */
  readonly load: (specifier: string) => Promise<unknown>;
  /** Where the declaration stands, for errors. Default `["mycnet", "plugins"]`. */
  readonly path?: readonly string[];
}

/** What an instance id may look like: it is a key, a file name and a metric label. */
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** The most instances in one declaration. */
const mostInstances = 256;

/** Puts declarations over one another, instance by instance: a later one replaces the whole instance. */
export function mergeDeclarations(...layers: readonly (Declaration | undefined)[]): Declaration {
  return Object.fromEntries(layers.flatMap((layer) => Object.entries(layer ?? {})));
}

/**
 * Resolves a declaration, loading the modules that it names.
 * @throws `config_invalid`, `plugin_unknown` or `plugin_invalid`, naming each
 * field and, for a mistyped name, the nearest known one.
 */
export async function resolveDeclaration(
  declaration: unknown,
  options: DeclarationOptions,
): Promise<Entry[]> {
  const path = options.path ?? ["mycnet", "plugins"];
  if (!isRecord(declaration)) {
    throw new MycnetError("config_invalid", `${path.join(".")}: must be an object of plugins`);
  }
  const declared = Object.entries(declaration);
  if (declared.length > mostInstances) {
    throw new MycnetError("config_invalid", `${path.join(".")}: at most ${mostInstances} plugins`);
  }
  const results = await Promise.allSettled(
    declared.map(([id, value]) => resolveOne(id, value, [...path, id], options)),
  );
  const errors = results.filter((it) => it.status === "rejected").map((it) => it.reason);
  if (errors.length > 0) throw combined(errors);
  return results.flatMap((it) =>
    it.status === "fulfilled" && it.value !== undefined ? it.value : []
  );
}

async function resolveOne(
  id: string,
  value: unknown,
  path: readonly string[],
  options: DeclarationOptions,
): Promise<Entry | undefined> {
  const at = path.join(".");
  if (!idPattern.test(id)) {
    throw new MycnetError(
      "config_invalid",
      `${at}: an instance id has 1 to 63 letters, digits, ".", "_" or "-", and begins with a letter or digit`,
    );
  }
  if (value === false) return undefined;
  if (value === true) return { id, plugin: await byName(id, at, options), config: {}, path };
  if (isPlugin(value)) return { id, plugin: value, config: {}, path };
  if (!isRecord(value)) {
    throw new MycnetError("config_invalid", `${at}: must be an object, true or false`);
  }
  if (!Object.hasOwn(value, "use")) {
    return { id, plugin: await byName(id, at, options), config: value, path };
  }
  const { use, config = {}, ...rest } = value;
  const [stray] = Object.keys(rest);
  if (stray !== undefined) {
    const hint = unknownKey(stray, ["use", "config"]);
    throw new MycnetError(
      "config_invalid",
      `${at}: ${hint} (beside "use", settings go in "config")`,
    );
  }
  const plugin = isPlugin(use) ? use : await bySpecifier(use, `${at}.use`, options);
  return { id, plugin, config, path: [...path, "config"] };
}

function bySpecifier(
  use: unknown,
  at: string,
  options: DeclarationOptions,
): Promise<Plugin<unknown>> {
  if (typeof use !== "string") {
    throw new MycnetError("config_invalid", `${at}: must name a plugin, as text`);
  }
  if (/^\.{0,2}\//.test(use)) {
    return loadPlugin(use, new URL(use, folderUrl(options.base)).href, at, options);
  }
  if (/^(?:npm|jsr|file):/.test(use)) return loadPlugin(use, use, at, options);
  return byName(use, at, options);
}

async function byName(
  name: string,
  at: string,
  { values = {}, builtIns }: DeclarationOptions,
): Promise<Plugin<unknown>> {
  if (Object.hasOwn(values, name)) return values[name]!;
  if (Object.hasOwn(builtIns, name)) return (await builtIns[name]!()).default;
  const hint = didYouMean(name, [...Object.keys(values), ...Object.keys(builtIns)]);
  throw new MycnetError("plugin_unknown", `${at}: there is no plugin "${name}"${hint}`);
}

async function loadPlugin(
  use: string,
  specifier: string,
  at: string,
  { load }: DeclarationOptions,
): Promise<Plugin<unknown>> {
  const module = await load(specifier).catch((error) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new MycnetError("plugin_unknown", `${at}: cannot load "${use}": ${why}`, {
      cause: error,
    });
  });
  const plugin = (module as { default?: unknown } | null)?.default;
  if (isPlugin(plugin)) return plugin;
  throw new MycnetError("plugin_invalid", `${at}: the default export of "${use}" is not a plugin`);
}

/** A folder as a URL that ends in a slash, so that names are resolved inside it. */
function folderUrl(folder: string | URL): URL {
  const text = folder instanceof URL ? folder.href : folder;
  return new URL(text.startsWith("file:") ? `${text.replace(/\/*$/, "")}/` : pathToUrl(text));
}

function pathToUrl(path: string): string {
  const slashed = /^[A-Za-z]:/.test(path) ? `/${path.replaceAll("\\", "/")}` : path;
  const encoded = slashed.split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":");
  return `file://${encoded.replace(/\/*$/, "")}/`;
}

/** One error of several: the first one's code, everybody's message. */
function combined(errors: readonly unknown[]): unknown {
  if (errors.length === 1) return errors[0];
  const messages = errors.map((error) => error instanceof Error ? error.message : String(error));
  const code = (errors[0] as { code?: ErrorCode }).code ?? "config_invalid";
  return new MycnetError(code, messages.join("\n"), { cause: new AggregateError(errors) });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

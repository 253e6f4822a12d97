/**
 * What a plugin is: a name, the capability it provides, the capabilities it
 * needs, a configuration, and a `setup` that returns what it provides.
 */
import type { Host } from "./host.ts";
import type { Schema } from "./schema.ts";

/** A contract a plugin asks for, and how many providers it accepts. */
export interface Need<T> {
  /** The name of the capability or slot. */
  readonly id: string;
  /** `one`: exactly one. `maybe`: none or one. `live`: any number, changing while the plugin runs. */
  readonly arity: "one" | "maybe" | "live";
  /** Phantom: never set, carries the type of the contract. */
  readonly contract?: T;
}

/** A named contract, and at once the need for exactly one provider of it. */
export interface Capability<T> extends Need<T> {
  /** Always: the token itself asks for exactly one provider. */
  readonly arity: "one";
}

/** Names a contract. Identity is the name, so it survives a hot reload. */
export function capability<T>(id: string): Capability<T> {
  return { id, arity: "one" };
}

/** A named list that the kernel keeps and any plugin may contribute to. */
export interface Slot<T> {
  /** What tells it apart, e.g. `"admin.routes"`. */
  readonly id: string;
  /** Phantom: never set, carries the type of a contribution. */
  readonly contribution?: T;
}

/** Names a list. */
export function slot<T>(id: string): Slot<T> {
  return { id };
}

/** Needs a provider if there is one. */
export function maybe<T>({ id }: Capability<T>): Need<T | undefined> {
  return { id, arity: "maybe" };
}

/**
 * Needs every provider of a capability, or every contribution to a slot, as a
 * list that changes in place. It is a soft edge: providers start first unless
 * that makes a cycle, and a provider's restart does not restart the consumer.
 */
export function live<T>({ id }: Capability<T> | Slot<T>): Need<LiveList<T>> {
  return { id, arity: "live" };
}

/** One value in a live list. */
export interface LiveEntry<T> {
  /** The instance id of the plugin that contributed it. */
  readonly plugin: string;
  /** What it contributed. */
  readonly value: T;
}

/** A list that the kernel keeps up to date while plugins come and go. */
export interface LiveList<T> extends Iterable<T> {
  /** How many there are now. */
  readonly size: number;
  /** The values with their contributors, in the order of arrival. */
  entries(): readonly LiveEntry<T>[];
  /**
   * Runs `attach` for each present value and for each that arrives. What it
   * returns is disposed of, and awaited, when the value leaves (before its
   * provider stops) or when the subscription is disposed, which happens by
   * itself when the subscriber stops. An `attach` that throws is logged.
   */
  each(attach: (value: T, plugin: string) => Disposable | AsyncDisposable | void): AsyncDisposable;
}

/** The needs of a plugin by the names under which it will find them. */
export type Needs = Readonly<Record<string, Need<unknown>>>;

/** What a plugin finds under `scope.needs`. */
export type Resolved<N extends Needs> = {
  readonly [K in keyof N]: N[K] extends Need<infer T> ? T : never;
};

/** All that a plugin may touch; what it owns is undone when it stops. */
export interface Scope<C, N extends Needs> {
  /** The instance id: the key under `mycnet.plugins`. */
  readonly id: string;
  /** The parsed configuration. After an accepted reconfiguration it reads as the new one. */
  readonly config: C;
  /** What the plugin needs, resolved. */
  readonly needs: Resolved<N>;
  /** The impure world, its logger naming this plugin. */
  readonly host: Host;
  /** Aborts first thing when the plugin stops. */
  readonly signal: AbortSignal;
  /** Aborts before that if everything stops for good. Otherwise the plugin stops for a reload, and another may take its place. */
  readonly closing: AbortSignal;
  /** Takes charge of a resource: undone in reverse order when the plugin stops. On an ended scope it disposes of the resource at once and throws. */
  own<R extends Disposable | AsyncDisposable>(resource: R): R;
  /** Puts a value on a list until the plugin stops, or until the returned undo is disposed. What is contributed during `setup` is seen by others once `setup` has returned. */
  contribute<T>(slot: Slot<T>, value: NoInfer<T>): AsyncDisposable;
  /** Offers a changed configuration before restarting: return true to carry on with it. */
  onReconfigure(accept: (next: C) => boolean): void;
}

/** One problem in a configuration. */
export interface ConfigIssue {
  /** The field, e.g. `["tls", "certPath"]`. */
  readonly path: readonly (string | number)[];
  /** What is wrong, and what would be right. */
  readonly message: string;
}

/** What parsing a configuration gives. */
export type ParsedConfig =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** What a plugin may touch outside the process; the union over a declaration is what a node must be granted. */
export interface Permissions {
  /** Hosts (`host:port`, or `host`) to listen on or connect to; `true` for any. */
  readonly net?: readonly string[] | true;
  /** Files and folders to read; `true` for any. */
  readonly read?: readonly string[] | true;
  /** Files and folders to write. */
  readonly write?: readonly string[] | true;
  /** Environment variables to read. */
  readonly env?: readonly string[] | true;
  /** `Deno.systemMemoryInfo` and the like. */
  readonly sys?: readonly string[] | true;
}

/**
 * A plugin, its types checked by {@linkcode definePlugin} and then erased.
 * The one type parameter is what it provides.
 */
export interface Plugin<P> {
  /** Its name, unique among the built-ins, e.g. `"tls"`. */
  readonly name: string;
  /** One line for `mycnet schema` and the documentation. */
  readonly summary: string;
  /** The plugin's kind. */
  readonly provides: Capability<P>;
  /** What it needs. */
  readonly needs: Needs;
  /** Checks a configuration. Never throws. */
  parse(config: unknown): ParsedConfig;
  /** The JSON Schema (draft 2020-12) of the configuration as a user writes it. */
  schema(): Readonly<Record<string, unknown>>;
  /** What it may touch, given a parsed configuration. */
  permissions(config: unknown): Permissions;
  /** Starts it. `scope.config` has been parsed. */
  setup(scope: Scope<unknown, Needs>): P | Promise<P>;
}

/**
 * What {@linkcode definePlugin} is given. `config` is any synchronous Standard
 * Schema that can render itself as JSON Schema; zod's can.
 */
export interface PluginDefinition<P, C, N extends Needs> {
  /** See {@linkcode Plugin.name}. */
  readonly name: string;
  /** See {@linkcode Plugin.summary}. */
  readonly summary: string;
  /** See {@linkcode Plugin.provides}. */
  readonly provides: Capability<P>;
  /** See {@linkcode Plugin.needs}. */
  readonly needs: N;
  /** The schema of the configuration. It must be strict: an unknown key is an error. */
  // deno-lint-ignore no-explicit-any -- only the output type matters here; In is what a user writes in JSON.
  readonly config: Schema<any, C>;
  /** See {@linkcode Plugin.permissions}. Nothing by default. */
  readonly permissions?: (config: C) => Permissions;
  /** See {@linkcode Plugin.setup}. */
  setup(scope: Scope<C, N>): NoInfer<P> | Promise<NoInfer<P>>;
}

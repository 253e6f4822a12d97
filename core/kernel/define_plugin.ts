/**
 * `definePlugin` checks a plugin's types where it is written (the configuration
 * against the schema, the needs against their contracts, what `setup` returns
 * against what is provided) and then erases them to `Plugin<P>`, so that
 * nothing downstream carries a schema library's types.
 */
import type {
  Capability,
  ConfigIssue,
  Needs,
  ParsedConfig,
  Plugin,
  PluginDefinition,
  Scope,
} from "./plugin.ts";
import type { Schema } from "./schema.ts";
import { describeIssues } from "./issues.ts";

/** Makes a plugin. Export the result as the module's default. */
export function definePlugin<P, C, N extends Needs>(
  definition: PluginDefinition<P, C, N>,
): Plugin<P> {
  let schema: Readonly<Record<string, unknown>> | undefined;
  const schemaOnce = () => schema ??= jsonSchemaOf(definition.config);
  return {
    name: definition.name,
    summary: definition.summary,
    provides: definition.provides,
    needs: definition.needs,
    parse: (config) => parseWith(definition.config, config, schemaOnce),
    schema: schemaOnce,
    permissions: (config) => definition.permissions?.(config as C) ?? {},
    // Called on the definition, so that a setup written as a method keeps its `this`.
    setup: (scope) => definition.setup(scope as unknown as Scope<C, N>),
  };
}

/**
 * A plugin around a value that exists already, for what the program itself
 * provides to its plugins. Keep the plugin: a second call makes another one,
 * which restarts whatever needs it.
 */
export function providePlugin<P>(
  name: string,
  provides: Capability<P>,
  value: NoInfer<P>,
): Plugin<P> {
  return {
    name,
    summary: `Provides "${provides.id}".`,
    provides,
    needs: {},
    parse: (config) => {
      const keys = typeof config === "object" && config !== null ? Object.keys(config) : [];
      if (keys.length === 0) return { ok: true, value: {} };
      const issue: ConfigIssue = { path: [keys[0]!], message: `"${name}" takes no configuration` };
      return { ok: false, issues: [issue] };
    },
    schema: () => ({ type: "object", additionalProperties: false }),
    permissions: () => ({}),
    setup: () => value,
  };
}

/** True for anything shaped like a plugin, whichever copy of the runtime made it. */
export function isPlugin(value: unknown): value is Plugin<unknown> {
  if (typeof value !== "object" || value === null) return false;
  const it = value as Partial<Record<keyof Plugin<unknown>, unknown>>;
  return typeof it.name === "string" && typeof it.needs === "object" && it.needs !== null &&
    typeof it.provides === "object" && it.provides !== null &&
    typeof (it.provides as { id?: unknown }).id === "string" &&
    typeof it.parse === "function" && typeof it.schema === "function" &&
    typeof it.permissions === "function" && typeof it.setup === "function";
}

/**
 * Parses a value with a synchronous schema, its complaints put as
 * {@linkcode describeIssues} does. Never throws.
 */
export function parseWith(
  schema: Schema<unknown, unknown>,
  value: unknown,
  jsonSchema: () => Readonly<Record<string, unknown>> = () => jsonSchemaOf(schema),
): ParsedConfig {
  try {
    const result = schema["~standard"].validate(value);
    if (result instanceof Promise) {
      result.catch(() => {}); // Nobody waits for it.
      // zod answers with a promise in both cases.
      const message = "the schema checks asynchronously or throws; a configuration's may not";
      return { ok: false, issues: [{ path: [], message }] };
    }
    if (result.issues === undefined) return { ok: true, value: result.value };
    return { ok: false, issues: describeIssues(result.issues, value, jsonSchema) };
  } catch (error) {
    const message = `the schema threw: ${error instanceof Error ? error.message : String(error)}`;
    return { ok: false, issues: [{ path: [], message }] };
  }
}

/** The JSON Schema of what one writes, without `$schema`; empty (anything) if the library cannot tell. */
export function jsonSchemaOf(schema: Schema<unknown, unknown>): Readonly<Record<string, unknown>> {
  const render = schema["~standard"].jsonSchema;
  if (render === undefined) return {};
  const { $schema: _, ...rest } = render.input({ target: "draft-2020-12" });
  return rest;
}

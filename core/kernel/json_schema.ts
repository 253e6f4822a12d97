/**
 * The JSON Schema (draft 2020-12) of the whole `mycnet` key, for editors and
 * for `mycnet schema`: the node's own settings, and for every built-in plugin
 * its configuration, as a user writes them.
 *
 * Each part's schema is placed under `$defs`, its own `$defs` beside it under
 * longer names, and the references inside it are re-rooted, since `#/...` means
 * the whole document. Definitions stay one level deep because many readers
 * follow references no deeper.
 */
import type { Plugin } from "./plugin.ts";
import type { JsonSchema } from "./schema.ts";

/** What {@linkcode composeSchema} is given. */
export interface SchemaParts {
  /** The keys of `mycnet` other than `plugins`, e.g. `node` and `profiles`. */
  readonly settings: Readonly<Record<string, JsonSchema>>;
  /** The plugins that can be declared by name. */
  readonly plugins: Readonly<Record<string, Plugin<unknown>>>;
}

/** Keywords whose values are data, not schemas. */
const dataKeywords = new Set(["const", "enum", "default", "examples"]);

/** Composes the schema. */
export function composeSchema({ settings, plugins }: SchemaParts): JsonSchema {
  const definitions: Record<string, JsonSchema> = {};
  const define = (name: string, { $defs, ...schema }: JsonSchema): JsonSchema => {
    const parts = { [name]: schema } as Record<string, unknown>;
    for (const [inner, part] of Object.entries($defs ?? {})) parts[`${name}.${inner}`] = part;
    for (const [key, part] of Object.entries(parts)) {
      definitions[key] = reroot(part, (reference) => rerooted(reference, name)) as JsonSchema;
    }
    return { $ref: pointer(name) };
  };
  const named = Object.entries(plugins).map(([name, plugin]) => {
    const config = define(`plugin.${name}`, { description: plugin.summary, ...plugin.schema() });
    return { name, summary: plugin.summary, config };
  });
  const keys = Object.entries(settings).map(([key, schema]) => [key, define(key, schema)]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "mycnet",
    description: "The node that this file declares.",
    type: "object",
    properties: { ...Object.fromEntries(keys), plugins: pluginsSchema(named) },
    additionalProperties: false,
    $defs: definitions,
  };
}

interface NamedSchema {
  readonly name: string;
  readonly summary: string;
  readonly config: JsonSchema;
}

function pluginsSchema(named: readonly NamedSchema[]): JsonSchema {
  const used = {
    description: "An instance of a plugin: `use` says of which, `config` configures it.",
    anyOf: [
      ...named.map(({ name, summary, config }) =>
        useSchema({ const: name, description: summary }, config)
      ),
      useSchema({
        type: "string",
        pattern: "^(\\.{0,2}/|npm:|jsr:|file:)",
        description: "A path relative to this file, or an npm:, jsr: or file: specifier.",
      }, {}),
    ],
  };
  const off = { const: false, description: "Switched off." };
  return {
    description: "Instances of plugins by id. Their order does not matter.",
    type: "object",
    propertyNames: { pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" },
    properties: Object.fromEntries(named.map(({ name, summary, config }) => [name, {
      description: summary,
      anyOf: [config, { type: "boolean" }, used],
    }])),
    additionalProperties: { anyOf: [off, used] },
  };
}

function useSchema(use: JsonSchema, config: JsonSchema): JsonSchema {
  return {
    type: "object",
    properties: { use, config },
    required: ["use"],
    additionalProperties: false,
  };
}

/** Where a reference inside the part `name` leads in the whole document. */
function rerooted(reference: string, name: string): string {
  const inner = /^#\/\$defs\/([^/]+)(.*)$/.exec(reference);
  if (inner !== null) return `${pointer(name)}.${inner[1]}${inner[2]}`;
  return pointer(name) + reference.slice(1);
}

/** Changes every reference into the schema itself, and drops `$schema`. */
function reroot(node: unknown, change: (reference: string) => string): unknown {
  if (Array.isArray(node)) return node.map((item) => reroot(item, change));
  if (typeof node !== "object" || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).filter(([key]) => key !== "$schema").map(([key, value]) => {
      if (dataKeywords.has(key)) return [key, value];
      if (key === "$ref" && typeof value === "string" && value.startsWith("#")) {
        return [key, change(value)];
      }
      if (key === "properties" || key === "patternProperties") {
        return [key, rerootEach(value, change)]; // Keys here are names: one may be "default".
      }
      return [key, reroot(value, change)];
    }),
  );
}

function rerootEach(schemas: unknown, change: (reference: string) => string): unknown {
  if (typeof schemas !== "object" || schemas === null) return schemas;
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, reroot(schema, change)]),
  );
}

/** The reference to a definition (RFC 6901, section 3). */
function pointer(name: string): string {
  return `#/$defs/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

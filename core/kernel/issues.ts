/**
 * Turns what a schema complains of into sentences for whoever wrote the
 * configuration: the field, what is wrong, and the nearest known name.
 *
 * The complaints come in the Standard Schema shape. zod's own details (codes,
 * unknown keys, the branches of a union) are read where they are present, so
 * another schema library works as well, only with plainer messages. The names
 * that were allowed come from the schema's JSON Schema.
 */
import type { ConfigIssue } from "./plugin.ts";
import type { SchemaIssue } from "./schema.ts";
import { didYouMean } from "./nearest.ts";

/** Keys from the outside in. */
export type Path = readonly (string | number)[];
type JsonSchema = Readonly<Record<string, unknown>>;

/** The details that zod adds to an issue. */
interface DetailedIssue extends SchemaIssue {
  readonly code?: string;
  readonly keys?: readonly string[];
  readonly errors?: readonly (readonly DetailedIssue[])[];
}

/** At most this many issues are reported of one configuration. */
const mostIssues = 50;
/** What zod says of a union when the schema's author said nothing better. */
const unionMessage = "Invalid input";

/**
 * Rewrites issues.
 * @param input What was validated, to tell a missing field from a wrong one.
 * @param schema The JSON Schema of the input, asked only when an unknown key needs it.
 */
export function describeIssues(
  issues: readonly SchemaIssue[],
  input: unknown,
  schema: () => JsonSchema,
): ConfigIssue[] {
  const described = issues.slice(0, mostIssues).flatMap((issue) =>
    describe(issue, [], input, schema)
  );
  // Unknown keys first: a misspelt field also shows up as a missing one.
  const rank = ({ message }: ConfigIssue) => message.startsWith("unknown key") ? 0 : 1;
  return described.sort((a, b) => rank(a) - rank(b)).slice(0, mostIssues);
}

/** `a.b[0].c: message`, or just the message for the value as a whole. */
export function formatIssue({ path, message }: ConfigIssue, prefix: Path = []): string {
  const at = formatPath([...prefix, ...path]);
  return at === "" ? message : `${at}: ${message}`;
}

/** `["a", 0, "b"]` as `a[0].b`. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? key : `${text}.${key}`;
  }, "");
}

function describe(
  issue: DetailedIssue,
  base: Path,
  input: unknown,
  schema: () => JsonSchema,
): ConfigIssue[] {
  const path = [...base, ...(issue.path ?? []).map(asKey)];
  if (issue.code === "unrecognized_keys" && issue.keys !== undefined) {
    const known = knownKeys(schema(), path);
    return issue.keys.map((key) => ({ path, message: unknownKey(key, known) }));
  }
  if (issue.code === "invalid_union" && issue.message === unionMessage) {
    const branches = issue.errors ?? [];
    const best = branches.toSorted((a, b) => depth(b) - depth(a))[0];
    if (best !== undefined && depth(best) > 0) {
      return best.flatMap((inner) => describe(inner, path, input, schema));
    }
    const either = branches.map((branch) => lowerFirst(branch[0]?.message ?? ""));
    return [{ path, message: either.join(", or ") || lowerFirst(issue.message) }];
  }
  if (issue.code === "invalid_type" && valueAt(input, path) === undefined) {
    return [{ path, message: `is required (${lowerFirst(issue.message)})` }];
  }
  return [{ path, message: lowerFirst(issue.message) }];
}

/** The sentence about a key that nobody knows. */
export function unknownKey(key: string, known: Iterable<string>): string {
  const names = [...known];
  const hint = didYouMean(key, names);
  if (hint !== "") return `unknown key "${key}"${hint}`;
  if (names.length === 0) return `unknown key "${key}"`;
  return `unknown key "${key}"; known are ${names.map((name) => `"${name}"`).join(", ")}`;
}

/**
 * How deep a union's branch got before it complained. The deepest is the one
 * that the writer most likely meant.
 */
function depth(branch: readonly DetailedIssue[]): number {
  return Math.max(
    0,
    ...branch.map(({ path, code }) => (path?.length ?? 0) + (code === "unrecognized_keys" ? 1 : 0)),
  );
}

/** The names that are allowed at a path of a JSON Schema, through unions and references. */
function knownKeys(root: JsonSchema, path: Path): string[] {
  let nodes = expand(root, root);
  for (const key of path) {
    nodes = nodes.flatMap((node) => expand(child(node, key), root));
  }
  const names = nodes.flatMap((node) => [
    ...Object.keys(asObject(node.properties)),
    ...asArray(asObject(node.propertyNames).enum).map(String),
  ]);
  return [...new Set(names)];
}

function child(node: JsonSchema, key: string | number): unknown {
  if (typeof key === "number") {
    return asArray(node.prefixItems)[key] ?? node.items;
  }
  const properties = asObject(node.properties);
  return Object.hasOwn(properties, key) ? properties[key] : node.additionalProperties;
}

/** A node with the branches of its unions and the target of its reference. `depth` stops a reference to itself. */
function expand(node: unknown, root: JsonSchema, depth = 0): JsonSchema[] {
  if (depth > 8 || typeof node !== "object" || node === null) return [];
  const schema = node as JsonSchema;
  const nested = [...asArray(schema.anyOf), ...asArray(schema.oneOf), ...asArray(schema.allOf)];
  if (typeof schema.$ref === "string") nested.push(resolve(schema.$ref, root));
  return [schema, ...nested.flatMap((inner) => expand(inner, root, depth + 1))];
}

function resolve(reference: string, root: JsonSchema): unknown {
  if (!reference.startsWith("#")) return undefined;
  return reference.split("/").slice(1).reduce<unknown>(
    (node, part) => asObject(node)[part.replaceAll("~1", "/").replaceAll("~0", "~")],
    root,
  );
}

function asKey(segment: PropertyKey | { readonly key: PropertyKey }): string | number {
  const key = typeof segment === "object" ? segment.key : segment;
  return typeof key === "symbol" ? String(key) : key;
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => asObject(at)[key], value);
}

function asObject(value: unknown): Readonly<Record<string | number, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** zod's messages are sentences; here they follow a colon. */
function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}

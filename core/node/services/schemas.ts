/**
 * Parsing with schemas, and rendering them as JSON Schema.
 *
 * Most schemas answer at once; then nothing here allocates a promise. One that
 * answers later is awaited. A schema that throws is treated as one that
 * complained: the value goes no further either way.
 */
import type { SchemaIssue, SchemaResult } from "../../kernel/schema.ts";
import type {
  JsonSchema,
  MethodDescription,
  ServiceDescription,
} from "../../contracts/services.ts";
import { type AnySchema, kindOf, type MethodDefinition, type ServiceDefinition } from "./define.ts";

/** One problem as callers see it. */
export interface Problem {
  /** Dotted, `items.0.name`; empty for the value as a whole. */
  readonly path: string;
  readonly message: string;
}

/** At most this many problems are told. */
const mostProblems = 20;

/** Parses. Never throws; a promise only where the schema returns one. */
export function parseValue(
  schema: AnySchema,
  value: unknown,
): SchemaResult<unknown> | Promise<SchemaResult<unknown>> {
  try {
    const result = schema["~standard"].validate(value);
    return result instanceof Promise ? result.catch(complaint) : result;
  } catch (error) {
    return complaint(error);
  }
}

function complaint(error: unknown): SchemaResult<unknown> {
  return { issues: [{ message: `the schema failed: ${(error as Error)?.message ?? error}` }] };
}

/** The issues as plain values that can be sent. */
export function problemsOf(issues: readonly SchemaIssue[]): Problem[] {
  return issues.slice(0, mostProblems).map(({ path, message }) => ({
    path: (path ?? []).map((key) => String(typeof key === "object" ? key.key : key)).join("."),
    message: String(message),
  }));
}

/** The problems in one line, `name: expected string; age: too small`. */
export function sentenceOf(problems: readonly Problem[]): string {
  return problems.map(({ path, message }) => path === "" ? message : `${path}: ${message}`)
    .join("; ");
}

/** A service as the directory shows it, with the JSON Schemas that its schemas can render. */
export function describeService(definition: ServiceDefinition): ServiceDescription {
  return {
    name: definition.name,
    version: definition.version,
    methods: Object.entries(definition.methods).map(([name, method]) =>
      describeMethod(name, method)
    ),
  };
}

function describeMethod(name: string, method: MethodDefinition): MethodDescription {
  const input = jsonSchema(method.input, "input");
  const uploadItem = jsonSchema(method.upload, "input");
  const output = jsonSchema(method.output, "output");
  const streamItem = jsonSchema(method.stream, "output");
  return {
    name,
    kind: kindOf(method),
    idempotent: method.idempotent ?? false,
    ...(input && { input }),
    ...(output && { output }),
    ...(uploadItem && { uploadItem }),
    ...(streamItem && { streamItem }),
  };
}

/** The JSON Schema of what one writes or reads; undefined where the library has none for it (a transform, a Date). */
function jsonSchema(
  schema: AnySchema | undefined,
  side: "input" | "output",
): JsonSchema | undefined {
  try {
    return schema?.["~standard"].jsonSchema?.[side]({ target: "draft-2020-12" });
  } catch {
    return undefined;
  }
}

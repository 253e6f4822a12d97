/**
 * A schema as public signatures see it: the Standard Schema interface
 * (https://standardschema.dev), which zod, valibot and arktype implement. No
 * public type of the project names a library's own schema type.
 */

/** One problem found by a schema. */
export interface SchemaIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where: keys from the outside in. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What validating gives: a value, or at least one issue. */
export type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** A schema that accepts `In` and yields `Out`. Any Standard Schema is one. */
export interface Schema<In = unknown, Out = In> {
  /** Standard Schema, version 1. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    /** Phantom: carries the types. */
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
    /** The schema as JSON Schema, where the library offers it (zod does). */
    readonly jsonSchema?: {
      readonly input: (options: { target: "draft-2020-12" }) => Record<string, unknown>;
      readonly output: (options: { target: "draft-2020-12" }) => Record<string, unknown>;
    };
  };
}

/** A JSON Schema (draft 2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What one writes to satisfy a schema. */
export type SchemaInput<S> = S extends Schema<infer In, infer _Out> ? In : never;

/** What one reads after the schema has parsed it. */
export type SchemaOutput<S> = S extends Schema<infer _In, infer Out> ? Out : never;

/**
 * Negotiation: from two hellos to one profile of the link between them.
 * @module
 */
export * from "./profile.ts";
export * from "./hello.ts";
export * from "./hello_codec.ts";
export * from "./table.ts";
export * from "./negotiate.ts";

/**
 * The protocols of mycnet as pure machines and wire formats: no I/O, no clock,
 * no randomness. Everything runs in any JavaScript runtime.
 * @module
 */
export * from "./codec/mod.ts";
export * from "./delivery/mod.ts";
export * from "./frame/mod.ts";
export * from "./identity/mod.ts";
export * from "./link/mod.ts";
export * from "./negotiation/mod.ts";
export * from "./serf/mod.ts";
export * from "./phi/mod.ts";
export * from "./swim/mod.ts";

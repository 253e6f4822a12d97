/**
 * The link machine: bytes in, bytes and events out.
 * @module
 */
export * from "./types.ts";
export { LinkMachine } from "./machine.ts";
export { StreamMap } from "./stream_map.ts";

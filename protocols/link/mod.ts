/**
 * The link machine: bytes in, bytes and events out.
 *
 * A link is one connection between two nodes: a handshake, then messages,
 * requests and streams in both directions, with credit, checks of liveness and
 * a goodbye that drains. {@linkcode LinkMachine} is one end of it.
 * @module
 */
export * from "./types.ts";
export { LinkMachine } from "./machine.ts";
export { StreamMap } from "./stream_map.ts";
export { TypeCounters, typeSlot, typeSlotName, typeSlots } from "./type_counters.ts";

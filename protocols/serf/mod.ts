/**
 * Serf's protocol above SWIM, so that Serf agents are members: tags, intents, user
 * events, queries, gossip keys and network coordinates, as a pure machine.
 *
 * ```ts
 * import { SerfMachine } from "@mycnet/protocols/serf";
 * import { SwimMachine, swimPresets } from "@mycnet/protocols/swim";
 * import assert from "node:assert/strict";
 *
 * const told: string[] = [];
 * const random = () => 0.5; // The driver's, as are clock, timer and sockets.
 * const serf = new SerfMachine(
 *   { name: "n1", tags: { role: "web" }, random },
 *   { event: (event) => told.push(event.type) },
 * );
 * const self = { name: "n1", ip: Uint8Array.of(127, 0, 0, 1), port: 7946, meta: serf.meta };
 * const swim = new SwimMachine(
 *   { self, config: swimPresets.default, random },
 *   { packet() {}, open() {}, event: (event) => serf.handleSwimEvent(event, 0) },
 *   0,
 *   serf.delegate,
 * );
 * serf.start(swim, 0);
 * serf.event("deploy", new Uint8Array(0), 0);
 * assert.deepEqual(told, ["joined", "user_event"]);
 * ```
 * @module
 */
export * from "./types.ts";
export { type SerfConfig, serfDefaults } from "./config.ts";
export { SerfMachine } from "./machine.ts";
export { type CoalescedChange, type CoalesceOptions, MemberCoalescer } from "./coalesce.ts";
export type { KeyOperation } from "./keys.ts";
export { decodeTags, encodeTags, maxTagBytes, type Tags } from "./wire/tags.ts";
export { type Coordinate, distance as coordinateDistance } from "./coordinate/coordinate.ts";
export { Vivaldi, type VivaldiConfig, vivaldiDefaults } from "./coordinate/vivaldi.ts";
export { Regexp } from "./regexp/regexp.ts";
export { RegexpError } from "./regexp/parse.ts";

/**
 * Serf's protocol above SWIM, so that Serf agents are members: tags, intents, user
 * events, queries, gossip keys and network coordinates, as a pure machine.
 * @module
 */
export * from "./types.ts";
export { type SerfConfig, serfDefaults } from "./config.ts";
export { SerfMachine } from "./machine.ts";
export type { KeyOperation } from "./keys.ts";
export { decodeTags, encodeTags, maxTagBytes, type Tags } from "./wire/tags.ts";
export { type Coordinate, distance as coordinateDistance } from "./coordinate/coordinate.ts";
export { Vivaldi, type VivaldiConfig, vivaldiDefaults } from "./coordinate/vivaldi.ts";
export { Regexp } from "./regexp/regexp.ts";
export { RegexpError } from "./regexp/parse.ts";

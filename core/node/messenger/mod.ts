/**
 * The messenger: bytes by name between nodes.
 * @module
 */
export { default as messengerPlugin } from "./plugin.ts";
export { NodeMessenger, NoQuorumError } from "./messenger.ts";

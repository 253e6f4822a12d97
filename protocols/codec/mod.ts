/**
 * MessagePack for typed messages and control frames.
 * @module
 */
export { codecLimits, decode, encode } from "./codec.ts";
export { CodecError } from "./scan.ts";

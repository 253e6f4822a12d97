/**
 * MessagePack for typed messages and control frames.
 * @module
 */
export { codecLimits, decode, decodeViews, encode, encodeShared } from "./codec.ts";
export { CodecError } from "./scan.ts";

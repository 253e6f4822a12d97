/**
 * Frames: the 12-byte header, the registry of message types, the fields that
 * stand first in a message, reading and writing streams of frames.
 * @module
 */
export * from "./fields.ts";
export * from "./header.ts";
export * from "./types.ts";
export * from "./flags.ts";
export * from "./turns.ts";
export * from "./lane.ts";
export * from "./large.ts";
export * from "./fragment.ts";
export * from "./writer.ts";
export * from "./reader.ts";
export * from "./prefix.ts";
export * from "./prefix_reader.ts";

/**
 * Links: protocols/link driven over a transport's connections.
 * @module
 */
export { Link, type LinkEvents, type LinkSetup } from "./link.ts";
export type { Batch } from "./writer.ts";

/**
 * Databases of a node.
 * @module
 */
export { default as databasesPlugin } from "./plugin.ts";

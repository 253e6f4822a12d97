/**
 * Admin: the HTTP endpoint of a node, and what plugins need to hang routes on
 * it: problem documents and bounded, checked bodies.
 * @module
 */
export { adminPlugin } from "./plugin.ts";
export {
  invalidFields,
  limitBody,
  maxBodyBytes,
  mediaType,
  readChecked,
  readJson,
} from "./body.ts";
export { event, type EventSource, eventStream } from "./event_stream.ts";
export { type AdminNote, adminNotePath, adminTokenPath, readNote } from "./files.ts";
export {
  type FieldIssue,
  json,
  type Problem,
  problem,
  problemOf,
  problemResponse,
  statusOf,
} from "./problem.ts";
// The table of built-ins reads a module's default export.
export { adminPlugin as default } from "./plugin.ts";

/** The kernel as the rest of the runtime, and a plugin's author, sees it. */
export * from "./host.ts";
export * from "./plugin.ts";
export * from "./schema.ts";
export * from "./errors.ts";
export { definePlugin, isPlugin, providePlugin } from "./define_plugin.ts";
export { durationMs, parseDuration } from "./duration.ts";
export { createLogger, errorFields, type LogSink } from "./logger.ts";
export { createHost, type HostOptions } from "./real_host.ts";
export type { Entry } from "./entry.ts";
export {
  type BootReport,
  Kernel,
  type KernelOptions,
  type RunningPlugin,
  type StoppedPlugin,
} from "./kernel.ts";
export {
  type BuiltIns,
  type Declaration,
  type DeclarationOptions,
  type DeclaredPlugin,
  mergeDeclarations,
  resolveDeclaration,
} from "./declaration.ts";
export { importModule } from "./import_module.ts";
export { composeSchema, type SchemaParts } from "./json_schema.ts";
export { declaredPermissions, formatPermissionSet, mergePermissions } from "./permissions.ts";
export { didYouMean, nearest } from "./nearest.ts";
export { EventHub } from "./events.ts";
export { formatIssue, formatPath, type Path } from "./issues.ts";
export { parseWith } from "./define_plugin.ts";

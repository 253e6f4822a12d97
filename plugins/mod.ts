/**
 * The built-in plugins, by name.
 *
 * Each is a literal `import()`, so that `deno compile` and `deno bundle` carry
 * them all, and a node loads only those that it declares.
 */
import type { BuiltIns } from "../core/kernel/declaration.ts";

/** The table that mod.ts hands to core's createNode. */
export const builtIns: BuiltIns = {
  "memory": () => import("./transports/memory.ts"),
  "tcp": () => import("./transports/tcp.ts"),
  "tls": () => import("./transports/tls.ts"),
  "sockets": () => import("./transports/sockets.ts"),
  "file": () => import("./stores/file.ts"),
  "swim": () => import("./membership/swim.ts"),
  "static": () => import("./discovery/static.ts"),
  "round_robin": () => import("./balancers/round_robin.ts"),
  "files": () => import("./bulk/files.ts"),
  "http-gateway": () => import("./gateways/http.ts"),
  "prometheus": () => import("./metrics/prometheus.ts"),
  "tracing": () => import("./tracing/opentelemetry.ts"),
};

/** Admin: the HTTP endpoint of a node, which plugins hang their routes on. */
import { type Capability, capability, type Slot, slot } from "../kernel/plugin.ts";

/** A group of routes. Errors are RFC 9457 problem documents; {@linkcode AdminRoutes.fetch} may throw an error with a `code` and admin renders it. */
export interface AdminRoutes {
  /** Where it is mounted, e.g. `"/services"`. The request's path arrives unchanged. */
  readonly path: string;
  /** True: no token asked. Default false. */
  readonly open?: boolean;
  /** True: bodies of any length are handed over as they come. Default false: 1 MiB at most. */
  readonly unboundedBodies?: boolean;
  /** Answers a request; a Hono application's `fetch` is one. A 404 passes on to the next group. */
  fetch(request: Request): Response | Promise<Response>;
}

/** Where plugins contribute routes. */
export const adminRoutes: Slot<AdminRoutes> = slot("admin.routes");

/** The admin endpoint. */
export interface Admin {
  /** `http://127.0.0.1:port`; undefined in the simulator, where it is a pure application. */
  readonly address: string | undefined;
  /** Answers a request as the endpoint would. */
  fetch(request: Request): Promise<Response>;
}

/** The capability token of {@linkcode Admin}. */
export const admin: Capability<Admin> = capability("admin");

/**
 * The application: probes, guards, the node's own routes, and the groups of
 * routes that plugins contribute.
 *
 * The order is the policy. Probes come first and say nothing but a status.
 * Then the Host check. Then groups that are open. Then the token, so that
 * without it even the existence of a path stays unknown. Then the node's own
 * routes, then the plugins'. Hono takes no routes after its first request, so
 * a changed list of groups means a new application, built when next asked.
 */
import { type Context, Hono, type Next } from "hono";
import type { AdminRoutes } from "../contracts/admin.ts";
import type { NodeControl } from "../contracts/node.ts";
import type { Logger } from "../kernel/host.ts";
import { limitBody } from "./body.ts";
import { isInternal, problem, problemOf, problemResponse } from "./problem.ts";
import type { Route } from "./routes.ts";

/** What an application is built from. */
export interface AppParts {
  readonly control: NodeControl;
  readonly routes: readonly Route[];
  /** Throws unless the request names a host that is taken here. */
  checkHost(request: Request): void;
  /** Throws unless the request carries the token. */
  checkToken(request: Request): void;
  readonly log: Logger;
}

/** What a request carries along: the first group's 404, which says more than ours. */
interface Env {
  Variables: { missing: Response | undefined };
}

/** Where a group may be mounted: plain segments, since Hono would read `:` and `*` as patterns. */
const mountable = /^\/$|^(\/[\w.~-]+)+$/;

/** `/` or a path, as the Hono patterns of everything at and below it. */
function patterns(path: string): readonly string[] {
  return path === "/" ? ["/*"] : [path, `${path}/*`];
}

/** True if some request could go to both. */
function overlap(a: string, b: string): boolean {
  const under = (inner: string, outer: string) =>
    outer === "/" || inner === outer || inner.startsWith(`${outer}/`);
  return under(a, b) || under(b, a);
}

/** Renders a thrown value; what is our fault is logged with its stack. */
function failure(error: unknown, request: Request, log: Logger): Response {
  if (isInternal(error)) {
    log.error("A request failed", {
      method: request.method,
      path: new URL(request.url).pathname,
      error: error instanceof Error ? error.stack ?? error.message : String(error),
    });
  }
  const document = problemOf(error);
  return problemResponse(
    document,
    document.status === 401 ? { "www-authenticate": 'Bearer realm="mycnet"' } : undefined,
  );
}

/** Builds one application; its routes are final. */
function build(parts: AppParts, groups: readonly AdminRoutes[]): Hono<Env> {
  const { control, log } = parts;
  const app = new Hono<Env>();
  app.onError((error, { req }) => failure(error, req.raw, log));
  app.notFound((context) => {
    const { pathname } = new URL(context.req.url);
    return context.get("missing") ??
      problemResponse(problem("not_found", `nothing is served at ${pathname}`));
  });

  app.get("/livez", () => new Response(null, { status: 200 }));
  app.get("/readyz", () => {
    const serving = control.ready && control.health().status !== "unhealthy";
    return new Response(null, { status: serving ? 200 : 503 });
  });
  for (const path of ["/livez", "/readyz"]) app.all(path, () => notAllowed("GET"));

  app.use("*", async ({ req }, next) => {
    parts.checkHost(req.raw);
    await next();
  });
  mount(app, groups.filter((it) => it.open === true), log);
  app.use("*", async ({ req }, next) => {
    parts.checkToken(req.raw);
    await next();
  });
  for (const { method, path, answer } of parts.routes) app.on(method, path, answer);
  for (const path of new Set(parts.routes.map((it) => it.path))) {
    const allowed = parts.routes.filter((it) => it.path === path).map((it) => it.method);
    app.all(path, () => notAllowed(allowed.join(", ")));
  }
  mount(app, groups.filter((it) => it.open !== true), log);
  return app;
}

function notAllowed(allow: string): Response {
  return problemResponse(
    problem("method_not_allowed", `only ${allow} is answered here`),
    { allow },
  );
}

/** Hangs groups into an application; a 404 passes on to the next that matches. */
function mount(app: Hono<Env>, groups: readonly AdminRoutes[], log: Logger): void {
  groups.forEach((group, index) => {
    const shared = groups.slice(index + 1).some((it) => overlap(it.path, group.path));
    const answer = async (context: Context<Env>, next: Next) => {
      const { raw } = context.req;
      let response: Response;
      try {
        // A body can be read once; whoever may have to pass it on reads a copy.
        response = await group.fetch(shared && raw.body !== null ? raw.clone() : raw);
      } catch (error) {
        response = failure(error, raw, log);
      }
      if (response.status !== 404) return response;
      if (context.get("missing") === undefined) context.set("missing", response);
      await next();
    };
    for (const pattern of patterns(group.path)) app.all(pattern, answer);
  });
}

/** The application whose groups of routes come and go. */
export class AdminApp {
  readonly #parts: AppParts;
  readonly #groups: AdminRoutes[] = [];
  #app: Hono<Env> | undefined;

  constructor(parts: AppParts) {
    this.#parts = parts;
  }

  /** Adds a group until disposed. A path that cannot be mounted is logged and left out. */
  add(group: AdminRoutes, plugin: string): Disposable {
    if (!mountable.test(group.path)) {
      this.#parts.log.error("A plugin's routes cannot be mounted: write its path as /word/word", {
        plugin,
        path: group.path,
      });
      return { [Symbol.dispose]() {} };
    }
    this.#groups.push(group);
    this.#app = undefined;
    return {
      [Symbol.dispose]: () => {
        const at = this.#groups.indexOf(group);
        if (at < 0) return;
        this.#groups.splice(at, 1);
        this.#app = undefined;
      },
    };
  }

  /** True for what goes to a group that takes bodies of any length, and to no other that would need a copy. */
  #unbounded(request: Request): boolean {
    if (!this.#groups.some((it) => it.unboundedBodies)) return false;
    const { pathname } = new URL(request.url);
    const groups = this.#groups.filter(({ path }) => overlap(pathname, path));
    return groups.length > 0 && groups.every((it) => it.unboundedBodies === true);
  }

  /** Answers a request. Never rejects. */
  async fetch(request: Request): Promise<Response> {
    try {
      this.#app ??= build(this.#parts, this.#groups);
      return await this.#app.fetch(this.#unbounded(request) ? request : limitBody(request));
    } catch (error) {
      return failure(error, request, this.#parts.log);
    }
  }
}

/**
 * The plugin `http-gateway`: services for whoever speaks HTTP.
 *
 *     GET  /services                    what there is
 *     GET  /services/{name}             its methods with their JSON Schemas
 *     POST /services/{name}/{method}    a call: JSON in, JSON out
 *
 * Theory of operation. The gateway hangs on the admin endpoint and so asks for
 * its token. A call goes to whichever node serves it, by the same rules as one
 * made in TypeScript; the directory says what kind of method it is, and a call
 * of a service that nobody serves waits a moment for one. One answer
 * comes as JSON. A stream comes as server-sent events and in no other form: an
 * array would have to be held whole. A method that takes a stream is sent
 * newline-delimited JSON, its input on the first line. A client that goes away
 * cancels its call, and so does the gateway's own end. Values that JSON lacks
 * are wrapped (json_values.ts); options travel as headers (call_options.ts);
 * failures are problem documents, which say whether the call may have run. The
 * header `traceparent` makes the call part of a trace.
 */
import { z } from "zod";
import {
  eventStream,
  json,
  mediaType,
  problem,
  problemOf,
  problemResponse,
  readJson,
} from "../../core/admin/mod.ts";
import { type AdminRoutes, adminRoutes } from "../../core/contracts/admin.ts";
import {
  type CallOptions,
  type MethodDescription,
  type Services,
  services,
} from "../../core/contracts/services.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import { MycnetError } from "../../core/kernel/errors.ts";
import type { Host } from "../../core/kernel/host.ts";
import { didYouMean } from "../../core/kernel/nearest.ts";
import { type Capability, capability, type Plugin } from "../../core/kernel/plugin.ts";
import { carryTrace, parseTraceparent } from "../../core/node/tracing/mod.ts";
import { callOptions } from "./http/call_options.ts";
import { fromJsonValue, toJsonValue } from "./http/json_values.ts";
import { ndjsonType, readNdjson } from "./http/ndjson.ts";

/** A gateway: the group of routes that it hangs on admin. */
export const gateway: Capability<AdminRoutes> = capability("gateway");

const config = z.strictObject({
  maxCalls: z.int().min(1).max(100_000).default(1024)
    .describe("Calls and streams under way at a time; more are refused as overloaded."),
});

const eventStreamType = "text/event-stream";
/** How long a call waits for a service that nobody serves, unless its own time ends before, in ms. */
const longestWaitMs = 1000;

/** True if the client takes event streams. No Accept header takes anything (RFC 9110, 12.5.1). */
function acceptsEvents(request: Request): boolean {
  const accept = request.headers.get("accept");
  return accept === null || accept.split(",").some((range) => {
    const [type, ...parameters] = range.split(";").map((it) => it.trim().toLowerCase());
    const refused = parameters.some((it) => /^q=0(\.0*)?$/.test(it));
    return !refused && (type === eventStreamType || type === "text/*" || type === "*/*");
  });
}

/** The input of a call, and the items that go with it. */
interface CallInput {
  readonly input: unknown;
  readonly upload?: AsyncIterable<unknown>;
}

/** The calls of one gateway. */
class HttpGateway implements AdminRoutes, Disposable {
  readonly path = "/services";
  readonly #host: Host;
  readonly #services: Services;
  readonly #maxCalls: number;
  readonly #underWay = new Set<AbortController>();

  constructor(host: Host, services: Services, maxCalls: number) {
    this.#host = host;
    this.#services = services;
    this.#maxCalls = maxCalls;
  }

  /** Cancels whatever is under way. */
  [Symbol.dispose](): void {
    for (const call of this.#underWay) {
      call.abort(new MycnetError("closed", "the gateway is stopping"));
    }
    this.#underWay.clear();
  }

  async fetch(request: Request): Promise<Response> {
    try {
      return await this.#route(request);
    } catch (error) {
      return problemResponse(this.#problem(error));
    }
  }

  async #route(request: Request): Promise<Response> {
    const [name, method, ...rest] = segments(request.url);
    if (rest.length > 0) throw new MycnetError("not_found", "write /services/{name}/{method}");
    const wanted = method === undefined ? "GET" : "POST";
    if (request.method !== wanted && !(wanted === "GET" && request.method === "HEAD")) {
      const detail = `only ${wanted} is answered here`;
      return problemResponse(problem("method_not_allowed", detail), { allow: wanted });
    }
    if (name === undefined) return json({ services: this.#services.list().map(outline) });
    if (method !== undefined) {
      const trace = parseTraceparent(request.headers.get("traceparent"));
      return await carryTrace(trace, () => this.#call(request, name, method));
    }
    const offered = this.#offers(name);
    return json(offered.length === 1 ? offered[0] : { offered });
  }

  /** Every version of a service that some node serves. @throws `not_found`. */
  #offers(name: string): ReturnType<Services["list"]> {
    const all = this.#services.list();
    const offered = all.filter((it) => it.service.name === name);
    if (offered.length > 0) return offered;
    const hint = didYouMean(name, all.map((it) => it.service.name));
    throw new MycnetError("not_found", `no service is called ${JSON.stringify(name)}${hint}`);
  }

  /** A method that some node serves. @throws `not_found`. */
  #find(service: string, method: string): MethodDescription {
    const methods = this.#offers(service).flatMap((it) => it.service.methods);
    const found = methods.find((it) => it.name === method);
    if (found !== undefined) return found;
    const hint = didYouMean(method, methods.map((it) => it.name));
    throw new MycnetError("not_found", `${service} has no method ${JSON.stringify(method)}${hint}`);
  }

  /**
   * Gives a service that nobody serves a moment to return: its server restarts, or this node has
   * only just started.
   * @returns what is left of the call's time in ms; undefined if it names none.
   */
  async #awaitService(
    service: string,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    if (this.#services.list().some((it) => it.service.name === service)) return timeoutMs;
    const beganAt = this.#host.now();
    const waitMs = Math.min(longestWaitMs, timeoutMs ?? longestWaitMs);
    await this.#services.appears(service, { timeoutMs: waitMs, signal });
    if (timeoutMs === undefined) return undefined;
    return Math.max(1, timeoutMs - (this.#host.now() - beganAt));
  }

  async #call(request: Request, service: string, name: string): Promise<Response> {
    const options = callOptions(request.headers);
    if (this.#underWay.size >= this.#maxCalls) {
      throw new MycnetError("overloaded", `${this.#maxCalls} calls are under way already`);
    }
    const call = new AbortController();
    this.#underWay.add(call);
    const { signal } = request;
    const clientGone = () => call.abort(new MycnetError("cancelled", "the client went away"));
    const finish = () => {
      signal.removeEventListener("abort", clientGone);
      this.#underWay.delete(call);
    };
    if (signal.aborted) clientGone();
    else signal.addEventListener("abort", clientGone);
    try {
      const timeout = await this.#awaitService(service, options.timeout, call.signal);
      const method = this.#find(service, name);
      const streams = method.kind === "stream" || method.kind === "duplex";
      if (streams && !acceptsEvents(request)) {
        throw new MycnetError(
          "not_acceptable",
          `${service}/${name} answers with a stream; accept ${eventStreamType}`,
        );
      }
      const { input, upload } = await readInput(request, method);
      const all = {
        ...options,
        ...(timeout === undefined ? {} : { timeout }),
        signal: call.signal,
        ...(upload === undefined ? {} : { upload }),
      };
      if (streams) return await this.#stream(service, name, input, all, call, finish);
      const answer = await this.#services.call(service, name, input, all);
      finish();
      return json(toJsonValue(answer));
    } catch (error) {
      finish();
      throw error;
    }
  }

  /** Answers once the first item (or the failure) is there, so that a call that fails at once has a status. */
  async #stream(
    service: string,
    method: string,
    input: unknown,
    options: CallOptions & { readonly upload?: AsyncIterable<unknown> },
    call: AbortController,
    finish: () => void,
  ): Promise<Response> {
    const items = this.#services.stream(service, method, input, options)[Symbol.asyncIterator]();
    let first: IteratorResult<unknown> | undefined = await items.next();
    const body = eventStream(this.#host, {
      async next() {
        const { done, value } = first ?? await items.next();
        first = undefined;
        return done ? { done: true } : { done: false, value: toJsonValue(value) };
      },
      problem: (error) => this.#problem(error),
      finished(clientGone) {
        if (clientGone) call.abort(new MycnetError("cancelled", "the client went away"));
        finish();
        // After a failure of ours (a value without a form) the stream must not run on.
        items.return?.().catch(() => {});
      },
    });
    return new Response(body, {
      headers: { "content-type": eventStreamType, "cache-control": "no-store" },
    });
  }

  /** A failure as a problem whose data JSON can hold. */
  #problem(error: unknown): ReturnType<typeof problemOf> {
    const found = problemOf(error);
    if (found.status === 500) this.#host.log.error("A call failed", { error: `${error}` });
    if (found.data === undefined) return found;
    try {
      return { ...found, data: toJsonValue(found.data) };
    } catch {
      return { ...found, data: undefined }; // The code and the message still say most of it.
    }
  }
}

/** The parts of the path after `/services`. @throws `invalid_argument`. */
function segments(url: string): readonly string[] {
  const parts = new URL(url).pathname.split("/").slice(2);
  if (parts.at(-1) === "") parts.pop();
  try {
    return parts.map(decodeURIComponent);
  } catch {
    throw new MycnetError("invalid_argument", "path: must be percent-encoded UTF-8");
  }
}

/** A service in the list: everything but the schemas. */
function outline({ service, nodes }: ReturnType<Services["list"]>[number]): object {
  const { name, version, methods } = service;
  return {
    name,
    version,
    methods: methods.map(({ name, kind, idempotent }) => ({ name, kind, idempotent })),
    nodes,
  };
}

/** Reads the body as the kind of method wants it. */
async function readInput(request: Request, { name, kind }: MethodDescription): Promise<CallInput> {
  if (kind === "unary" || kind === "stream") {
    return { input: fromJsonValue(await readJson(request)) };
  }
  if (mediaType(request) !== ndjsonType || request.body === null) {
    throw new MycnetError(
      "unsupported_media_type",
      `${name} takes a stream; send ${ndjsonType}, the input on the first line (null for none)`,
    );
  }
  const upload = readNdjson(request.body);
  const { value } = await upload.next();
  return { input: value ?? undefined, upload };
}

/** The plugin. */
const plugin: Plugin<AdminRoutes> = definePlugin({
  name: "http-gateway",
  summary: "Calls to services over HTTP, under /services of the admin endpoint.",
  provides: gateway,
  needs: { services },
  config,
  setup(scope) {
    const { host, needs, config } = scope;
    const gateway = scope.own(new HttpGateway(host, needs.services, config.maxCalls));
    scope.contribute(adminRoutes, gateway);
    return gateway;
  },
});

export default plugin;

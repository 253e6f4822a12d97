/**
 * What files hang on the admin endpoint, for `mycnet cp`. All at /api/v1/files/{node}?path=P; the
 * path begins in the folder that the node declares. (It is no part of the URL's path, in which a
 * client would resolve two dots before anybody could refuse them.)
 *
 *     GET  &op=stat                                   {"kind", "size", "version", "mode"}
 *     GET  &op=list&after=NAME                        {"entries", "skipped", "next"?}: a page of a folder
 *     GET  &op=read&version=V&offset=N                the bytes from there on
 *     GET  &op=digest&version=V                       {"sha256"}
 *     GET  &op=have&transfer=T&total=N                {"bytes", "inPlace"?}: how much of it is there
 *     PUT  &transfer=T&offset=N&end=N                 the bytes in between; {"bytes"}
 *     POST &transfer=T {"bytes", "sha256", "mode"?}   puts it in its place
 *     POST &op=make&transfer=T {"mode"?}              {"made"}: sees to it that a folder is there
 *     POST &op=finish&transfer=T                      that folder's copy is complete
 *
 * Whatever breaks in the middle can be asked again: see protocol.ts.
 */
import { z } from "zod";
import {
  json,
  limitBody,
  problem,
  problemOf,
  problemResponse,
  readChecked,
} from "../../../core/admin/mod.ts";
import type { AdminRoutes } from "../../../core/contracts/admin.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import type { Client } from "./client.ts";
import { maxPath, transferId } from "./protocol.ts";

const root = "/api/v1/files";

const commitBody: z.ZodType<
  { readonly bytes: number; readonly sha256: string; readonly mode?: number | undefined }
> = z.strictObject({
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits"),
  mode: z.int().min(0).max(0o777).optional(),
});

const makeBody: z.ZodType<{ readonly mode?: number | undefined }> = z.strictObject({
  mode: z.int().min(0).max(0o777).optional(),
});

/** Which file of which node, and the rest of the question. */
interface Asked {
  readonly node: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

function asked({ pathname, searchParams: query }: URL): Asked {
  const [node, ...more] = pathname.slice(root.length + 1).split("/");
  const path = query.get("path");
  if (node === "" || more.length > 0) {
    throw new MycnetError("not_found", `write ${root}/{node}?path={path}`);
  }
  // An empty one is the folder itself, of which some may be asked: the other node knows.
  if (path === null || path.length > maxPath) {
    throw new MycnetError("invalid_argument", `path: up to ${maxPath} characters are expected`);
  }
  try {
    return { node: decodeURIComponent(node), path, query };
  } catch {
    throw new MycnetError("invalid_argument", "node: must be percent-encoded UTF-8");
  }
}

function count(query: URLSearchParams, field: string): number {
  const text = query.get(field) ?? "";
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new MycnetError(
    "invalid_argument",
    `${field}: ${JSON.stringify(text)} is not a number of bytes`,
  );
}

function transferOf(query: URLSearchParams): string {
  const parsed = transferId.safeParse(query.get("transfer"));
  if (parsed.success) return parsed.data;
  throw new MycnetError("invalid_argument", "transfer: must be 16 to 32 hexadecimal digits");
}

/** The routes. */
export class FileRoutes implements AdminRoutes {
  readonly path = root;
  readonly unboundedBodies = true;
  readonly #host: Pick<Host, "log">;
  readonly #client: Client;
  readonly #signal: AbortSignal;

  /** @param signal ends what is under way. */
  constructor(host: Pick<Host, "log">, client: Client, signal: AbortSignal) {
    this.#host = host;
    this.#client = client;
    this.#signal = signal;
  }

  async fetch(request: Request): Promise<Response> {
    try {
      return await this.#route(request);
    } catch (error) {
      const document = problemOf(error);
      if (document.status === 500) {
        this.#host.log.error("A request about a file failed.", { error: `${error}` });
      }
      // What helps is known better here than by the code alone.
      const { remedy } = error as { readonly remedy?: unknown };
      return problemResponse(typeof remedy === "string" ? { ...document, remedy } : document);
    }
  }

  async #route(request: Request): Promise<Response> {
    const { node, path, query } = asked(new URL(request.url));
    const signal = AbortSignal.any([request.signal, this.#signal]);
    switch (request.method) {
      case "GET":
        return await this.#get({ node, path, query }, signal);
      case "PUT": {
        const transfer = transferOf(query);
        const range = {
          offset: count(query, "offset"),
          end: query.has("end") ? count(query, "end") : undefined,
        };
        const body = request.body ?? new Blob().stream();
        return json(await this.#client.put(node, { path, transfer }, body, range, signal));
      }
      case "POST":
        return await this.#post(request, { node, path, query }, signal);
      default:
        return problemResponse(
          problem("method_not_allowed", "only GET, PUT and POST are answered here"),
          { allow: "GET, PUT, POST" },
        );
    }
  }

  async #post(
    request: Request,
    { node, path, query }: Asked,
    signal: AbortSignal,
  ): Promise<Response> {
    const client = this.#client;
    switch (query.get("op")) {
      case null: {
        const transfer = transferOf(query);
        const committed = await readChecked(limitBody(request), commitBody);
        await client.ask(node, { op: "commit", path, transfer, ...committed }, signal);
        return json({ path, bytes: committed.bytes });
      }
      case "make": {
        const transfer = query.has("transfer") ? { transfer: transferOf(query) } : {};
        const { mode } = await readChecked(limitBody(request), makeBody);
        const bits = mode === undefined ? {} : { mode };
        return json(await client.ask(node, { op: "make", path, ...transfer, ...bits }, signal));
      }
      case "finish": {
        const transfer = transferOf(query);
        return json(await client.ask(node, { op: "finish", path, transfer }, signal));
      }
      default:
        throw new MycnetError("invalid_argument", "op: make, finish or none is expected");
    }
  }

  async #get({ node, path, query }: Asked, signal: AbortSignal): Promise<Response> {
    const client = this.#client;
    const version = query.get("version") ?? "";
    switch (query.get("op")) {
      case "stat":
        return json(await client.ask(node, { op: "stat", path }, signal));
      case "list": {
        const after = query.has("after") ? { after: query.get("after")! } : {};
        return json(await client.ask(node, { op: "list", path, ...after }, signal));
      }
      case "digest":
        return json(await client.ask(node, { op: "digest", path, version }, signal));
      case "have": {
        const total = query.has("total") ? { total: count(query, "total") } : {};
        const transfer = transferOf(query);
        return json(await client.ask(node, { op: "have", path, transfer, ...total }, signal));
      }
      case "read": {
        const offset = count(query, "offset");
        const { body, bytes } = await client.get(node, { path, version }, offset, signal);
        return new Response(body, {
          headers: {
            "content-type": "application/octet-stream",
            "content-length": `${bytes}`,
            "cache-control": "no-store",
          },
        });
      }
      default:
        throw new MycnetError(
          "invalid_argument",
          "op: stat, list, read, digest or have is expected",
        );
    }
  }
}

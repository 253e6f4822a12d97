/**
 * Request bodies, bounded and checked.
 *
 * A body with a Content-Length is judged by it before a byte is read (the HTTP
 * server holds the client to it); a chunked one is counted as it streams in.
 */
import type { z } from "zod";
import { MycnetError } from "../kernel/errors.ts";
import type { FieldIssue } from "./problem.ts";

/** The most that a request body may hold, in bytes. */
export const maxBodyBytes: number = 1024 * 1024;

function tooLarge(limit: number): MycnetError {
  return new MycnetError("too_large", `body: more than ${limit} bytes`);
}

/**
 * The request with its body held to a limit.
 * @throws `too_large` at once when it says so itself; else reading the body rejects with it.
 */
export function limitBody(request: Request, limit: number = maxBodyBytes): Request {
  if (request.body === null) return request;
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > limit) throw tooLarge(limit);
  if (declared !== null && !request.headers.has("transfer-encoding")) return request;
  let seen = 0;
  const counted = request.body.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        seen += chunk.length;
        if (seen > limit) controller.error(tooLarge(limit));
        else controller.enqueue(chunk);
      },
    }),
  );
  return new Request(request, { body: counted });
}

/** The media type without its parameters, in lower case; empty if there is none. */
export function mediaType(request: Request): string {
  return (request.headers.get("content-type") ?? "").split(";", 1)[0].trim().toLowerCase();
}

/** An `invalid_argument` error that names fields. */
export function invalidFields(issues: readonly FieldIssue[]): MycnetError {
  const detail = issues.map(({ field, message }) => field === "" ? message : `${field}: ${message}`)
    .join("; ");
  return Object.assign(new MycnetError("invalid_argument", detail), { issues });
}

/**
 * Reads a JSON value. An empty body is `undefined`.
 * @throws `unsupported_media_type`, `too_large`, or `invalid_argument` naming the place.
 */
export async function readJson(request: Request): Promise<unknown> {
  const text = await request.text();
  if (text === "") return undefined;
  const type = mediaType(request);
  if (type !== "application/json" && !type.endsWith("+json")) {
    throw new MycnetError(
      "unsupported_media_type",
      `content-type: ${
        type === "" ? "none given" : `${type} is not taken here`
      }; send application/json`,
    );
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidFields([{ field: "body", message: `not JSON: ${(error as Error).message}` }]);
  }
}

/** Reads a JSON value and checks it. An empty body counts as `{}`. */
export async function readChecked<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const value = await readJson(request);
  const parsed = schema.safeParse(value === undefined ? {} : value);
  if (parsed.success) return parsed.data;
  throw invalidFields(
    parsed.error.issues.slice(0, 20).map(({ path, message }) => ({
      field: path.join("."),
      message,
    })),
  );
}

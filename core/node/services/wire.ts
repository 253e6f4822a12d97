/**
 * Calls on the wire.
 *
 * A call is an exchange of type `service.call`: the route says
 * `service/method`, the body is the input in MessagePack (empty for undefined,
 * which MessagePack cannot say). Items and answers are bodies of the same kind.
 * A failure's body is a map {code, message, mayHaveRun, details, errorName,
 * data}. Metadata is a map of strings in the frame's metadata field; the key
 * `:depth`, which users cannot write, counts how deep a call is nested, so that
 * services calling each other in a circle come to an end.
 *
 * Everything read here came over a network: reading checks each part, returns
 * undefined for what makes no sense, and throws nothing.
 */
import { type ErrorCode, errorCodes } from "../../kernel/errors.ts";
import { decode, encode, encodeShared } from "@mycnet/protocols/codec";
import { copyOf } from "../slab.ts";
import { CallError, type CallFailure } from "./errors.ts";

/** The largest body that is sent, in bytes: what fits a frame of the default size beside its fields. */
export const maxBodyBytes: number = 16 * 1024 * 1024 - 16 * 1024;
/** Metadata: keys of one call. */
export const maxMetadataKeys = 64;
/** Metadata: bytes of one call, encoded. */
export const maxMetadataBytes = 8192;

const nothing = new Uint8Array(0);
const depthKey = ":depth";

/**
 * A value as a body.
 * @param name what it is called in errors.
 * @throws what the codec throws for a value that cannot be sent, or {@linkcode CallError} `too_large`.
 */
export function encodeBody(value: unknown, name?: string): Uint8Array {
  return copyOf(encodeBodyShared(value, name));
}

/** The same without bytes of its own: valid until the next value is encoded. */
export function encodeBodyShared(value: unknown, name?: string): Uint8Array {
  if (value === undefined) return nothing;
  const body = encodeShared(value, name);
  if (body.length <= maxBodyBytes) return body;
  throw new CallError(
    "too_large",
    `the message has ${body.length} bytes; at most ${maxBodyBytes} can be sent at once`,
  );
}

/** What a body says. Throws what the codec throws for bytes that are not MessagePack. */
export function decodeBody(body: Uint8Array): unknown {
  return body.length === 0 ? undefined : decode(body);
}

/**
 * Metadata as the frame carries it; undefined when there is none.
 * @throws {CallError} `invalid_argument` or `too_large`, naming the key.
 */
export function encodeMetadata(
  metadata: Readonly<Record<string, string>> | undefined,
  depth: number,
): Uint8Array | undefined {
  let keys = 0;
  for (const key in metadata) {
    const value = metadata[key];
    if (key === "" || key.startsWith(":")) {
      throw invalid(`the metadata key ${JSON.stringify(key)} is reserved; choose another`);
    }
    if (typeof value !== "string") {
      throw invalid(`metadata.${key} is ${typeof value}; values are strings`);
    }
    keys++;
  }
  if (keys === 0 && depth === 0) return undefined;
  if (keys > maxMetadataKeys) {
    throw new CallError("too_large", `${keys} metadata keys; at most ${maxMetadataKeys} travel`);
  }
  const bytes = encode(depth === 0 ? metadata : { ...metadata, [depthKey]: String(depth) });
  if (bytes.length > maxMetadataBytes) {
    throw new CallError(
      "too_large",
      `the metadata has ${bytes.length} bytes; at most ${maxMetadataBytes} travel with a call`,
    );
  }
  return bytes;
}

/** No metadata. */
export const noMetadata: Readonly<Record<string, string>> = Object.freeze({});

/** Metadata and depth as they came; undefined when they are not what they should be. */
export function decodeMetadata(
  bytes: Uint8Array,
): { readonly metadata: Record<string, string>; readonly depth: number } | undefined {
  try {
    if (bytes.length > maxMetadataBytes) return undefined;
    const map = decode(bytes);
    if (typeof map !== "object" || map === null || Array.isArray(map)) return undefined;
    const metadata: Record<string, string> = {};
    let depth = 0;
    let keys = 0;
    for (const [key, value] of Object.entries(map)) {
      if (typeof value !== "string" || key === "__proto__") return undefined;
      if (key === depthKey) depth = Number(value);
      else if (keys++ < maxMetadataKeys) metadata[key] = value;
      else return undefined;
    }
    return Number.isSafeInteger(depth) && depth >= 0 ? { metadata, depth } : undefined;
  } catch {
    return undefined;
  }
}

function invalid(message: string): CallError {
  return new CallError("invalid_argument", message);
}

/** A failure as the server tells it. */
export interface WireFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly mayHaveRun: boolean;
  readonly details?: unknown;
  readonly errorName?: string;
  readonly data?: unknown;
}

const longestMessage = 4096;

/** What is said in place of an answer that would have to wait beside too many others. */
export const unread: WireFailure = Object.freeze({
  code: "overloaded",
  message: "as many answers as may wait do so already: read them, or ask for less at once",
  mayHaveRun: true,
});

/** A failure as a body. Details or data that cannot be sent are left out. */
export function encodeFailure(failure: WireFailure): Uint8Array {
  const { code, message, mayHaveRun } = failure;
  const bare = { code, message: message.slice(0, longestMessage), mayHaveRun };
  try {
    return encodeBody({ ...failure, ...bare });
  } catch {
    return encodeBody(bare);
  }
}

/** What a failure's body says. */
export function decodeFailure(body: Uint8Array): WireFailure {
  try {
    const { code, message, mayHaveRun, details, errorName, data } = decodeBody(body) as Record<
      string,
      unknown
    >;
    return {
      // A newer peer may have codes that this build lacks.
      code: typeof code === "string" && Object.hasOwn(errorCodes, code)
        ? code as ErrorCode
        : "internal",
      message: String(message ?? code).slice(0, longestMessage),
      mayHaveRun: mayHaveRun !== false,
      details,
      errorName: typeof errorName === "string" ? errorName : undefined,
      data,
    };
  } catch {
    return { code: "internal", message: "its answer could not be read", mayHaveRun: true };
  }
}

/** The error that a caller sees. */
export function callErrorOf(failure: WireFailure, where: CallFailure): CallError {
  const { code, message, mayHaveRun, details, errorName, data } = failure;
  return new CallError(code, message, { ...where, mayHaveRun, details, errorName, data });
}

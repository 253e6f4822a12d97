/**
 * What travels in an exchange of type `bulk.data`.
 *
 *     sender                                    receiver
 *     request, route = the name, body = head  ->
 *                                             <- item: where to begin
 *     items: the bytes                        ->
 *     an empty item, then one with the trailer
 *     end                                     ->
 *                                             <- response: the receipt, or a failure
 *
 * Bytes are never empty, so an empty item cannot be mistaken: what follows it is the trailer. The
 * trailer comes before the end, so that the receiver knows what it has before it commits to it.
 * Control values are MessagePack maps; keys that are not known are ignored.
 */
import type { BulkMetadata } from "../../contracts/bulk.ts";
import { codeOf, type ErrorCode, errorCodes, MycnetError } from "../../kernel/errors.ts";
import { decode, encode } from "@mycnet/protocols/codec";
import type { ResetCode } from "@mycnet/protocols/link";

/** The most that the labels of a transfer may take, in bytes. */
export const maxMetadataBytes = 4096;
/** The longest name, in bytes: that of a frame's route. */
export const maxNameBytes = 255;
/** The longest message of a failure that is passed on, in characters. */
const maxMessage = 1000;

/** What a sender says first. */
export interface Head {
  readonly total: number | undefined;
  readonly metadata: BulkMetadata;
  /** True: both sides compute SHA-256. */
  readonly sha256: boolean;
}

/** What a sender says last, and a receiver back. */
export interface Trailer {
  /** Bytes sent in this exchange. */
  readonly bytes: number;
  /** CRC-32 of them. */
  readonly crc32: number;
  /** Hexadecimal, if it was asked for. */
  readonly sha256: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** A map, or nothing at all of what the bytes hold. Never throws. */
function fieldsOf(body: Uint8Array): Fields | undefined {
  try {
    const value = decode(body);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Fields
      : undefined;
  } catch {
    return undefined;
  }
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

function isMetadata(value: unknown): value is BulkMetadata {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.values(value).every((it) => ["string", "number", "boolean"].includes(typeof it));
}

/** @throws `invalid_argument` for a total that is no count or labels that are too much. */
export function encodeHead({ total, metadata, sha256 }: Head): Uint8Array<ArrayBuffer> {
  if (total !== undefined && !isCount(total)) {
    throw new MycnetError("invalid_argument", `total: ${total} is not a number of bytes`);
  }
  if (!isMetadata(metadata)) {
    throw new MycnetError("invalid_argument", "metadata: labels are texts, numbers or booleans");
  }
  const { length } = encode(metadata);
  if (length > maxMetadataBytes) {
    throw new MycnetError(
      "invalid_argument",
      `metadata: ${length} bytes as MessagePack; at most ${maxMetadataBytes} are allowed`,
    );
  }
  return encode({ total, metadata, sha256 });
}

/** Reads a head; undefined for what is none. */
export function decodeHead(body: Uint8Array): Head | undefined {
  if (body.length > 2 * maxMetadataBytes) return undefined;
  const fields = fieldsOf(body);
  if (fields === undefined) return undefined;
  const { total, metadata = {}, sha256 = false } = fields;
  if (total !== undefined && total !== null && !isCount(total)) return undefined;
  if (!isMetadata(metadata) || typeof sha256 !== "boolean") return undefined;
  return { total: total ?? undefined, metadata, sha256 };
}

/** Where the receiver wants it from. */
export function encodeOffset(offset: number): Uint8Array<ArrayBuffer> {
  return encode({ offset });
}

/** Reads an offset; undefined for what is none. */
export function decodeOffset(body: Uint8Array): number | undefined {
  const offset = fieldsOf(body)?.offset;
  return isCount(offset) ? offset : undefined;
}

/** A trailer, or a receipt. */
export function encodeTrailer({ bytes, crc32, sha256 }: Trailer): Uint8Array<ArrayBuffer> {
  return encode({ bytes, crc32, sha256 });
}

/** Reads a trailer or a receipt; undefined for what is none. */
export function decodeTrailer(body: Uint8Array): Trailer | undefined {
  const { bytes, crc32, sha256 } = fieldsOf(body) ?? {};
  if (!isCount(bytes) || !isCount(crc32)) return undefined;
  return { bytes, crc32, sha256: typeof sha256 === "string" ? sha256 : undefined };
}

/** A failure: with its code if it has one of the table, else as `internal` and without its text. */
export function encodeFailure(error: unknown, name: string): Uint8Array<ArrayBuffer> {
  const code = codeOf(error);
  const known = code !== undefined && Object.hasOwn(errorCodes, code);
  const message = known && error instanceof Error
    ? error.message
    : `the handler of "${name}" failed; the receiving node's log says how`;
  return encode({ code: known ? code : "internal", message: message.slice(0, maxMessage) });
}

/** Reads a failure. An unknown code reads as `internal`. */
export function decodeFailure(body: Uint8Array, what: string): MycnetError {
  const { code, message } = fieldsOf(body) ?? {};
  const known = typeof code === "string" && Object.hasOwn(errorCodes, code);
  const text = typeof message === "string" ? message.slice(0, maxMessage) : "it did not say why";
  return new MycnetError(known ? code as ErrorCode : "internal", `${what} failed: ${text}`);
}

/** What an exchange that closed without an answer means to whoever waits for it. */
export function closedError(
  { code, message }: { readonly code: ResetCode | "link_lost"; readonly message: string },
  what: string,
): MycnetError {
  const because = message === "" ? code : message;
  const meaning: ErrorCode = code === "link_lost" || code === "shutting_down"
    ? "unavailable"
    : code !== "protocol" && Object.hasOwn(errorCodes, code)
    ? code as ErrorCode
    : "internal";
  return new MycnetError(meaning, `${what} failed: ${because}`);
}

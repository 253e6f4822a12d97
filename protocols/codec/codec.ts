/**
 * Values to bytes and back.
 *
 * Encoding is MessagePack with the extensions of extensions.ts; a value that
 * has no encoding is an error that names where it stands. What decoding returns
 * never shares memory with its input.
 *
 * There are two ways to the same bytes and values. Plain ones, nearly all that
 * travels, go a short way (plain_encoder.ts, plain_decoder.ts). The long way is
 * the library's, and the measure of the other: what the short one does not know
 * it leaves to it, and so does every error, so that both give the same. Before
 * the library decodes, the bytes are looked over (scan.ts), so that hostile ones
 * cost no more than their length.
 *
 * `undefined` leaves an object's key out and is null anywhere else; numbers that
 * are whole and safe travel as integers (-0 as 0), all others as 64-bit floats.
 */
import { extensions, isPlain, isShortBigInt, isValidDate, Unencodable } from "./extensions.ts";
import { Decoder, Encoder } from "./msgpack.ts";
import { PlainDecoder } from "./plain_decoder.ts";
import { PlainEncoder } from "./plain_encoder.ts";
import { CodecError, scan } from "./scan.ts";

/** Bounds of encoding and decoding. */
export const codecLimits = {
  /** Containers inside each other. */
  depth: 64,
  /** Maps, Sets and Errors inside each other. */
  extensionDepth: 8,
  /** Bytes of one value to be decoded. */
  bytes: 16 * 1024 * 1024,
} as const;

// An encoder keeps its buffer; after a large value it is not worth keeping.
const keptBytes = 256 * 1024;

let extensionDepth = 0;
const codec = extensions({
  encode: (value) => deeper(() => encoder.encode(value)),
  decode: (bytes) => deeper(() => decodeInner(bytes)),
});
let encoder = newEncoder();
const decoder = new Decoder({ extensionCodec: codec });
const plainEncoder = new PlainEncoder(
  (value) => encoder.encodeSharedRef(value),
  codecLimits.depth,
  keptBytes,
);
const plainDecoder = new PlainDecoder(decodeInner, codecLimits.depth);

/**
 * The bytes of a value.
 * @param name what the value is called in errors, e.g. `"input"`.
 * @throws {CodecError} naming the path of what has no encoding, e.g. `input.items[3].when`.
 */
export function encode(value: unknown, name: string = "value"): Uint8Array<ArrayBuffer> {
  try {
    const bytes = plainEncoder.encode(value, true);
    if (bytes !== undefined) return bytes;
  } catch {
    // The long way says what is wrong.
  }
  return encodeRest(value, name).slice();
}

/**
 * The same without a buffer of its own: the bytes are valid until the next
 * value is encoded, for whoever copies them somewhere at once.
 * @throws as {@linkcode encode}.
 */
export function encodeShared(value: unknown, name: string = "value"): Uint8Array<ArrayBuffer> {
  try {
    const bytes = plainEncoder.encode(value);
    if (bytes !== undefined) return bytes;
  } catch {
    // The long way says what is wrong.
  }
  return encodeRest(value, name);
}

function encodeRest(value: unknown, name: string): Uint8Array<ArrayBuffer> {
  try {
    const bytes = encoder.encodeSharedRef(value);
    if (bytes.length > keptBytes) encoder = newEncoder();
    return bytes;
  } catch (error) {
    throw new CodecError(findUnencodable(value, name, 0) ?? `${name}: ${messageOf(error)}`);
  }
}

/**
 * The value of bytes that {@linkcode encode} made, or any MessagePack.
 * @throws {CodecError} if they are malformed, too large or nested too deeply.
 */
export function decode(bytes: Uint8Array): unknown {
  return decodeWith(bytes, false);
}

/**
 * The same for bytes that are the caller's to keep: bytes in the value may be views of them, so
 * that large ones are not copied once more.
 * @throws as {@linkcode decode}.
 */
export function decodeViews(bytes: Uint8Array): unknown {
  return decodeWith(bytes, true);
}

function decodeWith(bytes: Uint8Array, views: boolean): unknown {
  if (bytes.length > codecLimits.bytes) {
    throw new CodecError(`${bytes.length} bytes, where at most ${codecLimits.bytes} are decoded`);
  }
  try {
    const value = plainDecoder.decode(bytes, views);
    if (value !== undefined) return value;
  } catch {
    // The long way says what is wrong.
  }
  try {
    return decodeInner(bytes);
  } catch (error) {
    throw error instanceof CodecError ? error : new CodecError(messageOf(error));
  }
}

function decodeInner(bytes: Uint8Array): unknown {
  const binaries = scan(bytes, codecLimits.depth);
  const value = decoder.decode(bytes);
  return binaries ? ownBytes(value) : value;
}

/** Replaces the library's views of its input by copies. Extensions have been here before. */
function ownBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (typeof value[i] === "object") value[i] = ownBytes(value[i]);
    }
  } else if (isPlain(value) && value !== null) {
    const record = value as Record<string, unknown>;
    for (const key in record) {
      if (typeof record[key] === "object") record[key] = ownBytes(record[key]);
    }
  }
  return value;
}

function newEncoder(): Encoder {
  return new Encoder({
    extensionCodec: codec,
    ignoreUndefined: true,
    maxDepth: codecLimits.depth + 1,
  });
}

/** Extensions recurse through the library; they may not do so for ever. */
function deeper<T>(run: () => T): T {
  if (extensionDepth >= codecLimits.extensionDepth) throw new CodecError(tooManyExtensions);
  extensionDepth++;
  try {
    return run();
  } finally {
    extensionDepth--;
  }
}

const tooManyExtensions = `more than ${codecLimits.extensionDepth} Maps and Sets inside each other`;

/** Says where in a value the trouble is, or nothing if there is none to be found. */
function findUnencodable(value: unknown, path: string, depth: number): string | undefined {
  const first = (entries: Iterable<readonly [string, unknown]>): string | undefined => {
    for (const [step, inner] of entries) {
      const found = findUnencodable(inner, path + step, depth + 1);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  switch (typeof value) {
    case "function":
    case "symbol":
      return `${path}: a ${typeof value} has no encoding`;
    case "bigint":
      return isShortBigInt(value) ? undefined : `${path}: a BigInt of too many digits`;
    case "object":
      break;
    default:
      return undefined;
  }
  if (depth > codecLimits.depth) {
    return `${
      path.slice(0, 80)
    }…: nested more than ${codecLimits.depth} deep; does it contain itself?`;
  }
  if (value === null || value instanceof Uint8Array || value instanceof Error) return undefined;
  if (Array.isArray(value)) return first(value.map((item, i) => [`[${i}]`, item]));
  if (value instanceof Set) return first([...value].map((item, i) => [`{${i}}`, item]));
  if (value instanceof Map) {
    return first(
      [...value].flatMap(([key, item]) =>
        [[`.key(${shown(key)})`, key], [`.get(${shown(key)})`, item]] as const
      ),
    );
  }
  if (isPlain(value)) {
    return first(Object.entries(value).map(([key, item]) => [keyStep(key), item]));
  }
  if (isValidDate(value)) return undefined;
  return `${path}: a ${value.constructor?.name || "class instance"} has no encoding; ` +
    `send plain objects, lists, texts, numbers, Uint8Array, Map, Set, Date, BigInt or Error`;
}

function keyStep(key: string): string {
  return /^[\w$]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 40))}]`;
}

function shown(key: unknown): string {
  return typeof key === "string" ? JSON.stringify(key.slice(0, 40)) : typeof key;
}

function messageOf(error: unknown): string {
  return error instanceof Unencodable || !(error instanceof Error)
    ? "it has no encoding"
    : error.message;
}

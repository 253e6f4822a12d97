/**
 * The values that MessagePack does not have, as extension types.
 *
 * | type | value            | payload                              |
 * |------|------------------|--------------------------------------|
 * | -1   | Date             | MessagePack's timestamp              |
 * | 1    | Map              | a flat list: key, value, key, value… |
 * | 2    | Set              | a list                               |
 * | 3    | BigInt           | its decimal digits                   |
 * | 4    | Error            | a map: name, message, code           |
 *
 * Everything else that is not a plain object, a list or a Uint8Array is refused
 * by name, because it would arrive as something other than it was. The payload
 * of a type that this version does not know is an error.
 */
import {
  decodeTimestampExtension,
  encodeTimestampExtension,
  ExtData,
  type ExtensionCodecType,
} from "./msgpack.ts";
import { CodecError } from "./scan.ts";
import { decodeUtf8, encodeUtf8 } from "../utf8.ts";

const types = { map: 1, set: 2, bigint: 3, error: 4, timestamp: -1 } as const;
// Digits of a BigInt: parsing takes quadratic time, so what is absurd is refused.
const maxDigits = 1024;

/** Encodes and decodes what is inside an extension; bound to the codec's own functions. */
export interface Inner {
  /** Encodes a value of one level deeper. */
  encode(value: unknown): Uint8Array;
  /** Decodes one. */
  decode(bytes: Uint8Array): unknown;
}

/** A value that has no encoding. The codec finds its path and says what it is. */
export class Unencodable extends Error {}

/** The extension codec that the library is given. */
export function extensions(inner: Inner): ExtensionCodecType<undefined> {
  return {
    tryToEncode(value: unknown): ExtData | null {
      if (isPlain(value)) return null;
      if (value instanceof Map) {
        const flat: unknown[] = [];
        for (const [key, item] of value) flat.push(key, item);
        return new ExtData(types.map, inner.encode(flat));
      }
      if (value instanceof Set) return new ExtData(types.set, inner.encode([...value]));
      if (isShortBigInt(value)) return new ExtData(types.bigint, encodeUtf8(value.toString()));
      if (value instanceof Error) {
        const { name, message } = value;
        const { code } = value as { code?: unknown };
        const known = typeof code === "string" || typeof code === "number" ? { code } : {};
        return new ExtData(types.error, inner.encode({ name, message, ...known }));
      }
      if (isValidDate(value)) {
        return new ExtData(types.timestamp, encodeTimestampExtension(value)!);
      }
      throw new Unencodable();
    },
    decode(data: Uint8Array, type: number): unknown {
      switch (type) {
        case types.map: {
          const flat = list(inner.decode(data), "Map");
          if (flat.length % 2 !== 0) throw new CodecError("a Map with a key and no value");
          const map = new Map<unknown, unknown>();
          for (let i = 0; i < flat.length; i += 2) map.set(flat[i], flat[i + 1]);
          return map;
        }
        case types.set:
          return new Set(list(inner.decode(data), "Set"));
        case types.bigint:
          return decodeBigInt(data);
        case types.error:
          return decodeError(inner.decode(data));
        case types.timestamp:
          return decodeTimestampExtension(data);
        default:
          throw new CodecError(`extension type ${type} is not known`);
      }
    },
  };
}

/** True for what MessagePack itself has a form for: lists, plain objects, bytes. */
export function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return true;
  if (typeof value !== "object" || value === null) return value === null;
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  if (value instanceof Uint8Array) return true;
  // A plain object of another realm: its prototype ends the chain and is called Object.
  return Object.getPrototypeOf(prototype) === null &&
    (prototype as { constructor?: { name?: unknown } }).constructor?.name === "Object";
}

/** True for a BigInt that may be encoded. */
export function isShortBigInt(value: unknown): value is bigint {
  return typeof value === "bigint" && value.toString().length <= maxDigits;
}

/** True for a Date that is a moment. */
export function isValidDate(value: unknown): boolean {
  return Object.prototype.toString.call(value) === "[object Date]" &&
    Number.isFinite(Number(value));
}

function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw new CodecError(`a ${what} that is not a list inside`);
  return value;
}

function decodeBigInt(data: Uint8Array): bigint {
  const digits = data.length <= maxDigits ? decodeUtf8(data) : "";
  if (!/^-?\d+$/.test(digits)) throw new CodecError("a BigInt that is not decimal digits");
  return BigInt(digits);
}

function decodeError(value: unknown): Error {
  const { name, message, code } = (value ?? {}) as Record<string, unknown>;
  if (typeof name !== "string" || typeof message !== "string") {
    throw new CodecError("an Error without a name and a message");
  }
  const error = new Error(message);
  error.name = name;
  // It happened elsewhere: where it was decoded says nothing.
  delete error.stack;
  if (typeof code === "string" || typeof code === "number") Object.assign(error, { code });
  return error;
}

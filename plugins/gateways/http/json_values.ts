/**
 * Values of calls as JSON and back.
 *
 * JSON lacks bytes, big integers, dates, maps, sets and the numbers that are
 * none. Each is written as an object with a single key that says what it is:
 *
 *     {"$bytes": "aGk="}        Uint8Array, base64
 *     {"$bigint": "123"}        bigint, decimal
 *     {"$date": "2025-…Z"}      Date, ISO 8601
 *     {"$number": "NaN"}        NaN, Infinity, -Infinity, -0
 *     {"$map": [[key, value]]}  Map
 *     {"$set": [value]}         Set
 *     {"$plain": {…}}           an object that only looks like one of these
 *
 * `undefined` is null, or absent where it is a property. Reading undoes
 * writing exactly; what no wrapper is for is refused with the place named.
 */
import { invalidFields } from "../../../core/admin/mod.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";

/** How deep values may nest; beyond it recursion could exhaust the stack. */
const maxDepth = 64;

const wrappers = ["$bytes", "$bigint", "$date", "$number", "$map", "$set", "$plain"];
const oddNumbers: Readonly<Record<string, number>> = {
  "NaN": NaN,
  "Infinity": Infinity,
  "-Infinity": -Infinity,
  "-0": -0,
};
/** What Date.prototype.toISOString writes, or the same with an offset. */
const isoDate = /^(\d{4}|[+-]\d{6})-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

type Plain = Record<string, unknown>;

/** The one key of an object that has one and whose key is a wrapper's. */
function wrapperOf(value: object): string | undefined {
  const keys = Object.keys(value);
  return keys.length === 1 && wrappers.includes(keys[0]) ? keys[0] : undefined;
}

/**
 * The value as JSON can hold it.
 * @throws `internal` naming the place when it cannot: the service answered with something that has no form.
 */
export function toJsonValue(value: unknown): unknown {
  return write(value ?? null, "", 0);
}

function cannot(path: string, what: string): MycnetError {
  return new MycnetError("internal", `the answer${path} is ${what}, which has no form in JSON`);
}

function write(value: unknown, path: string, depth: number): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return { $number: Object.is(value, -0) ? "-0" : String(value) };
    case "bigint":
      return { $bigint: String(value) };
    case "undefined":
      return null;
    case "object":
      return value === null ? null : writeObject(value, path, depth);
    default:
      throw cannot(path, `a ${typeof value}`);
  }
}

function writeObject(value: object, path: string, depth: number): unknown {
  if (depth >= maxDepth) throw cannot(path, `nested more than ${maxDepth} deep`);
  const each = (it: unknown, at: PropertyKey) => write(it, `${path}.${String(at)}`, depth + 1);
  if (Array.isArray(value)) return value.map(each);
  if (value instanceof Uint8Array) return { $bytes: base64(value) };
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw cannot(path, "an invalid date");
    return { $date: value.toISOString() };
  }
  if (value instanceof Map) {
    return { $map: [...value].map(([k, v], at) => [each(k, at), each(v, at)]) };
  }
  if (value instanceof Set) return { $set: [...value].map(each) };
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw cannot(path, `a ${prototype.constructor?.name ?? "strange object"}`);
  }
  const plain: Plain = {};
  for (const [key, it] of Object.entries(value)) {
    if (key === "__proto__") throw cannot(path, "an object with the key __proto__");
    if (it !== undefined) plain[key] = each(it, key);
  }
  return wrapperOf(plain) === undefined ? plain : { $plain: plain };
}

function base64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/**
 * The value that a JSON value stands for. The JSON value must be the caller's
 * to give away: it is changed in place.
 * @throws `invalid_argument` naming the place.
 */
export function fromJsonValue(json: unknown, field = "body"): unknown {
  return read(json, field, 0);
}

function refuse(field: string, message: string): never {
  throw invalidFields([{ field, message }]);
}

function read(json: unknown, field: string, depth: number): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (depth >= maxDepth) refuse(field, `nested more than ${maxDepth} deep`);
  if (Array.isArray(json)) {
    for (let i = 0; i < json.length; i++) json[i] = read(json[i], `${field}.${i}`, depth + 1);
    return json;
  }
  const wrapper = wrapperOf(json);
  if (wrapper !== undefined) return unwrap(wrapper, (json as Plain)[wrapper], field, depth);
  return readMembers(json as Plain, field, depth);
}

function readMembers(json: Plain, field: string, depth: number): Plain {
  for (const key of Object.keys(json)) {
    // Assigning to it would set the prototype instead.
    if (key === "__proto__") refuse(field, "must not have the key __proto__");
    const value = json[key];
    if (typeof value === "object") json[key] = read(value, `${field}.${key}`, depth + 1);
  }
  return json;
}

function unwrap(wrapper: string, inner: unknown, field: string, depth: number): unknown {
  const at = `${field}.${wrapper}`;
  if (wrapper === "$plain") {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) {
      refuse(at, "must be an object");
    }
    return readMembers(inner as Plain, at, depth + 1);
  }
  if (wrapper === "$map" || wrapper === "$set") {
    const list = Array.isArray(inner) ? read(inner, at, depth + 1) as unknown[] : undefined;
    if (wrapper === "$set") return new Set(list ?? refuse(at, "must be an array"));
    const pairs = list?.every((it) => Array.isArray(it) && it.length === 2)
      ? list as [unknown, unknown][]
      : refuse(at, "must be an array of [key, value]");
    return new Map(pairs);
  }
  if (typeof inner !== "string") refuse(at, "must be a text");
  switch (wrapper) {
    case "$bytes":
      try {
        return Uint8Array.fromBase64(inner);
      } catch {
        return refuse(at, "must be base64");
      }
    case "$bigint":
      // BigInt takes quadratic time in the digits, so their number is bounded.
      if (!/^-?\d{1,1000}$/.test(inner)) {
        refuse(at, "must be a decimal integer of up to 1000 digits");
      }
      return BigInt(inner);
    case "$date": {
      const date = new Date(isoDate.test(inner) ? inner : NaN);
      return Number.isNaN(date.getTime()) ? refuse(at, "must be a date in ISO 8601") : date;
    }
    default:
      return Object.hasOwn(oddNumbers, inner)
        ? oddNumbers[inner]
        : refuse(at, `must be one of ${Object.keys(oddNumbers).join(", ")}`);
  }
}

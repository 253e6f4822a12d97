/**
 * Configurations as written, before a schema made classes or functions of
 * them: copied when they are declared, so that a later edit of the caller's
 * object is seen as the change it is, and compared by content.
 */
/** Deeper than this is a mistake, or a value that contains itself. */
const deepest = 64;

/** Copies plain objects and arrays; everything else (functions, class instances) is kept by reference. @throws RangeError if too deep */
export function copyRaw(value: unknown, depth = 0): unknown {
  if (depth > deepest) {
    throw new RangeError(`may be nested ${deepest} deep, and may not contain itself`);
  }
  if (Array.isArray(value)) return value.map((item) => copyRaw(item, depth + 1));
  if (!isPlain(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, copyRaw(item, depth + 1)]),
  );
}

/** True if two copied configurations say the same. The order of keys does not matter; an undefined field is an absent one. */
export function sameRaw(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, at) => sameRaw(item, b[at]));
  }
  if (!isPlain(a) || !isPlain(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => sameRaw(own(a, key), own(b, key)));
}

function own(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

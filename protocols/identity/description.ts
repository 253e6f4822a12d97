/**
 * Checks that an unknown value is a node's description of itself.
 *
 * Descriptions come out of other nodes' hellos, so nothing is taken on trust:
 * every known field is checked, unknown fields are dropped (a newer node may
 * send more), and a problem is told as the field and what would be right.
 */
import type { NodeCapacity, NodeDescription } from "./principal.ts";
import { idProblem, isNodeId, isNodeType } from "./spiffe.ts";

/** A value as it should be, or the sentence that names the field at fault. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string };

/** Bounds on what a node may say of itself. Lengths are in UTF-16 code units. */
export const descriptionLimits = {
  /** Of the version. */
  versionLength: 64,
  /** Of datacenter and rack. */
  placeLength: 63,
  /** Labels. */
  metadataKeys: 32,
  /** Of a label's name. */
  metadataKeyLength: 63,
  /** Of a label's value. */
  metadataValueLength: 255,
} as const;

/** Reads a description. `path` is put before the names of fields, e.g. `"node."`. */
export function checkDescription(value: unknown, path = ""): Checked<NodeDescription> {
  const fail = (message: string): Checked<never> => ({ ok: false, message: path + message });
  if (!isRecord(value)) return fail("an object expected");
  const { cluster, type, id, generation, version, datacenter, rack } = value;
  if (!isNodeId(cluster)) return fail(idProblem("cluster", cluster));
  if (!isNodeType(type)) return fail("type: sclerotia, rhizomorph or hyphae expected");
  if (!isNodeId(id)) return fail(idProblem("id", id));
  if (!isCount(generation)) return fail("generation: an integer from 0 to 2^53-1 expected");
  if (!isText(version, descriptionLimits.versionLength) || version === "") {
    return fail(`version: 1 to ${descriptionLimits.versionLength} characters expected`);
  }
  for (const [field, place] of [["datacenter", datacenter], ["rack", rack]] as const) {
    if (place !== undefined && !isText(place, descriptionLimits.placeLength)) {
      return fail(`${field}: at most ${descriptionLimits.placeLength} characters expected`);
    }
  }
  const capacity = checkCapacity(value.capacity);
  if (!capacity.ok) return fail(capacity.message);
  const metadata = checkMetadata(value.metadata);
  if (!metadata.ok) return fail(metadata.message);
  return {
    ok: true,
    value: {
      cluster,
      type,
      id,
      generation,
      version,
      ...(datacenter === undefined ? {} : { datacenter: datacenter as string }),
      ...(rack === undefined ? {} : { rack: rack as string }),
      ...(capacity.value === undefined ? {} : { capacity: capacity.value }),
      ...(metadata.value === undefined ? {} : { metadata: metadata.value }),
    },
  };
}

function checkCapacity(value: unknown): Checked<NodeCapacity | undefined> {
  if (value === undefined) return { ok: true, value };
  if (!isRecord(value)) return { ok: false, message: "capacity: an object expected" };
  const capacity: { -readonly [K in keyof NodeCapacity]: number } = {};
  for (const field of ["cpus", "memoryBytes", "diskBytes"] as const) {
    const amount = value[field];
    if (amount === undefined) continue;
    if (typeof amount !== "number" || !(amount >= 0) || amount === Infinity) {
      return { ok: false, message: `capacity.${field}: a number of at least 0 expected` };
    }
    capacity[field] = amount;
  }
  return { ok: true, value: capacity };
}

function checkMetadata(value: unknown): Checked<Readonly<Record<string, string>> | undefined> {
  if (value === undefined) return { ok: true, value };
  if (!isRecord(value)) return { ok: false, message: "metadata: an object expected" };
  const entries = Object.entries(value);
  const { metadataKeys, metadataKeyLength, metadataValueLength } = descriptionLimits;
  if (entries.length > metadataKeys) {
    return { ok: false, message: `metadata: at most ${metadataKeys} labels expected` };
  }
  for (const [key, label] of entries) {
    if (key.length > metadataKeyLength || !isText(label, metadataValueLength)) {
      return {
        ok: false,
        message: `metadata.${key.slice(0, metadataKeyLength)}: a name of at most ` +
          `${metadataKeyLength} and a text of at most ${metadataValueLength} characters expected`,
      };
    }
  }
  return { ok: true, value: Object.fromEntries(entries) as Record<string, string> };
}

/** True for a plain object (what a decoded map is). */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** True for an integer from 0 to 2^53-1. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** True for a text of at most `length` UTF-16 code units. */
export function isText(value: unknown, length: number): value is string {
  return typeof value === "string" && value.length <= length;
}

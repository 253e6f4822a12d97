/**
 * A directory record as bytes: what is signed, and what goes over the wire.
 *
 * The owner encodes and signs its record once. Everybody else keeps those very
 * bytes and passes them on with the signature and the certificate chain, so
 * nobody between can alter them, and nobody has to encode them anew. Node,
 * generation and version stand outside the signed bytes as well, so that a copy
 * of what is known already is put aside before anything is verified; they count
 * only once they agree with what was signed. The age, in seconds since the owner
 * was last linked to somebody, is each sender's own observation.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Identity, Proof } from "../../contracts/identity.ts";
import type { ServiceDescription, ServiceRecord } from "../../contracts/services.ts";
import { decode, encode } from "@mycnet/protocols/codec";
import { isNodeId } from "@mycnet/protocols/identity";
import { serviceName } from "./define.ts";

/** The largest record, encoded, without signature and chain. */
export const maxRecordBytes: number = 64 * 1024;
const maxAddresses = 32;
const maxServices = 1024;
const maxMethods = 1024;
const maxChain = 8;
const maxCertificateBytes = 16 * 1024;

/** Which state of a record is meant. */
export interface RecordStamp {
  readonly node: string;
  readonly generation: number;
  readonly version: number;
}

/** A record with what others need to believe it. */
export interface SignedRecord extends RecordStamp {
  readonly bytes: Uint8Array;
  readonly proof: Proof;
}

/** True when `a` replaces `b`. */
export function isNewer(
  a: Pick<RecordStamp, "generation" | "version">,
  b: Pick<RecordStamp, "generation" | "version">,
): boolean {
  return a.generation > b.generation || (a.generation === b.generation && a.version > b.version);
}

/** A record as the bytes that its owner signs. */
export function encodeRecord(record: ServiceRecord): Uint8Array {
  return encode(record);
}

/** What tells one state of a record from another in gossip: 64 bits of SHA-256, in 11 letters. A hint, no proof. */
export function recordHash(bytes: Uint8Array): string {
  const hash = createHash("sha256").update(bytes).digest().subarray(0, 8);
  return hash.toString("base64url");
}

/** The same record with methods by name, kind and idempotence alone, for when its schemas do not fit. */
export function withoutSchemas(record: ServiceRecord): ServiceRecord {
  const bare = ({ name, version, methods }: ServiceDescription): ServiceDescription => ({
    name,
    version,
    methods: methods.map(({ name, kind, idempotent }) => ({ name, kind, idempotent })),
  });
  return { ...record, services: record.services.map(bare) };
}

const count = z.int().min(0);
const nodeId = z.string().refine(isNodeId);
const jsonSchema = z.record(z.string(), z.unknown()).optional();
const method = z.object({
  name: z.string().max(63),
  kind: z.enum(["unary", "stream", "upload", "duplex"]),
  idempotent: z.boolean(),
  input: jsonSchema,
  output: jsonSchema,
  uploadItem: jsonSchema,
  streamItem: jsonSchema,
});
const service = z.object({
  name: z.string().regex(serviceName),
  version: count,
  // A newer node may have kinds of methods that this build does not know: those it does not see.
  methods: z.array(method.nullable().catch(null)).max(maxMethods)
    .transform((all) => all.filter((it) => it !== null)),
});
const recordSchema = z.object({
  node: nodeId,
  generation: count,
  version: count,
  addresses: z.array(z.string().max(255)).max(maxAddresses),
  services: z.array(service).max(maxServices),
});

/** What the signed bytes say; undefined when they are not a record. */
function decodeRecord(bytes: Uint8Array): ServiceRecord | undefined {
  try {
    const parsed = recordSchema.safeParse(decode(bytes));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** A signed record and its age as a value for the codec. */
export function recordToWire(
  { node, generation, version, bytes, proof }: SignedRecord,
  ageS: number,
) {
  return [node, generation, version, ageS, bytes, proof.signature, proof.chain];
}

/** About how many bytes {@linkcode recordToWire} takes. */
export function wireSize({ bytes, proof }: SignedRecord): number {
  return proof.chain.reduce((sum, it) => sum + it.length, bytes.length + 256);
}

const binary = z.custom<Uint8Array<ArrayBuffer>>((it) => it instanceof Uint8Array);
const wireSchema = z.tuple([
  nodeId,
  count,
  count,
  z.number().min(0),
  binary.refine((it) => it.length <= maxRecordBytes),
  binary.refine((it) => it.length <= 1024),
  z.array(binary.refine((it) => it.length <= maxCertificateBytes)).max(maxChain),
]);

/** A record as it arrived, nothing believed yet. */
export interface ArrivedRecord extends SignedRecord {
  /** Seconds. */
  readonly ageS: number;
}

/** Reads what {@linkcode recordToWire} made; undefined when it is something else. */
export function recordFromWire(value: unknown): ArrivedRecord | undefined {
  const parsed = wireSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const [node, generation, version, ageS, bytes, signature, chain] = parsed.data;
  return { node, generation, version, ageS, bytes, proof: { signature, chain } };
}

/** What came of checking a record. */
export type CheckedRecord =
  | { readonly ok: true; readonly record: ServiceRecord }
  | { readonly ok: false; readonly reason: string };

/** Believes a record, or says why not: its owner signed it, and it says of itself what the sender said. */
export function checkRecord(arrived: SignedRecord, identity: Identity): CheckedRecord {
  const { node, generation, version, bytes, proof } = arrived;
  const verdict = identity.verify(bytes, proof);
  if (!verdict.ok) return verdict;
  const { principal } = verdict;
  const { cluster } = identity.self;
  if (principal !== undefined && (principal.id !== node || principal.cluster !== cluster)) {
    const signer = `${principal.id} of cluster ${principal.cluster}`;
    return { ok: false, reason: `it is signed by ${signer}, and only its owner may write it` };
  }
  const record = decodeRecord(bytes);
  if (record === undefined) return { ok: false, reason: "it is not a directory record" };
  if (record.node !== node || record.generation !== generation || record.version !== version) {
    return { ok: false, reason: "what was signed is another record than what was announced" };
  }
  return { ok: true, record };
}

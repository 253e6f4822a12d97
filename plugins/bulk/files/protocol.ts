/**
 * What nodes say to each other about files.
 *
 * Questions are requests of the message name `custom.mycnet.files`, MessagePack both ways; bytes
 * are transfers (core/contracts/bulk.ts).
 *
 *   to write:  have -> transfer "mycnet.files.put", from what is had -> commit
 *   to read:   stat -> fetch, answered by a transfer to the asker under the name that it gave
 *              -> digest
 *
 * A file that is written lies beside its place under the name of its transfer until `commit`, which
 * compares its SHA-256 and renames it. So whatever breaks, the file is the old or the new one, and a
 * transfer that is called by the same name again resumes.
 */
import { z } from "zod";
import { MycnetError } from "../../../core/kernel/errors.ts";
import { decode, encode } from "@mycnet/protocols/codec";

/** The message name of questions. */
export const questionName = "custom.mycnet.files";
/** The name of transfers to a node's files. */
export const putName = "mycnet.files.put";
/** What the names of transfers to an asker begin with. */
export const getPrefix = "mycnet.files.get.";
/** The longest path, in UTF-16 units. */
export const maxPath = 1024;

const path = z.string().min(1).max(maxPath);
/** A transfer's name: hexadecimal, chosen by whoever sends so that the same file has the same. */
export const transferId: z.ZodType<string> = z.string().regex(
  /^[0-9a-f]{16,32}$/,
  "must be 16 to 32 hexadecimal digits",
);
const version = z.string().min(1).max(100);
const bytes = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits");
const mode = z.int().min(0).max(0o777);

const questions = z.discriminatedUnion("op", [
  z.object({ op: z.literal("have"), path, transfer: transferId, total: bytes.optional() }),
  z.object({
    op: z.literal("commit"),
    path,
    transfer: transferId,
    bytes,
    sha256,
    mode: mode.optional(),
  }),
  z.object({ op: z.literal("stat"), path }),
  z.object({
    op: z.literal("fetch"),
    path,
    offset: bytes,
    version,
    reply: z.string().startsWith(getPrefix).max(100),
  }),
  z.object({ op: z.literal("digest"), path, version }),
]);

/** How much of a transfer is there already. */
export interface HaveQuestion {
  readonly op: "have";
  readonly path: string;
  readonly transfer: string;
  readonly total?: number | undefined;
}

/** Puts what was transferred in its place. */
export interface CommitQuestion {
  readonly op: "commit";
  readonly path: string;
  readonly transfer: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Permission bits; default 0o644. */
  readonly mode?: number | undefined;
}

/** What a file is like. */
export interface StatQuestion {
  readonly op: "stat";
  readonly path: string;
}

/** Asks for a transfer of a file from a byte on. */
export interface FetchQuestion {
  readonly op: "fetch";
  readonly path: string;
  readonly offset: number;
  readonly version: string;
  readonly reply: string;
}

/** The SHA-256 of a file. */
export interface DigestQuestion {
  readonly op: "digest";
  readonly path: string;
  readonly version: string;
}

/** Everything that can be asked. */
export type Question =
  | HaveQuestion
  | CommitQuestion
  | StatQuestion
  | FetchQuestion
  | DigestQuestion;

/** What a file is like. */
export interface FileStat {
  readonly size: number;
  /** Changes when the file does: size, time of change and place on the disk. */
  readonly version: string;
  /** Permission bits. */
  readonly mode: number;
}

/** Reads a question. @throws `invalid_argument` naming the field. */
export function readQuestion(body: Uint8Array): Question {
  let value: unknown;
  try {
    value = decode(body);
  } catch {
    throw new MycnetError("invalid_argument", "the question cannot be read");
  }
  return check(questions, value, "the question");
}

const have: z.ZodType<{ bytes: number }> = z.object({ bytes });
const done: z.ZodType<Record<never, never>> = z.object({});
const stat: z.ZodType<FileStat> = z.object({ size: bytes, version, mode });
const digest: z.ZodType<{ sha256: string }> = z.object({ sha256 });
const answers = { have, commit: done, stat, fetch: have, digest } as const;

/** What each question is answered with. */
export type Answer<Op extends Question["op"]> = z.output<(typeof answers)[Op]>;

/** Reads an answer. @throws `internal` for what is none. */
export function readAnswer<Op extends Question["op"]>(op: Op, body: Uint8Array): Answer<Op> {
  try {
    return answers[op].parse(decode(body)) as Answer<Op>;
  } catch (cause) {
    throw new MycnetError("internal", "the answer about a file cannot be read", { cause });
  }
}

/** A question or an answer as it travels. */
export function written(value: object): Uint8Array<ArrayBuffer> {
  return encode(value);
}

/** What goes with the bytes of a file that is written. @throws `invalid_argument`. */
export function readPut(metadata: unknown): { readonly path: string; readonly transfer: string } {
  return check(z.object({ path, transfer: transferId }), metadata, "the transfer");
}

function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  const field = path.length === 0 ? what : path.join(".");
  throw new MycnetError("invalid_argument", `${field}: ${message}`);
}

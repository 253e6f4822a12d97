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
 *
 * A folder is written file by file: make -> ... -> finish, and read file by file: list, page by page,
 * -> ... What becomes of the whole is the asker's business (core/cli/commands/cp/tree.ts).
 */
import { z } from "zod";
import { MycnetError } from "../../../core/kernel/errors.ts";
import { decode, encode } from "@mycnet/protocols/codec";
import { isName } from "./folder.ts";

/** The message name of questions. */
export const questionName = "custom.mycnet.files";
/** The name of transfers to a node's files. */
export const putName = "mycnet.files.put";
/** What the names of transfers to an asker begin with. */
export const getPrefix = "mycnet.files.get.";
/** The longest path, in UTF-16 units. */
export const maxPath = 1024;
/** The most names that one page of a folder goes over. */
export const pageNames = 512;

const path = z.string().min(1).max(maxPath);
/** A path, or empty for the folder that is served itself. */
const folderPath = z.string().max(maxPath);
/** A name as a file system may have it, whether or not it may be copied. */
const anyName = z.string().min(1).max(255);
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
  z.object({ op: z.literal("make"), path, transfer: transferId.optional(), mode: mode.optional() }),
  z.object({ op: z.literal("finish"), path, transfer: transferId }),
  z.object({ op: z.literal("stat"), path: folderPath }),
  z.object({ op: z.literal("list"), path: folderPath, after: anyName.optional() }),
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

/** Makes a folder, and those on the way to it. */
export interface MakeQuestion {
  readonly op: "make";
  readonly path: string;
  /** What it is made for: whoever comes back with it hears again that it was made. */
  readonly transfer?: string | undefined;
  /** Permission bits, to which the owner's are added; default 0o755. A folder that is there keeps its own. */
  readonly mode?: number | undefined;
}

/** Says that what a folder was made for has happened: from now on it is one that was there. */
export interface FinishQuestion {
  readonly op: "finish";
  readonly path: string;
  readonly transfer: string;
}

/** What a file or folder is like. */
export interface StatQuestion {
  readonly op: "stat";
  /** Empty: the folder that is served. */
  readonly path: string;
}

/** What is in a folder, a page at a time. */
export interface ListQuestion {
  readonly op: "list";
  /** Empty: the folder that is served. */
  readonly path: string;
  /** `next` of the page before. Default: from the beginning. */
  readonly after?: string | undefined;
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
  | MakeQuestion
  | FinishQuestion
  | StatQuestion
  | ListQuestion
  | FetchQuestion
  | DigestQuestion;

/** What a file or folder is like. */
export interface FileStat {
  readonly kind: "file" | "folder";
  /** In bytes; 0 for a folder. */
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

/** How much of a transfer is there. */
export interface Had {
  readonly bytes: number;
  /** The size of what is in the file's place, for whoever may read it. */
  readonly inPlace?: number | undefined;
}

/** Some of what is in a folder, by name. */
export interface FolderPage {
  readonly entries: readonly (FileStat & { readonly name: string })[];
  /** What this page passes over, by the reason: symbolic links; what is neither file nor folder; names that no path may have. */
  readonly skipped: { readonly links: number; readonly special: number; readonly names: number };
  /** The last name that was looked at; undefined: there are no more. */
  readonly next?: string | undefined;
}

const count = z.int().nonnegative();
const statFields = { kind: z.enum(["file", "folder"]), size: bytes, version, mode };
const fetched: z.ZodType<{ bytes: number }> = z.object({ bytes });
const have: z.ZodType<Had> = z.object({ bytes, inPlace: bytes.optional() });
const done: z.ZodType<Record<never, never>> = z.object({});
const made: z.ZodType<{ made: boolean }> = z.object({ made: z.boolean() });
const stat: z.ZodType<FileStat> = z.object(statFields);
const list: z.ZodType<FolderPage> = z.object({
  // A name that another node made up must not lead out of where it is put.
  entries: z.array(z.object({ name: anyName.refine(isName), ...statFields })).max(pageNames),
  skipped: z.object({ links: count, special: count, names: count }),
  next: anyName.optional(),
});
const digest: z.ZodType<{ sha256: string }> = z.object({ sha256 });
const answers = {
  have,
  commit: done,
  make: made,
  finish: done,
  stat,
  list,
  fetch: fetched,
  digest,
} as const;

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

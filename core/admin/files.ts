/**
 * The two files of an admin endpoint in the node's state folder: the token
 * that lets a person in, and a note of where the endpoint listens, by which
 * the command line finds a running node. Both are their owner's alone.
 */
import { join } from "node:path";
import { MycnetError } from "../kernel/errors.ts";
import type { Host } from "../kernel/host.ts";
import { nodePaths } from "../node/identity/paths.ts";

/** Where a running node can be asked. */
export interface AdminNote {
  /** `http://host:port`. */
  readonly address: string;
  /** The process. */
  readonly pid: number;
  /** Wall-clock time in ms at which the node started. */
  readonly startedAt: number;
}

/** The file with a node's admin token. */
export function adminTokenPath(stateDir: string, id: string): string {
  return nodePaths(stateDir, id).adminToken;
}

/** The file that says where a node's admin endpoint listens. */
export function adminNotePath(stateDir: string, id: string): string {
  return join(nodePaths(stateDir, id).dir, "admin.json");
}

/** The characters of a bearer token (RFC 6750, 2.1), enough of them that nobody guesses. */
const tokenShape = /^[A-Za-z0-9._~+/=-]{16,512}$/;

/** True for a text that can serve as a token. */
export function isToken(text: string): boolean {
  return tokenShape.test(text);
}

/** A fresh token: 256 random bits as 43 characters. */
export function makeToken(host: Host): string {
  return host.randomBytes(32).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Writes a file whole or not at all, for its owner alone. */
export async function writePrivate(path: string, text: string): Promise<void> {
  const draft = `${path}.${Deno.pid}.tmp`;
  try {
    await Deno.writeTextFile(draft, text, { mode: 0o600 });
    await Deno.rename(draft, path);
  } catch (error) {
    await Deno.remove(draft).catch(() => {});
    throw error;
  }
}

/** Reads a token file; undefined if there is none. */
async function readToken(host: Host, path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = (await Deno.readTextFile(path)).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new MycnetError("config_unreadable", `${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (!isToken(text)) {
    throw new MycnetError(
      "config_invalid",
      `${path} does not hold a token: 16 to 512 letters, digits and -._~+/= on one line`,
    );
  }
  const { mode } = await Deno.stat(path);
  if (mode !== null && (mode & 0o077) !== 0) {
    host.log.warn("The admin token can be read by others; run chmod 600 on it", { path });
  }
  return text;
}

/**
 * The token in a file; made there if the file does not exist, so that an
 * endpoint without a token cannot happen.
 */
export async function loadToken(host: Host, path: string): Promise<string> {
  const found = await readToken(host, path);
  if (found !== undefined) return found;
  const token = makeToken(host);
  try {
    await Deno.mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(path, `${token}\n`, { mode: 0o600, createNew: true });
  } catch (error) {
    const raced = error instanceof Deno.errors.AlreadyExists && await readToken(host, path);
    if (raced) return raced;
    throw new MycnetError(
      "config_unreadable",
      `cannot write the admin token ${path}: ${(error as Error).message}; ` +
        "give `token` or `tokenPath`, or make the folder writable",
      { cause: error },
    );
  }
  host.log.info("Made an admin token", { path });
  return token;
}

/** Notes where the endpoint listens; the note goes when this is disposed, unless another process has replaced it. */
export async function noteAddress(path: string, note: AdminNote): Promise<AsyncDisposable> {
  const text = `${JSON.stringify(note)}\n`;
  await Deno.mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
  await writePrivate(path, text);
  return {
    async [Symbol.asyncDispose]() {
      try {
        if (await Deno.readTextFile(path) === text) await Deno.remove(path);
      } catch (error) {
        // Gone already is as good as removed.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    },
  };
}

/** Reads a note; undefined if there is none or it makes no sense (a crash may have left anything). */
export async function readNote(path: string): Promise<AdminNote | undefined> {
  try {
    const value = JSON.parse(await Deno.readTextFile(path));
    const sound = typeof value?.address === "string" && /^https?:\/\//.test(value.address) &&
      Number.isInteger(value.pid) && typeof value.startedAt === "number";
    return sound ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Stores: small files that outlive the process. A store keeps what a node must
 * not forget (an incarnation number, a vote, a log of events); it is no
 * database, and its files fit into memory.
 */
import { type Capability, capability } from "../kernel/plugin.ts";

/** What a store takes. */
export const storeLimits = {
  /** Names of files: no folders, nothing that a file system could read as more than a name. */
  name: /^[a-z0-9][a-z0-9._-]{0,127}$/,
  /** Bytes in one file. */
  maxFileBytes: 64 * 1024 * 1024,
} as const;

/**
 * Durable files. Operations take effect one after the other, in the order of
 * the calls. All reject with code `invalid_argument` for a name that
 * {@linkcode storeLimits} does not allow, and with code `closed` once the
 * plugin has stopped.
 */
export interface Store {
  /** The instance id of the plugin. */
  readonly id: string;
  /** The whole file, a copy; undefined if there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /**
   * Replaces the whole file. Durable when it resolves; after a crash before
   * that, the file is either the old or the new one, never a mixture.
   * Rejects with code `too_large`.
   */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /**
   * Adds to the end of the file, which is made if there is none. Not durable
   * before `sync`: after a crash, what was not synced is missing, or only its
   * beginning is there. Rejects with code `too_large`.
   */
  append(name: string, bytes: Uint8Array): Promise<void>;
  /** Makes everything appended to the file so far durable. Nothing to do if there is no such file. */
  sync(name: string): Promise<void>;
  /** Removes the file, durably. Nothing to do if there is none. */
  remove(name: string): Promise<void>;
  /** The names of all files, sorted. */
  list(): Promise<readonly string[]>;
}

/** The capability token of {@linkcode Store}. */
export const store: Capability<Store> = capability("store");

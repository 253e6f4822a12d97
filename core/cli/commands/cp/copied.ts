/** What both directions of a copy work with, and what they tell. */
import type { Host } from "../../../kernel/host.ts";
import type { AdminClient } from "../../admin_client.ts";

/** Who is told how a copy does. */
export interface Progress {
  /** Bytes that were copied so far. */
  bytes: number;
  /** All there are, once known. */
  total: number | undefined;
  /** Says something in place of the figures until bytes move again. */
  note(text: string): void;
}

/** What a copy works with. */
export interface Copying {
  readonly client: AdminClient;
  readonly host: Host;
  readonly progress: Progress;
  readonly retries: number;
  readonly signal: AbortSignal;
  /** Whether a file that is in place already with the same bytes is left alone. Default false. */
  readonly skipEqual?: boolean;
}

/** What became of it. */
export interface Copied {
  /** Of the whole file. */
  readonly bytes: number;
  /** Of the whole file, as both ends have it; hexadecimal. */
  readonly sha256: string;
  /** Where the first attempt began: what an earlier run of the command had copied. */
  readonly resumedAt: number;
  /** How often it was begun. */
  readonly attempts: number;
  /** Set if it was in place already and nothing was copied. */
  readonly isUnchanged?: true;
}

/** What was passed over, by the reason. */
export interface Skipped {
  /** Symbolic links: they are not followed. */
  readonly links: number;
  /** What is neither file nor folder. */
  readonly special: number;
  /** Names that no path may have. */
  readonly names: number;
}

/** Something that could not be copied. */
export interface Failure {
  /** From the folder that is copied; empty for that folder itself. */
  readonly path: string;
  readonly code: string;
  readonly message: string;
}

/** What became of a folder. */
export interface CopiedTree {
  /** Files that were copied. */
  readonly files: number;
  /** Folders in it, itself not counted. */
  readonly folders: number;
  /** Of the files that were copied. */
  readonly bytes: number;
  /** Of these, what an earlier run of the command had copied. */
  readonly resumed: number;
  /** Files that were in place already with the same bytes. */
  readonly unchanged: number;
  readonly skipped: Skipped;
  /** How much could not be copied: files, and folders with all that is in them. */
  readonly failed: number;
  /** The first of them. */
  readonly failures: readonly Failure[];
  /** What ended the copy before it was through: the node was lost. */
  readonly ended?: Error;
}

/** What both directions of a copy work with, and what they tell. */
import type { Host } from "../../../kernel/host.ts";
import type { AdminClient } from "../../admin_client.ts";
import type { ProgressLine } from "./progress.ts";

/** What a copy works with. */
export interface Copying {
  readonly client: AdminClient;
  readonly host: Host;
  readonly progress: ProgressLine;
  readonly retries: number;
  readonly signal: AbortSignal;
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
}

/** What every plugin may know of the node that it runs in. */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { NodeHealth } from "./health.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";

/** What came of one seed that was to be joined. */
export type JoinOutcome =
  | { readonly address: string; readonly ok: true; readonly node: NodeDescription }
  | {
    readonly address: string;
    readonly ok: false;
    /** The error's code, e.g. `"unreachable"` or `"refused"`. */
    readonly code: string;
    /** The error's message, which says why. */
    readonly message: string;
  };

/** The node itself: facts, sums over what plugins contribute, and leaving. */
export interface NodeControl {
  /** The version of the runtime, as in deno.json. */
  readonly runtimeVersion: string;
  /** Wall-clock time in ms at which it started. */
  readonly startedAt: number;
  /** True from the end of boot until it begins to stop. */
  readonly ready: boolean;
  /** True once it was told to leave the cluster; a node that is merely stopped was not. */
  readonly leaving: boolean;
  /** The worst of what plugins report, with reasons. */
  health(): NodeHealth;
  /** Category to name to value. */
  metrics(): Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The declaration that runs: instance ids with plugin names, in start order, and how long each took in ms. */
  plugins(): readonly {
    readonly id: string;
    readonly plugin: string;
    readonly provides: string;
    readonly startMs: number;
  }[];
  /**
   * Dials seeds and keeps a link to those that answer; what `join` over admin does.
   * Rejects with `invalid_argument` or `address_invalid`, naming the seed, before anything is dialled.
   */
  join(seeds: readonly string[]): Promise<readonly JoinOutcome[]>;
  /** Drains and stops the whole node; what `leave` over admin does. */
  leave(reason: string): Promise<void>;
}

/** The capability token of {@linkcode NodeControl}; core itself provides it. */
export const nodeControl: Capability<NodeControl> = capability("node");

/** What every plugin may know of the node that it runs in. */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { NodeHealth } from "./health.ts";

/** The node itself: facts, sums over what plugins contribute, and leaving. */
export interface NodeControl {
  /** The version of the runtime, as in deno.json. */
  readonly runtimeVersion: string;
  /** Wall-clock time in ms at which it started. */
  readonly startedAt: number;
  /** True from the end of boot until it begins to stop. */
  readonly ready: boolean;
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
  /** Drains and stops the whole node; what `leave` over admin does. */
  leave(reason: string): Promise<void>;
}

/** The capability token of {@linkcode NodeControl}; core itself provides it. */
export const nodeControl: Capability<NodeControl> = capability("node");

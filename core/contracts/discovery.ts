/** Discovery: where nodes might be, before any of them is known. */
import { type Capability, capability } from "../kernel/plugin.ts";

/** One node that may exist. */
export interface DiscoveredNode {
  /** Its id, where the source knows it. */
  readonly id?: string;
  /** `host:port` or `scheme://host:port`. */
  readonly addresses: readonly string[];
  /** What the source knows of it, e.g. its datacenter. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A source of addresses. Several may run at once. */
export interface Discovery {
  /** The instance id of the plugin. */
  readonly id: string;
  /** Who is there now. */
  discover(signal: AbortSignal): Promise<readonly DiscoveredNode[]>;
  /** Yields the whole list, now and at every change, until the signal aborts. */
  watch(signal: AbortSignal): AsyncIterable<readonly DiscoveredNode[]>;
  /** Makes this node known. Undone on dispose. A source that cannot does nothing. */
  register(self: DiscoveredNode): Promise<AsyncDisposable>;
}

/** The capability token of {@linkcode Discovery}; a node has any number. */
export const discovery: Capability<Discovery> = capability("discovery");

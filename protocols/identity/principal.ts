/** The three types of node: full (sclerotia), semi (rhizomorph), client (hyphae). */
export type NodeType = "sclerotia" | "rhizomorph" | "hyphae";

/** All node types, the most capable first. */
export const nodeTypes: readonly NodeType[] = ["sclerotia", "rhizomorph", "hyphae"];

/** Who a node is, as its certificate proves. */
export interface Principal {
  /** The cluster id: `[a-z0-9._-]{1,63}`. */
  readonly cluster: string;
  /** What kind of node it is. */
  readonly type: NodeType;
  /** The node id: `[a-z0-9._-]{1,63}`, unique within the cluster. */
  readonly id: string;
}

/** What a node can hold and do, as it says itself. Units are in the names; absent means unknown. */
export interface NodeCapacity {
  /** Logical processors. */
  readonly cpus?: number;
  /** Main memory. */
  readonly memoryBytes?: number;
  /** Storage. */
  readonly diskBytes?: number;
}

/** A node as it describes itself in hello and in the directory. */
export interface NodeDescription extends Principal {
  /** New at each start and greater than the one before: wall-clock milliseconds. */
  readonly generation: number;
  /** The version of its runtime, e.g. `"0.1.0"`. */
  readonly version: string;
  /** Where it stands, for balancing by place. */
  readonly datacenter?: string;
  /** Where it stands within the datacenter. */
  readonly rack?: string;
  /** What it can hold and do. */
  readonly capacity?: NodeCapacity;
  /** Free-form labels; at most 32 of at most 63 and 255 characters. */
  readonly metadata?: Readonly<Record<string, string>>;
}

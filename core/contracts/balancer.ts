/** Balancers: which of several able nodes does the work. */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { HealthStatus } from "./health.ts";

/** A node that could serve. */
export interface Candidate {
  /** The node. */
  readonly id: string;
  /** Of its links, as this node sees them. */
  readonly health: HealthStatus;
  /** Round-trip time of its best link in ms, where known. */
  readonly roundTripMs: number | undefined;
  /** Requests of ours under way there. */
  readonly inFlight: number;
  /** As it says itself. */
  readonly datacenter?: string;
  /** As it says itself. */
  readonly rack?: string;
}

/** What is being routed. */
export interface Selection {
  /** The service, or the message name. */
  readonly subject: string;
  /** Keeps related work together, where the balancer minds it. */
  readonly affinity?: string;
}

/** Chooses. Synchronous, cheap, and without state that a crash would miss. */
export interface Balancer {
  /** The instance id of the plugin. */
  readonly id: string;
  /** One of `candidates` (never empty, ordered by id), by index. */
  select(candidates: readonly Candidate[], selection: Selection): number;
}

/** The capability token of {@linkcode Balancer}; a node has any number, chosen by instance id. */
export const balancer: Capability<Balancer> = capability("balancer");

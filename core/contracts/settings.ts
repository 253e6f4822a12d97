/** The part of the `mycnet` key that belongs to the node as a whole, parsed. */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { NodeCapacity, NodeType } from "@mycnet/protocols/identity";
import type { ProfileOverrides } from "@mycnet/protocols/negotiation";

/** `mycnet.node` and `mycnet.profiles` after parsing, defaults filled in. */
export interface Settings {
  /** Default: the one node found in the state folder, else the host's name. */
  readonly id: string;
  /** Default `"sclerotia"`. */
  readonly type: NodeType;
  /** Default: the cluster of the state folder, else `"local"`. */
  readonly cluster: string;
  /** Where transports listen unless they say otherwise. Default `"0.0.0.0:7000"`; a hyphae listens nowhere unless told to. */
  readonly bindAddress: string | undefined;
  /** How others reach this node. Default: where it listens, with the host's name in place of a wildcard. */
  readonly advertiseAddress: string | undefined;
  /** For balancing by place. */
  readonly datacenter: string | undefined;
  /** For balancing by place. */
  readonly rack: string | undefined;
  /** What the node can hold and do. */
  readonly capacity: NodeCapacity | undefined;
  /** Free-form labels. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Links in all. Default 1000. */
  readonly maxConnections: number;
  /** For dialling and for the handshake. Default 5000. */
  readonly connectionTimeoutMs: number;
  /** Where `mycnet init` put keys and where the node keeps what must survive it. Default `.mycnet` beside the configuration. Absolute. */
  readonly stateDir: string;
  /** What relative paths are relative to. Absolute. */
  readonly baseDir: string;
  /** `mycnet.profiles`. */
  readonly profiles: ProfileOverrides;
}

/** The capability token of {@linkcode Settings}; core itself provides it. */
export const settings: Capability<Settings> = capability("settings");

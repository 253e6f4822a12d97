/** What the peers of a node are made with: its description, its settings, and what it asks of its plugins. */
import type { NodeState } from "../../contracts/peers.ts";
import type { Transport } from "../../contracts/transport.ts";
import type { Host } from "../../kernel/host.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { LinkCapabilities, ProfileOverrides } from "@mycnet/protocols/negotiation";
import type { PeersConfig } from "./config.ts";

/** What the peers of a node are made with. */
export interface NodePeersSetup {
  readonly host: Host;
  readonly self: NodeDescription;
  readonly config: PeersConfig;
  readonly capabilities: LinkCapabilities;
  readonly profiles: ProfileOverrides;
  /** Links in all. */
  readonly maxConnections: number;
  /** For connecting, and again for the handshake, in ms. */
  readonly connectionTimeoutMs: number;
  /** The transports that run now. */
  transports(): Iterable<Transport>;
  /** What membership says of a node. Absent: links alone tell. */
  stateOf?(id: string): NodeState | undefined;
  /** Where this node gossips now, `host:port`. Absent: it does not. */
  gossip?(): string | undefined;
}

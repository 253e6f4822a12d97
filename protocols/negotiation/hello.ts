/** What each side of a link says first, and the shapes it is made of. */
import type { NodeDescription, NodeType } from "../identity/principal.ts";
import type { Profile } from "./profile.ts";

/** The version of the wire: major and minor. A major is not understood by another; a minor adds. */
export const protocolVersion = 0x0100;
/** The oldest version that this build still speaks. */
export const minProtocolVersion = 0x0100;

/** What a build can do on a link. Hello announces only what works. */
export interface LinkCapabilities {
  /** How typed messages may be encoded. */
  readonly codecs: readonly string[];
  /** Compression algorithms, `"none"` among them. */
  readonly compressions: readonly string[];
  /** Reliability levels; those that a reader does not know mean nothing to it. */
  readonly reliabilities: readonly string[];
  /** The schemes of its transports, e.g. `"tls"`. */
  readonly transports?: readonly string[];
}

/** What every build of this version can do; zstd and guaranteed messages come on top where the runtime has them. */
export const defaultCapabilities: LinkCapabilities = Object.freeze({
  codecs: Object.freeze(["msgpack"]),
  compressions: Object.freeze(["none"]),
  reliabilities: Object.freeze(["best-effort", "high"]),
});

/** What the sender of a hello accepts. The other side keeps to it. */
export interface AnnouncedLimits {
  /** The largest frame, without its 12-byte header. 1 KiB to 2^32-1. */
  readonly maxFrameBytes: number;
  /** The credit of each stream at its beginning. 1 to 2^31-1. */
  readonly streamWindowBytes: number;
  /** Requests of the other side that may be under way at once. 1 to 2^31-1. */
  readonly maxExchanges: number;
  /** Streams of the other side that may be under way at once: exchanges with items. 1 to 2^31-1. */
  readonly maxStreams: number;
}

/** A pair of node types as configuration writes it; both orders mean the same. */
export type PairName = `${NodeType}-${NodeType}`;

/** What may be overridden of a profile. */
export type ProfileOverride = Partial<Omit<Profile, "name">>;

/** `mycnet.profiles`: changes to the table of profiles, by pair. */
export type ProfileOverrides = Readonly<{ [Pair in PairName]?: ProfileOverride }>;

/** What each side of a link says first. */
export interface Hello {
  /** The newest version of the wire that it speaks: major << 8 | minor. */
  readonly version: number;
  /** The oldest version that it still speaks. */
  readonly minVersion: number;
  /** Who it says it is. */
  readonly node: NodeDescription;
  /** Where it listens, `scheme://host:port`. At most 16. */
  readonly addresses: readonly string[];
  /**
   * Where it gossips, `host:port` as others should reach it: where to knock, and no more than that.
   * At most 255 characters. Absent: it does not, or not yet.
   */
  readonly gossip?: string;
  /** What its build can do. */
  readonly capabilities: LinkCapabilities;
  /** What it accepts. */
  readonly limits: AnnouncedLimits;
  /** How it wants the table of profiles changed. */
  readonly profiles: ProfileOverrides;
  /** Which of the links between the two nodes this is, 0 to 63. The dialler's counts; an acceptor says 0. */
  readonly slot: number;
  /** 16 random bytes, so that no two handshakes have the same transcript. */
  readonly nonce: Uint8Array;
}

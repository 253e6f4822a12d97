/** What a link is like: the profiles as data. */

/** `minimal`: TLS 1.3, client known by a short-lived certificate. `standard`: mutual TLS 1.3. `high`: and signed messages. */
export type EncryptionLevel = "minimal" | "standard" | "high";
/** How hard to compress: zstd 1, 3, 9. */
export type CompressionLevel = "none" | "low" | "medium" | "high";
/** At most once; acknowledged, retried, deduplicated; and persisted until acknowledged. */
export type ReliabilityLevel = "best-effort" | "high" | "guaranteed";
/** How closely input is checked: by its frame, by its schema, and against everything known of the sender. */
export type ValidationLevel = "basic" | "standard" | "strict";
/** What an adaptive profile goes by. */
export type AdaptationStrategy = "capability-based" | "latency-based" | "bandwidth-based";

/** The profile of one pair of node types. */
export interface Profile {
  /** What the pair of types is given by the table. */
  readonly name: "high-performance" | "adaptive" | "standard" | "lightweight";
  /** What the link asks of its transport. */
  readonly encryption: EncryptionLevel;
  /** How hard payloads are compressed. */
  readonly compression: CompressionLevel;
  /** Algorithms in order of preference, `"none"` last. */
  readonly compressions: readonly string[];
  /** What a message is promised. */
  readonly reliability: ReliabilityLevel;
  /** How closely input is checked. */
  readonly validation: ValidationLevel;
  /** Present on the adaptive profile only. */
  readonly adaptation?: {
    readonly base: "standard" | "minimal";
    readonly strategy: AdaptationStrategy;
    readonly fallback: "standard" | "minimal";
  };
  /** True where both peers may propose (rhizomorph–rhizomorph). */
  readonly negotiationEnabled: boolean;
}

/** What is really in force on a link, given what both builds can do. */
export interface ProfileInForce {
  /** `none` where the transport is in the clear. */
  readonly encryption: EncryptionLevel | "none";
  /** The algorithm chosen, `"none"` if there is none in common. */
  readonly compression: string;
  /** The weaker of what both can do. */
  readonly reliability: ReliabilityLevel;
}

/** What negotiation yields. */
export interface NegotiatedProfile {
  /** What the table and the overrides ask for. */
  readonly wanted: Profile;
  /** What it has come to. */
  readonly inForce: ProfileInForce;
}

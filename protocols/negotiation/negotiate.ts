/**
 * From two hellos to one profile: a pure function, symmetric in its hellos, so
 * both ends of a link compute the same without asking each other.
 *
 * What is wanted comes from the table and from both sides' overrides. Where
 * safety is concerned (encryption, reliability, validation) each side's wish is
 * its override, or else the table, and the stronger wish wins: a profile is
 * relaxed only if both say so. Compression is a matter of cost: a lone override
 * counts, of two the cheaper. Lists are intersected, in the order of the side
 * with the lower id, which also decides what cannot be ranked.
 *
 * What is in force is the best that both announce and the connection provides.
 * Falling short of the table is shown, not refused; falling short of an
 * encryption that somebody demanded by an override is refused.
 */
import type { Hello, ProfileOverride } from "./hello.ts";
import type { NegotiatedProfile, Profile, ProfileInForce, ReliabilityLevel } from "./profile.ts";
import type { EncryptionLevel } from "./profile.ts";
import {
  compressionLevels,
  defaultProfile,
  encryptionLevels,
  overrideFor,
  pairName,
  reliabilityLevels,
  validationLevels,
} from "./table.ts";
import { encodeUtf8 } from "../utf8.ts";
import { writeU32 } from "../frame/header.ts";

/** What two hellos come to. */
export type Negotiation =
  | {
    readonly ok: true;
    readonly profile: NegotiatedProfile;
    /** The version of the wire to speak. */
    readonly version: number;
  }
  | { readonly ok: false; readonly code: "version" | "profile"; readonly message: string };

/**
 * The profile of the link between two nodes.
 * @param encryption what the connection below provides.
 */
export function negotiate(
  a: Hello,
  b: Hello,
  encryption: EncryptionLevel | "none",
): Negotiation {
  const version = commonVersion(a, b);
  if (typeof version === "string") return { ok: false, code: "version", message: version };
  const [lower, higher] = inOrder(a, b);
  const types = [a.node.type, b.node.type] as const;
  const first = overrideFor(lower.profiles, ...types);
  const second = overrideFor(higher.profiles, ...types);
  const demanded = strongest(encryptionLevels, "none", first.encryption, second.encryption);
  if (rank(encryptionLevels, encryption) < rank(encryptionLevels, demanded)) {
    return {
      ok: false,
      code: "profile",
      message: `profiles.${pairName(...types)}.encryption demands ${demanded}, and this ` +
        `connection provides ${encryption}: use another transport, or lower the demand`,
    };
  }
  const wanted = merge(defaultProfile(...types), first, second);
  const inForce = inForceOf(wanted, lower, higher, encryption);
  return { ok: true, profile: { wanted, inForce }, version };
}

/** The newest version of the wire that both speak, or the sentence that says why there is none. */
export function commonVersion(a: Hello, b: Hello): number | string {
  const version = Math.min(a.version, b.version);
  if (version >= Math.max(a.minVersion, b.minVersion)) return version;
  const [newer, older] = a.minVersion > b.version ? [a, b] : [b, a];
  return `${newer.node.id} speaks versions ${versionText(newer.minVersion)} to ` +
    `${versionText(newer.version)} of the wire, ${older.node.id} up to ` +
    `${versionText(older.version)}: upgrade ${older.node.id}`;
}

/**
 * What both ends hash and compare: the hellos as they were sent, the dialler's
 * first, and the encryption each believes in. Whoever tampers with a hello, or
 * stands between, leaves them with different hashes.
 */
export function transcriptBytes(
  dialer: Uint8Array,
  acceptor: Uint8Array,
  encryption: EncryptionLevel | "none",
): Uint8Array<ArrayBuffer> {
  const label = encodeUtf8(`mycnet link transcript, encryption ${encryption}\0`);
  const bytes = new Uint8Array(label.length + 4 + dialer.length + acceptor.length);
  bytes.set(label);
  writeU32(bytes, label.length, dialer.length);
  bytes.set(dialer, label.length + 4);
  bytes.set(acceptor, label.length + 4 + dialer.length);
  return bytes;
}

/** A version of the wire as people read it: `1.0`. */
export function versionText(version: number): string {
  return `${version >> 8}.${version & 0xff}`;
}

function inOrder(a: Hello, b: Hello): [Hello, Hello] {
  if (a.node.id !== b.node.id) return a.node.id < b.node.id ? [a, b] : [b, a];
  // Two of one id are refused before they matter; until then any fixed order will do.
  if (a.node.generation !== b.node.generation) {
    return a.node.generation < b.node.generation ? [a, b] : [b, a];
  }
  return nonceText(a) <= nonceText(b) ? [a, b] : [b, a];
}

function nonceText({ nonce }: Hello): string {
  return Array.from(nonce, (byte) => String.fromCharCode(byte)).join("");
}

function merge(base: Profile, first: ProfileOverride, second: ProfileOverride): Profile {
  const adaptation = base.adaptation && (first.adaptation ?? second.adaptation ?? base.adaptation);
  return {
    name: base.name,
    encryption: strongest(
      encryptionLevels,
      first.encryption ?? base.encryption,
      second.encryption ?? base.encryption,
    ) as EncryptionLevel,
    compression: cheapest(first.compression, second.compression) ?? base.compression,
    compressions: common(
      first.compressions ?? base.compressions,
      second.compressions ?? base.compressions,
    ),
    reliability: strongest(
      reliabilityLevels,
      first.reliability ?? base.reliability,
      second.reliability ?? base.reliability,
    ),
    validation: strongest(
      validationLevels,
      first.validation ?? base.validation,
      second.validation ?? base.validation,
    ),
    ...(adaptation === undefined ? {} : { adaptation }),
    negotiationEnabled: (first.negotiationEnabled ?? base.negotiationEnabled) &&
      (second.negotiationEnabled ?? base.negotiationEnabled),
  };
}

function inForceOf(
  wanted: Profile,
  lower: Hello,
  higher: Hello,
  encryption: EncryptionLevel | "none",
): ProfileInForce {
  const compression = wanted.compression === "none"
    ? undefined
    : wanted.compressions.find((name) =>
      lower.capabilities.compressions.includes(name) &&
      higher.capabilities.compressions.includes(name)
    );
  let reliability: ReliabilityLevel = "best-effort";
  for (const level of reliabilityLevels) {
    if (rank(reliabilityLevels, level) > rank(reliabilityLevels, wanted.reliability)) break;
    if (
      lower.capabilities.reliabilities.includes(level) &&
      higher.capabilities.reliabilities.includes(level)
    ) reliability = level;
  }
  return { encryption, compression: compression ?? "none", reliability };
}

/** What both lists hold, in the order of the first; `none` always, and last. */
function common(first: readonly string[], second: readonly string[]): readonly string[] {
  const both = first.filter((name) => name !== "none" && second.includes(name));
  return [...new Set(both), "none"];
}

function strongest<T extends string>(levels: readonly T[], ...wishes: (T | undefined)[]): T {
  return levels[Math.max(...wishes.map((wish) => wish === undefined ? 0 : rank(levels, wish)))]!;
}

function cheapest(
  first: Profile["compression"] | undefined,
  second: Profile["compression"] | undefined,
): Profile["compression"] | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return rank(compressionLevels, first) <= rank(compressionLevels, second) ? first : second;
}

function rank<T extends string>(levels: readonly T[], level: T): number {
  return levels.indexOf(level);
}

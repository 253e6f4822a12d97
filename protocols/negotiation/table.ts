/**
 * The table of profiles: one for each pair of node types.
 *
 * | pair                    | profile          |
 * |-------------------------|------------------|
 * | sclerotia–sclerotia     | high-performance |
 * | sclerotia–rhizomorph    | adaptive         |
 * | rhizomorph–rhizomorph   | standard         |
 * | any–hyphae              | lightweight      |
 */
import type { NodeType } from "../identity/principal.ts";
import { nodeTypes } from "../identity/principal.ts";
import type { PairName, ProfileOverride, ProfileOverrides } from "./hello.ts";
import type { CompressionLevel, EncryptionLevel, Profile, ReliabilityLevel } from "./profile.ts";
import type { ValidationLevel } from "./profile.ts";

/** Levels of encryption, the weakest first; `none` is a link in the clear. */
export const encryptionLevels: readonly (EncryptionLevel | "none")[] = [
  "none",
  "minimal",
  "standard",
  "high",
];
/** Levels of compression, the cheapest first. */
export const compressionLevels: readonly CompressionLevel[] = ["none", "low", "medium", "high"];
/** Levels of reliability, the weakest first. */
export const reliabilityLevels: readonly ReliabilityLevel[] = [
  "best-effort",
  "high",
  "guaranteed",
];
/** Levels of validation, the weakest first. */
export const validationLevels: readonly ValidationLevel[] = ["basic", "standard", "strict"];

const highPerformance: Profile = Object.freeze({
  name: "high-performance",
  encryption: "standard",
  compression: "low",
  compressions: Object.freeze(["zstd", "none"]),
  reliability: "high",
  validation: "standard",
  negotiationEnabled: false,
});

const adaptive: Profile = Object.freeze({
  name: "adaptive",
  encryption: "standard",
  compression: "low",
  compressions: Object.freeze(["zstd", "none"]),
  reliability: "high",
  validation: "standard",
  adaptation: Object.freeze({
    base: "standard",
    strategy: "capability-based",
    fallback: "minimal",
  }),
  negotiationEnabled: false,
});

const standard: Profile = Object.freeze({
  name: "standard",
  encryption: "standard",
  compression: "medium",
  compressions: Object.freeze(["zstd", "none"]),
  reliability: "high",
  validation: "standard",
  negotiationEnabled: true,
});

const lightweight: Profile = Object.freeze({
  name: "lightweight",
  encryption: "minimal",
  compression: "high",
  compressions: Object.freeze(["zstd", "none"]),
  reliability: "best-effort",
  validation: "basic",
  negotiationEnabled: false,
});

/** The profiles by pair, each pair once, its more capable type first. */
export const profileTable: Readonly<Partial<Record<PairName, Profile>>> = Object.freeze({
  "sclerotia-sclerotia": highPerformance,
  "sclerotia-rhizomorph": adaptive,
  "sclerotia-hyphae": lightweight,
  "rhizomorph-rhizomorph": standard,
  "rhizomorph-hyphae": lightweight,
  "hyphae-hyphae": lightweight,
});

/** The name of a pair as the table has it, whatever the order of its types. */
export function pairName(a: NodeType, b: NodeType): PairName {
  return nodeTypes.indexOf(a) <= nodeTypes.indexOf(b) ? `${a}-${b}` : `${b}-${a}`;
}

/** The profile that the table gives a pair. */
export function defaultProfile(a: NodeType, b: NodeType): Profile {
  return profileTable[pairName(a, b)]!;
}

/** What overrides say of a pair, under either order of its types; where both stand, the table's order wins field by field. */
export function overrideFor(
  overrides: ProfileOverrides,
  a: NodeType,
  b: NodeType,
): ProfileOverride {
  const name = pairName(a, b);
  const [first, second] = name.split("-") as [NodeType, NodeType];
  return { ...overrides[`${second}-${first}`], ...overrides[name] };
}

/**
 * How a hello is written and read: one MessagePack map.
 *
 * A hello comes from anybody who can connect, so reading checks every field
 * and says which is wrong. Keys that this version does not know are skipped;
 * levels it does not know are an error, because two sides that read them
 * differently would compute different profiles.
 */
import { decode, encode } from "../codec/mod.ts";
import { checkDescription, type Checked, isRecord, isText } from "../identity/description.ts";
import { nodeTypes } from "../identity/principal.ts";
import type { AnnouncedLimits, Hello, LinkCapabilities } from "./hello.ts";
import type { PairName, ProfileOverride, ProfileOverrides } from "./hello.ts";
import {
  compressionLevels,
  encryptionLevels,
  reliabilityLevels,
  validationLevels,
} from "./table.ts";

/** Bounds on what a hello may hold. */
export const helloLimits = {
  addresses: 16,
  addressLength: 255,
  /** Entries of a list of capabilities, and of compressions in an override. */
  names: 16,
  nameLength: 32,
  nonceBytes: 16,
  minFrameBytes: 1024,
  /** The highest slot. */
  slot: 63,
} as const;

/** The bytes of a hello. */
export function encodeHello(hello: Hello): Uint8Array<ArrayBuffer> {
  return encode(hello);
}

/** Reads a hello, or says which field is wrong. Never throws. */
export function decodeHello(bytes: Uint8Array): Checked<Hello> {
  let value: unknown;
  try {
    value = decode(bytes);
  } catch (error) {
    return { ok: false, message: `hello: ${(error as Error).message}` };
  }
  try {
    return { ok: true, value: readHello(value) };
  } catch (error) {
    if (error instanceof FieldProblem) return { ok: false, message: `hello.${error.message}` };
    throw error;
  }
}

class FieldProblem extends Error {}

function readHello(value: unknown): Hello {
  const hello = record(value, "value");
  const node = checkDescription(hello.node, "node.");
  if (!node.ok) throw new FieldProblem(node.message);
  const { nonce } = hello;
  if (!(nonce instanceof Uint8Array) || nonce.length !== helloLimits.nonceBytes) {
    throw new FieldProblem(`nonce: ${helloLimits.nonceBytes} bytes expected`);
  }
  const version = integer(hello.version, "version", 0x0100, 0xffff);
  return {
    version,
    minVersion: integer(hello.minVersion, "minVersion", 0x0100, version),
    node: node.value,
    addresses: texts(
      hello.addresses,
      "addresses",
      helloLimits.addresses,
      helloLimits.addressLength,
    ),
    ...(hello.gossip === undefined ? {} : { gossip: hostPort(hello.gossip, "gossip") }),
    capabilities: readCapabilities(hello.capabilities),
    limits: readLimits(hello.limits),
    profiles: readProfiles(hello.profiles),
    slot: integer(hello.slot, "slot", 0, helloLimits.slot),
    nonce,
  };
}

function readCapabilities(value: unknown): LinkCapabilities {
  const capabilities = record(value, "capabilities");
  const list = (field: string) => names(capabilities[field], `capabilities.${field}`);
  return {
    codecs: list("codecs"),
    compressions: list("compressions"),
    reliabilities: list("reliabilities"),
    ...(capabilities.transports === undefined ? {} : { transports: list("transports") }),
  };
}

function readLimits(value: unknown): AnnouncedLimits {
  const limits = record(value, "limits");
  return {
    maxFrameBytes: integer(
      limits.maxFrameBytes,
      "limits.maxFrameBytes",
      helloLimits.minFrameBytes,
      0xffff_ffff,
    ),
    streamWindowBytes: integer(
      limits.streamWindowBytes,
      "limits.streamWindowBytes",
      1,
      0x7fff_ffff,
    ),
    maxExchanges: integer(limits.maxExchanges, "limits.maxExchanges", 1, 0x7fff_ffff),
    maxStreams: integer(limits.maxStreams, "limits.maxStreams", 1, 0x7fff_ffff),
  };
}

function readProfiles(value: unknown): ProfileOverrides {
  const profiles = record(value, "profiles");
  const overrides: { [Pair in PairName]?: ProfileOverride } = {};
  for (const a of nodeTypes) {
    for (const b of nodeTypes) {
      const pair: PairName = `${a}-${b}`;
      if (profiles[pair] !== undefined) {
        overrides[pair] = readOverride(profiles[pair], `profiles.${pair}`);
      }
    }
  }
  return overrides;
}

function readOverride(value: unknown, path: string): ProfileOverride {
  const given = record(value, path);
  const override: { -readonly [K in keyof ProfileOverride]: ProfileOverride[K] } = {};
  const level = <T extends string>(field: string, levels: readonly T[]): T =>
    oneOf(given[field], `${path}.${field}`, levels);
  if (given.encryption !== undefined) {
    const encryption = level("encryption", encryptionLevels);
    if (encryption === "none") {
      throw new FieldProblem(`${path}.encryption: minimal, standard or high expected`);
    }
    override.encryption = encryption;
  }
  if (given.compression !== undefined) {
    override.compression = level("compression", compressionLevels);
  }
  if (given.compressions !== undefined) {
    override.compressions = names(given.compressions, `${path}.compressions`);
  }
  if (given.reliability !== undefined) {
    override.reliability = level("reliability", reliabilityLevels);
  }
  if (given.validation !== undefined) override.validation = level("validation", validationLevels);
  if (given.adaptation !== undefined) {
    const adaptation = record(given.adaptation, `${path}.adaptation`);
    const bases = ["standard", "minimal"] as const;
    override.adaptation = {
      base: oneOf(adaptation.base, `${path}.adaptation.base`, bases),
      strategy: oneOf(
        adaptation.strategy,
        `${path}.adaptation.strategy`,
        ["capability-based", "latency-based", "bandwidth-based"] as const,
      ),
      fallback: oneOf(adaptation.fallback, `${path}.adaptation.fallback`, bases),
    };
  }
  if (given.negotiationEnabled !== undefined) {
    if (typeof given.negotiationEnabled !== "boolean") {
      throw new FieldProblem(`${path}.negotiationEnabled: true or false expected`);
    }
    override.negotiationEnabled = given.negotiationEnabled;
  }
  return override;
}

function record(value: unknown, path: string): Record<string, unknown> {
  if (!isRecord(value)) throw new FieldProblem(`${path}: an object expected`);
  return value;
}

function integer(value: unknown, path: string, least: number, most: number): number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    throw new FieldProblem(`${path}: an integer from ${least} to ${most} expected`);
  }
  return value as number;
}

/** `host:port` or `[v6]:port` of somewhere that can be reached: a host, and no port 0. */
function hostPort(value: unknown, path: string): string {
  const match = isText(value, helloLimits.addressLength)
    ? /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(value as string)
    : null;
  const port = Number(match?.[1]);
  if (match === null || port < 1 || port > 65_535) {
    throw new FieldProblem(
      `${path}: host:port of at most ${helloLimits.addressLength} characters expected`,
    );
  }
  return value as string;
}

function names(value: unknown, path: string): readonly string[] {
  return texts(value, path, helloLimits.names, helloLimits.nameLength);
}

function texts(value: unknown, path: string, count: number, length: number): readonly string[] {
  if (
    !Array.isArray(value) || value.length > count || !value.every((item) => isText(item, length))
  ) {
    throw new FieldProblem(
      `${path}: a list of at most ${count} texts of at most ${length} characters expected`,
    );
  }
  return value as string[];
}

function oneOf<T extends string>(value: unknown, path: string, levels: readonly T[]): T {
  if (!(levels as readonly unknown[]).includes(value)) {
    throw new FieldProblem(`${path}: one of ${levels.join(", ")} expected`);
  }
  return value as T;
}

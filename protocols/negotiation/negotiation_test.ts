import assert from "node:assert/strict";
import fc from "fast-check";
import { nodeTypes } from "../identity/principal.ts";
import { isNodeId } from "../identity/spiffe.ts";
import { defaultCapabilities, type Hello, type PairName, type ProfileOverride } from "./hello.ts";
import { decodeHello, encodeHello } from "./hello_codec.ts";
import { commonVersion, negotiate, transcriptBytes } from "./negotiate.ts";
import {
  compressionLevels,
  defaultProfile,
  encryptionLevels,
  overrideFor,
  pairName,
  profileTable,
  reliabilityLevels,
  validationLevels,
} from "./table.ts";

function hello(id: string, change: Partial<Hello> = {}): Hello {
  return {
    version: 0x0100,
    minVersion: 0x0100,
    node: { cluster: "test", type: "sclerotia", id, generation: 1, version: "0.1.0" },
    addresses: [],
    capabilities: defaultCapabilities,
    limits: {
      maxFrameBytes: 2 ** 24,
      streamWindowBytes: 2 ** 18,
      maxExchanges: 4096,
      maxStreams: 100,
    },
    profiles: {},
    slot: 0,
    nonce: new Uint8Array(16),
    ...change,
  };
}

const plainRecord = { noNullPrototype: true } as const;
const override: fc.Arbitrary<ProfileOverride> = fc.record({
  encryption: fc.constantFrom("minimal", "standard", "high"),
  compression: fc.constantFrom(...compressionLevels),
  compressions: fc.uniqueArray(fc.constantFrom("zstd", "lz4", "snappy", "none")),
  reliability: fc.constantFrom(...reliabilityLevels),
  validation: fc.constantFrom(...validationLevels),
  adaptation: fc.record({
    base: fc.constantFrom("standard", "minimal"),
    strategy: fc.constantFrom("capability-based", "latency-based", "bandwidth-based"),
    fallback: fc.constantFrom("standard", "minimal"),
  }, plainRecord),
  negotiationEnabled: fc.boolean(),
}, { requiredKeys: [], ...plainRecord });
const pairs = nodeTypes.flatMap((a) => nodeTypes.map((b): PairName => `${a}-${b}`));
const names = (...all: string[]) => fc.uniqueArray(fc.constantFrom(...all));
const helloFields = {
  version: fc.integer({ min: 0x0200, max: 0x0300 }),
  minVersion: fc.integer({ min: 0x0100, max: 0x0200 }),
  node: fc.record({
    cluster: fc.constant("test"),
    type: fc.constantFrom(...nodeTypes),
    id: fc.stringMatching(/^[a-z0-9._-]{1,5}$/).filter(isNodeId),
    generation: fc.nat(2),
    version: fc.constant("0.1.0"),
  }, plainRecord),
  addresses: fc.array(fc.string({ maxLength: 20 }), { maxLength: 3 }),
  capabilities: fc.record({
    codecs: names("msgpack", "json"),
    compressions: names("zstd", "lz4", "snappy", "none", "brotli"),
    reliabilities: names("best-effort", "high", "guaranteed", "psychic"),
  }, plainRecord),
  limits: fc.record({
    maxFrameBytes: fc.integer({ min: 1024, max: 2 ** 32 - 1 }),
    streamWindowBytes: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    maxExchanges: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    maxStreams: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  }, plainRecord),
  profiles: fc.dictionary(fc.constantFrom(...pairs), override, plainRecord),
  slot: fc.nat(63),
  nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
};
const optional = {
  gossip: fc.constantFrom("10.0.0.1:7946", "[fd00::1]:1", "node-1.example:65535"),
};
const anyHello: fc.Arbitrary<Hello> = fc.record({ ...helloFields, ...optional }, {
  requiredKeys: Object.keys(helloFields) as (keyof typeof helloFields)[],
  ...plainRecord,
});
const encryption = fc.constantFrom(...encryptionLevels);

Deno.test("both sides always come to the same, whatever their hellos", () => {
  let agreed = 0;
  fc.assert(
    fc.property(anyHello, anyHello, encryption, (a, b, level) => {
      const outcome = negotiate(a, b, level);
      assert.deepEqual(negotiate(b, a, level), outcome);
      if (outcome.ok) agreed++;
    }),
    { numRuns: 3000 },
  );
  assert(agreed > 500);
});

Deno.test("what is in force never exceeds what both announce, nor what is wanted", () => {
  fc.assert(
    fc.property(anyHello, anyHello, encryption, (a, b, level) => {
      const outcome = negotiate(a, b, level);
      if (!outcome.ok) return;
      const { wanted, inForce } = outcome.profile;
      assert.equal(inForce.encryption, level);
      for (const { capabilities } of [a, b]) {
        if (inForce.compression !== "none") {
          assert(capabilities.compressions.includes(inForce.compression));
        }
        if (inForce.reliability !== "best-effort") {
          assert(capabilities.reliabilities.includes(inForce.reliability));
        }
      }
      const rank = (of: string) => (reliabilityLevels as readonly string[]).indexOf(of);
      assert(rank(inForce.reliability) <= rank(wanted.reliability));
      assert(wanted.compressions.includes(inForce.compression));
      assert.equal(wanted.compressions.at(-1), "none");
    }),
    { numRuns: 2000 },
  );
});

Deno.test("an encryption that anybody demanded is in force, or the link is refused", () => {
  const rank = (level: string | undefined) =>
    level === undefined ? 0 : (encryptionLevels as readonly string[]).indexOf(level);
  fc.assert(
    fc.property(anyHello, anyHello, encryption, (a, b, level) => {
      const demanded = Math.max(
        ...[a, b].map(({ profiles }) =>
          rank(overrideFor(profiles, a.node.type, b.node.type).encryption)
        ),
      );
      const outcome = negotiate(a, b, level);
      assert.equal(outcome.ok, rank(level) >= demanded);
      if (outcome.ok) assert(rank(outcome.profile.wanted.encryption) >= demanded);
      else assert.match(outcome.message, /^profiles\.\w+-\w+\.encryption demands/);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("the table holds the profiles of the seeds", () => {
  const row = (pair: PairName) => {
    const profile = profileTable[pair]!;
    return [profile.name, profile.encryption, profile.compression, profile.reliability];
  };
  assert.deepEqual(row("sclerotia-sclerotia"), ["high-performance", "standard", "low", "high"]);
  assert.deepEqual(row("rhizomorph-rhizomorph"), ["standard", "standard", "medium", "high"]);
  for (const type of nodeTypes) {
    const pair = pairName("hyphae", type);
    assert.deepEqual(row(pair), ["lightweight", "minimal", "high", "best-effort"]);
  }
  assert.equal(row("sclerotia-rhizomorph")[0], "adaptive");
  assert.deepEqual(profileTable["sclerotia-rhizomorph"]!.adaptation, {
    base: "standard",
    strategy: "capability-based",
    fallback: "minimal",
  });
  for (const a of nodeTypes) {
    for (const b of nodeTypes) {
      assert.equal(defaultProfile(a, b), defaultProfile(b, a));
      assert(Object.isFrozen(defaultProfile(a, b)));
    }
  }
});

Deno.test("without overrides the table is wanted, and what this build can do is in force", () => {
  const outcome = negotiate(hello("a"), hello("b"), "standard");
  assert(outcome.ok);
  const { name, encryption, compression, reliability } = outcome.profile.wanted;
  assert.deepEqual(
    { name, encryption, compression, reliability },
    { name: "high-performance", encryption: "standard", compression: "low", reliability: "high" },
  );
  assert.deepEqual(outcome.profile.inForce, {
    encryption: "standard",
    compression: "none",
    reliability: "high",
  });
  assert(negotiate(hello("a"), hello("b"), "none").ok, "less than the table is shown, not refused");
});

/** The profile wanted between two sclerotia with these overrides; `a` has the lower id. */
function wanted(a: ProfileOverride, b: ProfileOverride) {
  const outcome = negotiate(
    hello("a", { profiles: { "sclerotia-sclerotia": a } }),
    hello("b", { profiles: { "sclerotia-sclerotia": b } }),
    "high",
  );
  assert(outcome.ok);
  return outcome.profile.wanted;
}

Deno.test("the stronger wish for safety wins, and only both together relax it", () => {
  assert.equal(wanted({ encryption: "high" }, {}).encryption, "high");
  assert.equal(wanted({ encryption: "minimal" }, {}).encryption, "standard");
  assert.equal(wanted({ encryption: "minimal" }, { encryption: "minimal" }).encryption, "minimal");
  assert.equal(wanted({}, { reliability: "guaranteed" }).reliability, "guaranteed");
  assert.equal(wanted({}, { reliability: "best-effort" }).reliability, "high");
  assert.equal(wanted({ validation: "strict" }, { validation: "basic" }).validation, "strict");
});

Deno.test("compression goes by the cheaper wish and the order of the lower id", () => {
  assert.equal(wanted({ compression: "high" }, {}).compression, "high");
  assert.equal(wanted({ compression: "high" }, { compression: "none" }).compression, "none");
  assert.deepEqual(
    wanted({ compressions: ["lz4", "zstd"] }, { compressions: ["zstd", "lz4", "snappy"] })
      .compressions,
    ["lz4", "zstd", "none"],
  );
  assert.deepEqual(wanted({ compressions: ["lz4"] }, {}).compressions, ["none"]);
});

Deno.test("overrides count under either order of the pair", () => {
  const outcome = negotiate(
    hello("a", { profiles: { "rhizomorph-sclerotia": { validation: "strict" } } }),
    hello("b", { node: { ...hello("b").node, type: "rhizomorph" } }),
    "standard",
  );
  assert(outcome.ok);
  assert.equal(outcome.profile.wanted.validation, "strict");
  assert.deepEqual(
    overrideFor(
      {
        "hyphae-sclerotia": { compression: "low", validation: "strict" },
        "sclerotia-hyphae": { compression: "medium" },
      },
      "hyphae",
      "sclerotia",
    ),
    { compression: "medium", validation: "strict" },
  );
});

Deno.test("versions agree on the newest that both speak, or say who should upgrade", () => {
  const speaks = (id: string, minVersion: number, version: number) =>
    hello(id, { minVersion, version });
  assert.equal(commonVersion(speaks("a", 0x0100, 0x0203), speaks("b", 0x0101, 0x0104)), 0x0104);
  const message = commonVersion(speaks("a", 0x0200, 0x0203), speaks("b", 0x0100, 0x0104));
  assert.match(String(message), /a speaks versions 2\.0 to 2\.3 .* b up to 1\.4: upgrade b/);
  const outcome = negotiate(speaks("b", 0x0100, 0x0104), speaks("a", 0x0200, 0x0203), "none");
  assert(!outcome.ok);
  assert.equal(outcome.code, "version");
  assert.equal(outcome.message, message);
});

Deno.test("a hello survives the wire", () => {
  fc.assert(fc.property(anyHello, (sent) => {
    const read = decodeHello(encodeHello(sent));
    assert(read.ok, read.ok ? "" : read.message);
    assert.deepEqual(read.value, sent);
  }));
});

Deno.test("mutated hellos are read or refused by field, never thrown", () => {
  const good = encodeHello(
    hello("a", {
      gossip: "10.0.0.1:7946",
      profiles: { "sclerotia-hyphae": { validation: "basic" } },
    }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (changes) => {
        const bytes = good.slice();
        for (const [at, value] of changes) bytes[at] = value;
        const read = decodeHello(bytes);
        if (!read.ok) assert.match(read.message, /^hello[.:]/);
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("a transcript tells apart who dialled, what was said, and the encryption", () => {
  const [a, b] = [new Uint8Array([1, 2]), new Uint8Array([3])];
  const all = [
    transcriptBytes(a, b, "standard"),
    transcriptBytes(b, a, "standard"),
    transcriptBytes(a, b, "none"),
    transcriptBytes(new Uint8Array([1]), new Uint8Array([2, 3]), "standard"),
  ];
  assert.equal(new Set(all.map((bytes) => bytes.toHex())).size, all.length);
});

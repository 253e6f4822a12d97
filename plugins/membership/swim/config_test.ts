import assert from "node:assert/strict";
import { swimPresets } from "@mycnet/protocols/swim";
import { machineConfig, swimConfig } from "./config.ts";

const parse = (value: unknown) => machineConfig(swimConfig.parse(value));

Deno.test("a preset is taken whole, and each setting of the protocol may be laid over it", () => {
  assert.deepEqual(parse({}), swimPresets.default);
  assert.deepEqual(parse({ preset: "wan" }), swimPresets.wan);
  assert.deepEqual(
    parse({ preset: "local", probeInterval: "2s", probeTimeout: 300, streamFallback: false }),
    { ...swimPresets.local, probeIntervalMs: 2000, probeTimeoutMs: 300, streamFallback: false },
  );
});

Deno.test("every field of the machine's configuration can be set", () => {
  const lan = swimPresets.lan;
  const written = Object.fromEntries(
    Object.entries(lan).map(([name, value]) => [
      name.replace(/Ms$/, ""),
      typeof value === "boolean" ? !value : Math.max(value, 1) + 1024,
    ]),
  );
  const bounded = {
    indirectChecks: 9,
    awarenessMax: 9,
    suspicionMult: 9,
    suspicionMaxMult: 9,
    suspicionConfirmations: 9,
    gossipNodes: 9,
    retransmitMult: 9,
  };
  const config = parse({ ...written, ...bounded }) as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(lan)) {
    assert.notEqual(config[name], value, name);
  }
  assert.deepEqual(Object.keys(config).sort(), Object.keys(lan).sort());
});

Deno.test("contradictions and bad values name their field", () => {
  const key = new Uint8Array(32).toBase64();
  const paths = (value: unknown) =>
    swimConfig.safeParse(value).error?.issues.map(({ path }) => path.join("."));
  assert.deepEqual(paths({ encryptKey: key, keyringPath: "x" }), ["encryptKey"]);
  assert.deepEqual(paths({ encryptKey: key, insecure: true }), ["insecure"]);
  assert.deepEqual(paths({ encryptKey: "AAAA" }), ["encryptKey"]);
  assert.deepEqual(paths({ bindAddress: "nowhere" }), ["bindAddress"]);
  assert.deepEqual(paths({ join: ["a:1", "b"] }), ["join.1"]);
  assert.deepEqual(paths({ probeInterval: "soon" }), ["probeInterval"]);
});

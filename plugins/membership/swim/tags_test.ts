import assert from "node:assert/strict";
import fc from "fast-check";
import { codeOf } from "../../../core/kernel/errors.ts";
import { maxMetaBytes, type NodeFacts, nodeTags, readTags, tagsBytes } from "./tags.ts";

const facts: NodeFacts = {
  type: "rhizomorph",
  cluster: "prod",
  datacenter: "ams",
  rack: "r1",
  capacity: { cpus: 8, memoryBytes: 34_359_738_368 },
  linkAddresses: ["tls://10.0.0.5:7000", "quic://[fd00::5]:7001"],
  version: "1.2.3",
};

Deno.test("a node's tags say what it is, and are read back the same", () => {
  const tags = nodeTags(facts, { role: "web" });
  assert.deepEqual({ ...tags }, {
    type: "rhizomorph",
    cluster: "prod",
    dc: "ams",
    rack: "r1",
    cap: "8:34359738368:",
    ver: "1.2.3",
    link: "tls://10.0.0.5:7000 quic://[fd00::5]:7001",
    role: "web",
  });
  assert.deepEqual(readTags("node-1", tags), facts);
  const bare: NodeFacts = { type: "sclerotia", cluster: "c", linkAddresses: [], version: "1" };
  assert.deepEqual(readTags("a", nodeTags(bare, {})), bare);
});

Deno.test("what does not fit 512 bytes is left out, the least needed first", () => {
  const long = {
    ...facts,
    linkAddresses: Array.from({ length: 20 }, (_, i) => `tls://${"h".repeat(60)}${i}:7000`),
  };
  const few = nodeTags(long, {});
  assert.ok(tagsBytes(few) <= maxMetaBytes);
  assert.ok(few.link!.split(" ").length >= 4 && few.cap !== undefined);
  const crowded = nodeTags(long, { note: "n".repeat(230), more: "m".repeat(80) });
  assert.ok(tagsBytes(crowded) <= maxMetaBytes);
  assert.equal(crowded.link!.split(" ").length, 1);
  assert.deepEqual([crowded.type, crowded.cluster], ["rhizomorph", "prod"]);
  assert.throws(
    () => nodeTags(facts, { a: "x".repeat(255), b: "y".repeat(255) }),
    (error) => codeOf(error) === "config_invalid" && /512/.test((error as Error).message),
  );
  for (const name of ["type", "svc"]) {
    assert.throws(
      () => nodeTags(facts, { [name]: "x" }),
      (error) => codeOf(error) === "config_invalid",
    );
  }
});

Deno.test("the hash of what it serves gives way before rack and datacenter, and after the rest", () => {
  const serving = { ...facts, services: "aBcDeFgHiJk" };
  assert.equal(nodeTags(serving, {}).svc, "aBcDeFgHiJk");
  const dropped = new Set<string>();
  assert.throws(() => {
    for (let room = 100;; room++) {
      const tags = nodeTags(serving, { a: "x".repeat(255), b: "y".repeat(room) });
      const missing = ["cap", "ver", "svc", "rack", "dc"].filter((it) => tags[it] === undefined);
      dropped.add(missing.join());
    }
  }, (error) => codeOf(error) === "config_invalid");
  const stages = ["", "cap", "cap,ver", "cap,ver,svc", "cap,ver,svc,rack", "cap,ver,svc,rack,dc"];
  assert.deepEqual([...dropped], stages);
});

Deno.test("whatever a member claims is read without harm", () => {
  assert.equal(readTags("agent", { role: "web" }), undefined);
  assert.equal(readTags("Not An Id", { type: "sclerotia", cluster: "c" }), undefined);
  assert.equal(readTags("a", { type: "king", cluster: "c" }), undefined);
  const odd = readTags("a", {
    type: "sclerotia",
    cluster: "c",
    cap: "many",
    link: "tls://h:7000 nonsense tls://:1 tls://h:0 tls://h:99999 TLS://h:1",
  });
  assert.deepEqual(odd?.linkAddresses, ["tls://h:7000"]);
  assert.equal(odd?.capacity, undefined);
  const keys = fc.constantFrom("type", "cluster", "dc", "rack", "cap", "link", "ver", "other");
  const claims = fc.dictionary(keys, fc.oneof(fc.string(), fc.constant("sclerotia")));
  fc.assert(fc.property(fc.string(), claims, (id, tags) => {
    const read = readTags(id, tags);
    if (read === undefined) return;
    assert.ok(read.linkAddresses.length <= 8);
    for (const amount of Object.values(read.capacity ?? {})) assert.ok(Number.isFinite(amount));
  }));
});

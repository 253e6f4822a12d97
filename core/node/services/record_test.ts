import assert from "node:assert/strict";
import fc from "fast-check";
import { decode, encode } from "@mycnet/protocols/codec";
import { noFields } from "@mycnet/protocols/frame";
import { chainOf, directoryType, serve, signed, view } from "./directory_fakes_test.ts";
import { FakeNetwork } from "./fakes_test.ts";
import { recordFromWire, recordToWire } from "./record.ts";

Deno.test("a record that its owner did not sign is refused and counted, and not passed on", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b, c] = chainOf(network, ["a", "b", "c"], signed);
  await network.settle();
  const bytes = encode({
    node: "victim",
    generation: 1,
    version: 1,
    addresses: ["memory://evil"],
    services: [],
  });
  const proof = signed(a.peers.self).sign(bytes);
  const forged = { node: "victim", generation: 1, version: 1, bytes, proof };
  const send = (record: unknown) =>
    a.peers.link("b")!.send(directoryType, noFields, encode({ records: [record] }));
  send(recordToWire(forged, 0));
  // Nor does somebody else's name on the outside help.
  send(recordToWire({ ...forged, node: "a", generation: 9999 }, 0));
  const broken = { ...proof, signature: proof.signature.map((it) => it ^ 1) };
  send(recordToWire({ ...forged, node: "a", generation: 9999, proof: broken }, 0));
  await network.settle();
  assert.deepEqual(b.layer.records().map((it) => it.node).toSorted(), ["a", "b", "c"]);
  assert.equal(b.layer.metrics("communication").directory_records_rejected, 3);
  assert.equal(c.layer.metrics("communication").directory_records_rejected, 0);
});

Deno.test("a link that keeps sending bad records is not listened to any more", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"]);
  await network.settle();
  const link = a.peers.link("b")!;
  for (let i = 0; i < 30; i++) {
    link.send(directoryType, noFields, encode({ records: Array.from({ length: 50 }, () => i) }));
  }
  serve(a, "late");
  await network.settle();
  assert.deepEqual(view(b), {});
  assert.ok(b.layer.metrics("communication").directory_records_rejected <= 101);
});

Deno.test("nothing that arrives makes a node fail", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"]);
  await network.settle();
  const link = a.peers.link("b")!;
  await fc.assert(fc.asyncProperty(
    fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.record({
        records: fc.oneof(fc.anything(), fc.array(fc.anything(), { maxLength: 8 })),
      }),
      fc.record({
        digest: fc.array(
          fc.oneof(fc.anything(), fc.tuple(fc.string(), fc.nat(), fc.nat(), fc.nat())),
        ),
        after: fc.anything(),
        upTo: fc.anything(),
        ask: fc.boolean(),
      }),
      fc.record({ want: fc.array(fc.anything()) }),
    ),
    async (message) => {
      let bytes: Uint8Array;
      try {
        bytes = message instanceof Uint8Array ? message : encode(message);
      } catch {
        return; // Not everything can be sent.
      }
      link.send(directoryType, noFields, bytes);
      await network.settle();
      assert.deepEqual(b.layer.records().map((it) => it.node).toSorted(), ["a", "b"]);
    },
  ));
});

Deno.test("a record replaces one of a lower version or an older start, and never the other way round", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 5 })), {
      minLength: 1,
      maxLength: 20,
    }),
    async (stamps) => {
      const network = new FakeNetwork();
      await using _ = network;
      const [a, b] = chainOf(network, ["a", "b"]);
      await network.settle();
      let best = [0, 0];
      for (const [generation, version] of stamps) {
        if (generation > best[0] || (generation === best[0] && version > best[1])) {
          best = [generation, version];
        }
        const bytes = encode({ node: "x", generation, version, addresses: [], services: [] });
        const proof = { signature: new Uint8Array(0), chain: [] };
        const wire = recordToWire({ node: "x", generation, version, bytes, proof }, 0);
        a.peers.link("b")!.send(directoryType, noFields, encode({ records: [wire] }));
      }
      await network.settle();
      const held = b.layer.records().find((it) => it.node === "x")!;
      assert.deepEqual([held.generation, held.version], best);
    },
  ));
});

Deno.test("a node that finds its own record ahead of itself goes on from there", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"]);
  await network.settle();
  const { generation } = a.peers.self;
  const bytes = encode({ node: "a", generation, version: 50, addresses: [], services: [] });
  const proof = { signature: new Uint8Array(0), chain: [] };
  const wire = recordToWire({ node: "a", generation, version: 50, bytes, proof }, 0);
  b.peers.link("a")!.send(directoryType, noFields, encode({ records: [wire] }));
  await network.settle();
  assert.equal(a.layer.records()[0].version, 51);
  assert.equal(b.layer.records().find((it) => it.node === "a")!.version, 51);
});

Deno.test("a record survives its way over the wire", () => {
  const record = {
    node: "a",
    generation: 7,
    version: 3,
    bytes: encode({ any: "thing" }),
    proof: { signature: new Uint8Array(64).fill(1), chain: [new Uint8Array(10).fill(2)] },
  };
  const arrived = recordFromWire(decode(encode(recordToWire(record, 12))));
  assert.deepEqual(arrived, { ...record, ageS: 12 });
  assert.equal(recordFromWire([1, 2, 3]), undefined);
  assert.equal(
    recordFromWire(recordToWire({ ...record, bytes: new Uint8Array(70_000) }, 0)),
    undefined,
  );
});

Deno.test("a record that names more than its bounds allow is refused whole, though its owner signed it", async () => {
  const network = new FakeNetwork();
  await using _ = network;
  const [a, b] = chainOf(network, ["a", "b"], signed);
  await network.settle();
  const method = { name: "m", kind: "unary", idempotent: true };
  const service = { name: "s", version: 1, methods: [] as unknown[] };
  const many = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);
  let generation = 2 ** 50;
  let rejected = 0;
  const send = async (what: Record<string, unknown>) => {
    generation++;
    const own = { node: "a", generation, version: 1, addresses: [], services: [], ...what };
    const bytes = encode(own);
    const proof = signed(a.peers.self).sign(bytes);
    const record = recordToWire({ node: "a", generation, version: 1, bytes, proof }, 0);
    a.peers.link("b")!.send(directoryType, noFields, encode({ records: [record] }));
    await network.settle();
    return b.layer.metrics("communication").directory_records_rejected;
  };
  for (
    const beyond of [
      { addresses: many(33, "a:1") },
      { addresses: ["x".repeat(256)] },
      { services: many(1025, service) },
      { services: [{ ...service, methods: many(1025, method) }] },
      { node: ".." },
    ]
  ) assert.equal(await send(beyond), ++rejected, JSON.stringify(beyond).slice(0, 60));
  assert.equal(await send({ addresses: many(32, "a:1"), services: [service] }), rejected);
});

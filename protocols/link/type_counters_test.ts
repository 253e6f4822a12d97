import assert from "node:assert/strict";
import fc from "fast-check";
import { messageTypes } from "../frame/types.ts";
import { TypeCounters, typeSlot, typeSlotName, typeSlots } from "./type_counters.ts";

Deno.test("each registered type has a slot of its own, and the slot its name", () => {
  const taken = new Set<number>();
  for (const [name, type] of Object.entries(messageTypes)) {
    assert.equal(typeSlotName(typeSlot(type)), name);
    taken.add(typeSlot(type));
  }
  assert.equal(taken.size, typeSlots - 1);
  assert.ok(!taken.has(0));
});

Deno.test("types that nobody registered are counted together, whatever their number", () => {
  const counters = new TypeCounters();
  for (let type = 0; type <= 0xffff; type++) counters.received(type);
  const counts = new Map(counters.counts("received"));
  const registered = Object.keys(messageTypes);
  assert.equal(counts.size, registered.length + 1);
  assert.equal(counts.get("other"), 0x10000 - registered.length);
  assert.deepEqual(counters.counts("sent"), []);
});

Deno.test("counts are those of a map that counts by name", () => {
  const known = Object.entries(messageTypes);
  fc.assert(fc.property(
    fc.array(fc.record({ of: fc.nat(known.length - 1), sent: fc.boolean() })),
    (messages) => {
      const counters = new TypeCounters();
      const wanted = { sent: new Map<string, number>(), received: new Map<string, number>() };
      for (const { of, sent } of messages) {
        const [name, type] = known[of]!;
        if (sent) counters.sent(type);
        else counters.received(type);
        const map = sent ? wanted.sent : wanted.received;
        map.set(name, (map.get(name) ?? 0) + 1);
      }
      for (const way of ["sent", "received"] as const) {
        assert.deepEqual(new Map(counters.counts(way)), wanted[way]);
      }
    },
  ));
});

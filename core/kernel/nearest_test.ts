import assert from "node:assert/strict";
import { didYouMean, nearest } from "./nearest.ts";

const known = ["bindAddress", "advertiseAddress", "datacenter", "rack", "tls", "tcp", "quic"];

Deno.test("the nearest known name is found through slips, case and separators", () => {
  const expected: [string, string | undefined][] = [
    ["bindAdress", "bindAddress"],
    ["bind_address", "bindAddress"],
    ["BINDADDRESS", "bindAddress"],
    ["bind-adress", "bindAddress"],
    ["dataCentre", "datacenter"],
    ["rcak", "rack"],
    ["tsl", "tls"],
    ["quick", "quic"],
    ["advertise", "advertiseAddress"],
    ["zebra", undefined],
    ["x", undefined],
    ["", undefined],
  ];
  for (const [written, meant] of expected) assert.equal(nearest(written, known), meant, written);
});

Deno.test("of several near names the nearest wins, and the first of equals", () => {
  assert.equal(nearest("tcps", ["tls", "tcp"]), "tcp");
  assert.equal(nearest("tp", ["tcp", "tap"]), "tcp");
});

Deno.test("the hint is a question, or nothing", () => {
  assert.equal(didYouMean("rackk", known), `, did you mean "rack"?`);
  assert.equal(didYouMean("zebra", known), "");
});

Deno.test("an enormous name costs no more than a long one", () => {
  assert.equal(nearest("a".repeat(10_000_000), known), undefined);
});

import assert from "node:assert/strict";
import { fuzzLink } from "./fuzz.ts";

Deno.test("thousands of mutated streams end links in order, or not at all", () => {
  const report = fuzzLink(1, 10_000);
  assert.equal(report.streams, 10_000);
  // The streams get somewhere: links outlive them until silence, drain, are refused, are ended for cause.
  const some = [
    "unhealthy/unhealthy",
    "goodbye/leaving",
    "transport/transport",
    "protocol/protocol",
    "refused/transcript",
  ];
  for (const end of some) assert((report.ends[end] ?? 0) > 10, `${end}: ${report.ends[end]}`);
  assert(report.mostInputBytes > 500);
  assert(report.mostOutputBytes > 3000);
});

Deno.test("the same seed gives the same run, and a stream can be repeated alone", () => {
  assert.deepEqual(fuzzLink(7, 200), fuzzLink(7, 200));
  assert.notDeepEqual(fuzzLink(7, 200), fuzzLink(8, 200));
  const { ends } = fuzzLink(7, 1, 150);
  assert.equal(Object.values(ends)[0], 1);
});

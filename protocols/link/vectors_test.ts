import assert from "node:assert/strict";
import { headerBytes } from "../frame/header.ts";
import { messageKinds } from "../frame/prefix.ts";
import { messageTypes } from "../frame/types.ts";
import { helloLimits } from "../negotiation/hello_codec.ts";
import { read, type Vector, write } from "./vectors/frames.ts";
import vectors from "./vectors/frames.json" with { type: "json" };

const all: readonly Vector[] = vectors;

// These bytes are the protocol of this major version. They never change; new ones may be added.
for (const { name, bytes, says } of all) {
  Deno.test(`golden vector: ${name}`, () => {
    assert.deepEqual(read(Uint8Array.fromHex(bytes)), says);
    assert.equal(write(says).toHex(), bytes);
  });
}

Deno.test("there is a golden vector of every control frame, kind, field and shape of a fragment", () => {
  const seen = new Set(all.map(({ says }) => says.type));
  for (const name of Object.keys(messageTypes)) {
    if (name.startsWith("link.")) assert(seen.has(name), name);
  }
  const messages = all.filter(({ says }) => says.kind !== undefined);
  for (const kind of messageKinds) assert(messages.some(({ says }) => says.kind === kind), kind);
  // Every flag but the reserved one.
  const flags = (bytes: string) => parseInt(bytes.slice(2 * headerBytes, 2 * headerBytes + 4), 16);
  assert.equal(messages.reduce((or, { bytes }) => or | flags(bytes), 0), 0x7fff);
  const fragments = all.filter(({ says }) => says.type === "link.fragment");
  assert.deepEqual(
    new Set(fragments.map(({ bytes }) => parseInt(bytes.slice(26, 28), 16))),
    new Set([0, 1, 3, 6]),
  );
});

Deno.test("the hellos of the golden vectors keep to the bounds that the page of the wire names", () => {
  assert.deepEqual(helloLimits, {
    addresses: 16,
    addressLength: 255,
    names: 16,
    nameLength: 32,
    nonceBytes: 16,
    minFrameBytes: 1024,
    slot: 63,
  });
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { formatTraceparent, isTraced, parseTraceparent } from "./traceparent.ts";

const id = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";

Deno.test("the examples of the specification are read", () => {
  const sampled = parseTraceparent(`00-${id}-${span}-01`)!;
  assert.equal(sampled.traceId.toHex(), id);
  assert.equal(sampled.spanId.toHex(), span);
  assert.equal(sampled.flags, 1);
  assert.equal(parseTraceparent(`00-${id}-${span}-00`)!.flags, 0);
  assert.equal(formatTraceparent(sampled), `00-${id}-${span}-01`);
});

Deno.test("a later version is read as far as version 00 goes, and may say more", () => {
  for (const header of [`cc-${id}-${span}-01`, `cc-${id}-${span}-01-what-the-future`]) {
    assert.equal(formatTraceparent(parseTraceparent(header)!), `00-${id}-${span}-01`);
  }
  assert.equal(parseTraceparent(`cc-${id}-${span}-01.what`), undefined);
});

Deno.test("whatever is malformed is ignored", () => {
  const malformed = [
    null,
    undefined,
    "",
    "00",
    `00-${id}-${span}`,
    `00-${id}-${span}-`,
    `00-${id}-${span}-1`,
    `00-${id}-${span}-01-`,
    `00-${id}-${span}-01-more`,
    `0-${id}-${span}-01`,
    `ff-${id}-${span}-01`,
    `0x-${id}-${span}-01`,
    `00-${id.toUpperCase()}-${span}-01`,
    `00-${id}-${span.slice(1)}-01`,
    `00-${id}0-${span}-01`,
    `00-${id.slice(1)}.-${span}-01`,
    `00-${"0".repeat(32)}-${span}-01`,
    `00-${id}-${"0".repeat(16)}-01`,
    `00_${id}_${span}_01`,
    ` 00-${id}-${span}-01`,
    `00-${id}-${span}-01\n`,
  ];
  for (const header of malformed) assert.equal(parseTraceparent(header), undefined, `${header}`);
});

Deno.test("flags that nobody defined are read and not passed on", () => {
  const context = parseTraceparent(`00-${id}-${span}-ff`)!;
  assert.equal(context.flags, 0xff);
  assert.equal(formatTraceparent(context), `00-${id}-${span}-03`);
});

Deno.test("what was written is read again, and reading never throws", () => {
  const bytes = (length: number) =>
    fc.uint8Array({ minLength: length, maxLength: length }).filter((it) => it.some((b) => b !== 0));
  fc.assert(
    fc.property(bytes(16), bytes(8), fc.constantFrom(0, 1, 2, 3), (traceId, spanId, flags) => {
      const context = { traceId, spanId, flags };
      assert.ok(isTraced(context));
      assert.deepEqual(parseTraceparent(formatTraceparent(context)), context);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => void parseTraceparent(text)));
});

import assert from "node:assert/strict";
import { TextLineStream } from "./lines.ts";
import { parseReport } from "./reports.ts";

async function lines(chunks: readonly Uint8Array<ArrayBuffer>[], maxLength?: number) {
  const stream = ReadableStream.from(chunks).pipeThrough(new TextLineStream(maxLength));
  return await Array.fromAsync(stream);
}

Deno.test("lines come out whole however the bytes were cut, even within a character", async () => {
  const bytes = new TextEncoder().encode("eins\nzwölf\n\nlast");
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.deepEqual(await lines([bytes.slice(0, cut), bytes.slice(cut)]), [
      "eins",
      "zwölf",
      "",
      "last",
    ]);
  }
  assert.deepEqual(await lines([]), []);
});

Deno.test("a line beyond the bound is cut there, the next one is whole", async () => {
  const text = new TextEncoder().encode(`${"x".repeat(50)}\nshort\n`);
  assert.deepEqual(await lines([...text].map((it) => Uint8Array.of(it)), 10), [
    "x".repeat(10),
    "short",
  ]);
});

Deno.test("a line that is no report is passed over", () => {
  const report = { kind: "ready", node: "oak", admin: undefined };
  assert.deepEqual(parseReport(JSON.stringify(report)), { kind: "ready", node: "oak" });
  for (
    const line of ["", "Warning: something", "{", "{}", `{"kind":"other"}`, `{"kind":5}`, "[]"]
  ) {
    assert.equal(parseReport(line), undefined, line);
  }
});

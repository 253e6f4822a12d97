import assert from "node:assert/strict";
import { AddressBook } from "./book.ts";

Deno.test("answers that are remembered are bounded: the one heard longest ago is forgotten first", () => {
  const book = new AddressBook(1);
  for (let at = 0; at < 10_000; at++) book.answered(`h${at}:1`, `n${at}`);
  book.answered("h0:1", "n0"); // Heard again, so no longer the oldest.
  book.answered("one-more:1", "x");
  assert.equal(book.idAt("h0:1"), "n0");
  assert.equal(book.idAt("h1:1"), undefined);
  assert.equal(book.idAt("h2:1"), "n2");
  assert.equal(book.idAt("one-more:1"), "x");
});

Deno.test("of a hint's addresses the first 16 count, each once", () => {
  const book = new AddressBook(1);
  const addresses = ["a:1", "a:1", ...Array.from({ length: 30 }, (_, at) => `h${at}:1`)];
  const { hint } = book.learn({ addresses, source: "test", keep: false });
  assert.deepEqual(hint.addresses, ["a:1", ...Array.from({ length: 14 }, (_, at) => `h${at}:1`)]);
});

import assert from "node:assert/strict";
import type { Transport } from "../../contracts/transport.ts";
import { FakeHost } from "../fakes_test.ts";
import { AddressBook } from "./book.ts";
import { Dialler } from "./dialler.ts";
import { RefusalLog, RefusedError } from "./refusals.ts";

/** A dialler that finds this very node wherever it knocks. */
function selfish(host: FakeHost): Dialler {
  const transport = { scheme: "memory", addresses: [] as string[] } as unknown as Transport;
  return new Dialler({
    host,
    book: new AddressBook(10),
    refusals: new RefusalLog(host),
    timeoutMs: 1000,
    signal: new AbortController().signal,
    transports: () => [transport],
    start: () => Promise.reject(new RefusedError("self", "it is this node", "us")),
  });
}

Deno.test("own addresses are remembered for a while, and no more than a thousand of them", async () => {
  const host = new FakeHost();
  const dialler = selfish(host);
  const address = (at: number) => `memory://alias-${at}`;
  for (let at = 0; at < 1001; at++) await assert.rejects(dialler.dial(address(at)));
  assert.equal(dialler.isSelf(address(0)), false, "the oldest makes room");
  assert.equal(dialler.isSelf(address(1)), true);
  assert.equal(dialler.isSelf(address(1000)), true);
  const { failures } = dialler;
  await assert.rejects(dialler.dial(address(1)), /is this node itself/);
  assert.equal(dialler.failures, failures, "nobody knocked");
  await host.advance(600_001);
  assert.equal(dialler.isSelf(address(1000)), false);
});

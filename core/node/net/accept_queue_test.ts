import assert from "node:assert/strict";
import type { Connection } from "../../contracts/transport.ts";
import { createLogger } from "../../kernel/logger.ts";
import { AcceptQueue, maxHeldConnections } from "./accept_queue.ts";

interface Fake extends Connection {
  destroyed: boolean;
}

function fake(name: string): Fake {
  const connection = { remoteAddress: name, destroyed: false, destroy: () => {} };
  connection.destroy = () => void (connection.destroyed = true);
  return connection as unknown as Fake;
}

function make() {
  const lines: string[] = [];
  const queue = new AcceptQueue(
    createLogger((level, message) => void lines.push(`${level} ${message}`)),
  );
  return { queue, lines };
}

Deno.test("connections are held in order up to the bound, and handed over first", () => {
  const { queue } = make();
  const all = Array.from({ length: maxHeldConnections + 1 }, (_, i) => fake(`c${i}`));
  for (const connection of all) queue.push(connection);
  assert.equal(queue.held, maxHeldConnections);
  assert.equal(queue.full, true);
  assert.deepEqual(all.filter((it) => it.destroyed), [all.at(-1)]);
  const accepted: Connection[] = [];
  using _ = queue.accept((connection) => accepted.push(connection));
  assert.deepEqual(accepted, all.slice(0, -1));
  const next = fake("next");
  queue.push(next);
  assert.equal(accepted.at(-1), next);
  assert.equal(queue.held, 0);
});

Deno.test("a held connection that is gone makes room", () => {
  const { queue } = make();
  const [first, second] = [fake("first"), fake("second")];
  queue.push(first);
  queue.push(second);
  queue.forget(first);
  const accepted: Connection[] = [];
  using _ = queue.accept((connection) => accepted.push(connection));
  assert.deepEqual(accepted, [second]);
});

Deno.test("a subscriber that throws costs one connection and a line in the log", () => {
  const { queue, lines } = make();
  using _ = queue.accept(() => {
    throw new Error("no");
  });
  const connection = fake("c");
  queue.push(connection);
  assert.equal(connection.destroyed, true);
  assert.deepEqual(lines, ["error Accepting a connection failed"]);
});

Deno.test("after the end everything held and everything new is destroyed", () => {
  const { queue } = make();
  const held = fake("held");
  queue.push(held);
  queue[Symbol.dispose]();
  const late = fake("late");
  queue.push(late);
  assert.deepEqual([held.destroyed, late.destroyed, queue.held], [true, true, 0]);
});

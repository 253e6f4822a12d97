import assert from "node:assert/strict";
import { FakeHost } from "../node/fakes_test.ts";
import { event, eventStream } from "./event_stream.ts";

Deno.test("items are pulled as the client reads, and a quiet stream shows that it lives", async () => {
  const host = new FakeHost();
  const items = [Promise.resolve("a"), Promise.withResolvers<string>()] as const;
  let pulled = 0;
  const ends: boolean[] = [];
  const body = eventStream(host, {
    async next() {
      const item = await (pulled++ === 0 ? items[0] : items[1].promise);
      return { done: false, value: item };
    },
    problem: () => ({}),
    finished: (clientGone) => void ends.push(clientGone),
  });
  await host.barrier();
  assert.equal(pulled, 1, "one item ahead of the reader, and no more");
  await host.advance(60_000);
  const reader = body.getReader();
  assert.deepEqual((await reader.read()).value, event("item", "a"));
  const quiet = reader.read();
  await host.advance(15_000);
  assert.deepEqual((await quiet).value, new TextEncoder().encode(":\n\n"));
  await reader.cancel();
  assert.deepEqual(ends, [true]);
  items[1].resolve("late");
  await host.barrier();
  assert.deepEqual(ends, [true], "told once");
  await host.advance(60_000);
});

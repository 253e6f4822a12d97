// A hundred streams of one link over real sockets, one of them with a reader that stands still.
import assert from "node:assert/strict";
import { z } from "zod";
import { defineService } from "../../mod.ts";
import { clusterTest } from "../harness/leaks.ts";
import { tcpNode } from "../bad_input/stranger.ts";

const streams = 100;
const items = 40;
const itemBytes = 16 * 1024;

const feed = defineService("feed", {
  version: 1,
  methods: {
    read: { input: z.int(), stream: z.instanceof(Uint8Array) },
    write: { input: z.int(), upload: z.instanceof(Uint8Array), output: z.int() },
    say: { input: z.string(), output: z.string(), idempotent: true },
  },
});

clusterTest(
  "a slow reader stops its own stream and nothing else, whichever way the stream goes",
  async () => {
    await using server = await tcpNode("server");
    await using caller = await tcpNode("caller");
    /** Items that were taken off the hands of a sender, by stream; and who stands still. */
    const produced = new Map<number, number>();
    const resume = Promise.withResolvers<void>();
    server.serve(feed, {
      async *read(stream) {
        for (let at = 0; at < items; at++) {
          produced.set(stream, at);
          yield new Uint8Array(itemBytes).fill(stream);
        }
        produced.set(stream, items);
      },
      async write(stream, { upload }) {
        if (stream === 0) await resume.promise;
        let bytes = 0;
        for await (const item of upload) bytes += item.length;
        return bytes;
      },
      say: (text) => text,
    });
    await caller.cluster.join(server.addresses);
    const client = caller.client(feed);
    const whole = items * itemBytes;

    const stalled = client.read(0);
    const first = await stalled.next();
    assert.equal(first.done, false);
    const others = Array.from({ length: streams - 1 }, async (_, at) => {
      let bytes = 0;
      for await (const item of client.read(at + 1)) {
        assert.equal(item[0], at + 1);
        bytes += item.length;
      }
      return bytes;
    });
    assert.deepEqual(new Set(await Promise.all(others)), new Set([whole]));
    // Its sender is held back by its window, 256 KiB, and what it had in hand besides.
    assert.ok(produced.get(0)! * itemBytes <= 384 * 1024, `${produced.get(0)} items were produced`);
    assert.equal(await client.say("still there"), "still there");

    // The same the other way; with the stalled one these are as many as a link has.
    const fed: number[] = new Array(streams).fill(0);
    async function* source(stream: number) {
      for (let at = 0; at < items; at++) {
        fed[stream]!++;
        yield new Uint8Array(itemBytes);
      }
    }
    const uploads = Array.from(
      { length: streams - 1 },
      (_, stream) => client.write(stream, source(stream)),
    );
    const [held, ...free] = uploads;
    assert.deepEqual(new Set(await Promise.all(free)), new Set([whole]));
    assert.ok(
      fed[0]! * itemBytes <= 384 * 1024,
      `${fed[0]} items left for a reader that reads none`,
    );
    assert.equal(await client.say("still there"), "still there");
    resume.resolve();
    assert.equal(await held, whole);

    let rest = first.done ? 0 : first.value.length;
    for await (const item of stalled) rest += item.length;
    assert.equal(rest, whole);
  },
);

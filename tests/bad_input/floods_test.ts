// Peers that were let in and then want too much: of reading, of patience, of streams, of memory.
// Each loses its stream or its link with a reason, or is merely not heeded; the calls of a friend
// on the same node are answered all the while.
import assert from "node:assert/strict";
import { fragmentFlag, writeFragment } from "../../protocols/frame/fragment.ts";
import { encodeHead } from "../../core/node/bulk/wire.ts";
import { messageTypes } from "@mycnet/protocols/frame";
import { encodeNotices, maxNotices, type Notice } from "@mycnet/protocols/delivery";
import { protocolVersion } from "@mycnet/protocols/negotiation";
import { clusterTest } from "../harness/leaks.ts";
import { rootPath, startDeno, taskPermissions } from "../harness/processes.ts";
import { control, joined, message, Rude } from "./rude.ts";
import { Guarded, Impostor, Stranger, tcpNode } from "./stranger.ts";

const { custom } = messageTypes;

/** A node whose patience with a link that gets nowhere is 600 ms. */
async function guarded(plugins: Record<string, unknown> = {}): Promise<Guarded> {
  const node = await tcpNode("node", {
    plugins: {
      peers: { healthCheck: { interval: "50ms", activeInterval: "50ms", timeout: "20ms" } },
      ...plugins,
    },
  });
  return await Guarded.start(node, await tcpNode("friend"));
}

/** Does something over and over, until a promise has settled. */
async function during<T>(promise: Promise<T>, everyMs: number, again: () => Promise<unknown>) {
  let over = false;
  const settled = promise.finally(() => over = true);
  settled.catch(() => {}); // Thrown below; while `again` is under way nobody else would hear of it.
  while (!over) {
    await again();
    await new Promise((resume) => setTimeout(resume, everyMs));
  }
  return await settled;
}

/** The memory that a flood has cost this process, which holds both ends. */
function grown(since: number): number {
  return (Deno.memoryUsage().rss - since) / 1024 / 1024;
}

clusterTest(
  "who asks without end and never reads costs bounded memory, then loses the link",
  async () => {
    await using target = await guarded();
    await using _big = target.node.handle("custom.big", () => new Uint8Array(32 * 1024));
    using rude = await Rude.admitted(target.address);
    const before = Deno.memoryUsage().rss;
    const down = target.event("link_down");
    let stream = -1;
    // Something is heard from it all the time, so that it does not pass for dead.
    const { node, reason } = await during(down, 5, async () => {
      const requests = Array.from(
        { length: 200 },
        () => message("request", stream += 2, custom, { route: "big" }),
      );
      await rude.write(...requests, control("link.ping", new Uint8Array(4)));
    });
    assert.equal(node, "rude");
    assert.match(reason, /does not read/);
    // 40 MiB of answers may wait, and 1 MiB in the link; the rest is refused.
    assert.ok(grown(before) < 250, `${grown(before)} MiB`);
    await target.assertUnharmed();
  },
);

clusterTest("a byte now and then of a frame that never ends loses the link", async () => {
  await using target = await guarded();
  using rude = await Rude.admitted(target.address);
  await rude.write(
    message("message", 0, custom, { route: "x" }, new Uint8Array(50_000)).subarray(0, 20),
  );
  const { reason } = await during(
    target.event("link_down"),
    5,
    () => rude.write(new Uint8Array(1)),
  );
  assert.match(reason, /finishes no frame/);
  await target.assertUnharmed();
});

clusterTest(
  "who opens requests without end is reset beyond the bound, and its handlers are told",
  async () => {
    await using target = await guarded();
    const signals: AbortSignal[] = [];
    await using _never = target.node.handle("custom.never", (_, { signal }) => {
      signals.push(signal);
      return new Promise(() => {});
    });
    {
      using rude = await Rude.admitted(target.address);
      const requests = Array.from(
        { length: 6000 },
        (_, at) => message("request", 1 + 2 * at, custom, { route: "never" }),
      );
      await rude.write(...requests);
      await rude.until(() => (rude.resets.get("overloaded") ?? 0) === 6000 - 4096);
      assert.equal(signals.length, 4096);
      assert.deepEqual([...rude.resets.keys()], ["overloaded"]);
      await target.assertUnharmed();
    }
    assert.equal((await target.event("link_down")).node, "rude");
    assert.ok(
      signals.every(({ aborted }) => aborted),
      "a handler was not told that its caller is gone",
    );
    await target.assertUnharmed();
  },
);

clusterTest(
  "who opens streams without end is reset beyond the bound, and so are items without credit",
  async () => {
    await using target = await guarded({ bulk: { maxTransfers: 1000 } });
    const begun: AbortSignal[] = [];
    await using _slow = target.node.bulk.handle("slow", (transfer) => {
      const { signal } = transfer;
      begun.push(signal);
      // Asks for bytes, and reads none.
      const stream = transfer.accept();
      return new Promise((_, fail) => signal.addEventListener("abort", () => fail(stream)));
    });
    const head = encodeHead({ total: undefined, metadata: {}, sha256: false });
    using rude = await Rude.admitted(target.address);
    const open = (stream: number) =>
      message(
        "request",
        stream,
        messageTypes["bulk.data"],
        { route: "slow", priority: "low" },
        head,
        true,
      );
    await rude.write(...Array.from({ length: 300 }, (_, at) => open(1 + 2 * at)));
    await rude.until(() => rude.resets.get("overloaded") === 200);
    assert.equal(begun.length, 100);
    // More than any window, and a stream is gone; the others stay.
    const item = (stream: number) =>
      message(
        "item",
        stream,
        messageTypes["bulk.data"],
        { priority: "low" },
        new Uint8Array(32 * 1024),
      );
    for (let at = 0; at < 10; at++) {
      const flood = new Array<Uint8Array>(70).fill(item(1 + 2 * at));
      await rude.write(...flood);
    }
    await rude.until(() => rude.resets.get("protocol") === 10);
    assert.equal(begun.filter(({ aborted }) => aborted).length, 10);
    assert.equal(target.node.metrics().communication.bulk_active, 90);
    assert.equal(rude.machine.state, "up", "it cost the streams, not the link");
    await target.assertUnharmed();
  },
);

/** A fragment with a header of its own. */
function fragment(
  lane: number,
  flags: number,
  size: number,
  bytes: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(64 + bytes.length);
  const at = writeFragment(frame, 0, protocolVersion, lane, flags, custom, size, bytes.length);
  frame.set(bytes, at);
  return frame.slice(0, at + bytes.length);
}

clusterTest(
  "fragments without end, in every lane, cost what arrives; wrong ones end the link",
  async () => {
    const mebibyte = 1024 * 1024;
    const { first } = fragmentFlag;
    const one = new Uint8Array(1);
    const wrong: Record<string, { readonly frames: readonly Uint8Array[]; readonly says: RegExp }> =
      {
        "a huge total": {
          frames: [fragment(0, first, 0xffff_ffff, one)],
          says: /4294967295 bytes/,
        },
        "a second beginning": {
          frames: [
            fragment(0, first, 100, one),
            fragment(1, first, 100, one),
            fragment(0, first, 100, one),
          ],
          says: /inside another/,
        },
        "none that began": { frames: [fragment(2, 0, 0, one)], says: /never began/ },
        "more than was announced": {
          frames: [fragment(3, first, 2, one), fragment(3, 0, 0, new Uint8Array(5))],
          says: /beyond the end/,
        },
      };
    await using target = await guarded();
    for (const [name, { frames, says }] of Object.entries(wrong)) {
      using rude = await Rude.admitted(target.address);
      await rude.write(...frames);
      const { code } = await rude.served();
      assert.equal(code, "protocol", name);
      assert.match((await target.event("link_down")).reason, says);
    }
    const before = Deno.memoryUsage().rss;
    using rude = await Rude.admitted(target.address);
    // All that four lanes may hold, to the last byte but one; and then a byte at a time.
    const slice = new Uint8Array(256 * 1024);
    for (let lane = 0; lane < 4; lane++) {
      await rude.write(fragment(lane, first, 16 * mebibyte, slice));
      for (let at = 1; at < 63; at++) await rude.write(fragment(lane, 0, 0, slice));
    }
    await rude.write(...new Array<Uint8Array>(20_000).fill(fragment(1, 0, 0, one)));
    assert.ok(grown(before) < 300, `${grown(before)} MiB`);
    await rude.write(control("link.ping", new Uint8Array(4)));
    const pongs = () => rude.frames.get(messageTypes["link.pong"]) ?? 0;
    await rude.until(() => pongs() > 0);
    await target.assertUnharmed();
  },
);

clusterTest(
  "floods of acknowledgements and of announcements are counted, answered once a turn and survived",
  async () => {
    await using target = await guarded();
    const seen: string[] = [];
    await using _note = target.node.handle(
      "custom.note",
      (bytes) => void seen.push(new TextDecoder().decode(bytes)),
    );
    using rude = await Rude.admitted(target.address);
    let count = 0;
    const notices = (kind: Notice["kind"], space: Notice["space"]) =>
      control(
        "link.ack",
        encodeNotices(Array.from({ length: maxNotices }, (): Notice => {
          const epoch = BigInt(++count);
          return { kind, space, lane: "normal", epoch, sequence: count };
        })),
      );
    for (const kind of ["ack", "unhandled", "unable", "announce"] as const) {
      for (const space of ["volatile", "durable"] as const) {
        for (let i = 0; i < 20; i++) {
          await rude.write(...Array.from({ length: 10 }, () => notices(kind, space)));
        }
      }
    }
    await rude.write(
      control("link.ack", new Uint8Array(7)),
      control("link.ack", new Uint8Array(60_000)),
    );
    // What it says in earnest afterwards is heard.
    const epoch = 77n;
    const say = (sequence: number) =>
      message(
        "message",
        0,
        custom,
        { route: "note", sequence },
        new TextEncoder().encode(`${sequence}`),
      );
    await rude.write(
      control(
        "link.ack",
        encodeNotices([{
          kind: "announce",
          space: "volatile",
          lane: "normal",
          epoch,
          sequence: 5,
        }]),
      ),
      say(4),
      say(6),
      say(5),
      say(5),
      control("link.ping", new Uint8Array(4)),
    );
    const pongs = () => rude.frames.get(messageTypes["link.pong"]) ?? 0;
    await rude.until(() => pongs() > 0);
    assert.deepEqual(seen, ["5"]);
    const { messages_refused, messages_duplicate, messages_in_flight } =
      target.node.metrics().communication;
    assert.ok(messages_refused! >= 3, `${messages_refused} refused`);
    assert.equal(messages_duplicate, 2);
    assert.equal(messages_in_flight, 0);
    // Six thousand frames of announcements were answered with far fewer.
    assert.ok(
      rude.frames.get(messageTypes["link.ack"])! <= 400,
      `${rude.frames.get(messageTypes["link.ack"])}`,
    );
    await target.assertUnharmed();
  },
);

clusterTest("what was captured is worth nothing again: not a link, not a message", async () => {
  await using target = await guarded();
  const seen: string[] = [];
  await using _note = target.node.handle(
    "custom.note",
    (bytes) => void seen.push(new TextDecoder().decode(bytes)),
  );
  const announce = control(
    "link.ack",
    encodeNotices([{
      kind: "announce",
      space: "volatile",
      lane: "normal",
      epoch: 9n,
      sequence: 1,
    }]),
  );
  const note = message(
    "message",
    0,
    custom,
    { route: "note", sequence: 1 },
    new TextEncoder().encode("pay"),
  );
  const duplicates = () => target.node.metrics().communication.messages_duplicate;
  const captured: Uint8Array[] = [];
  {
    using stranger = await Stranger.connect(target.address);
    const send = stranger.send.bind(stranger);
    stranger.send = (bytes) => {
      captured.push((bytes as Uint8Array).slice());
      return send(bytes);
    };
    const honest = new Impostor(stranger, { id: "honest" });
    assert.equal(await honest.shake(), undefined);
    await stranger.send(joined([announce, note]));
    while (seen.length === 0) await honest.step();
    // The same frame again on the same link.
    await stranger.send(joined([note, announce, note]));
    while (duplicates()! < 2) await honest.step();
  }
  assert.equal((await target.event("link_down")).node, "honest");
  // All of it again over another connection: the nonce of the other side is another.
  {
    using thief = await Stranger.connect(target.address);
    await thief.send(joined(captured));
    await thief.ended();
    const refused = await target.event("link_refused");
    assert.deepEqual([refused.code, refused.by], ["transcript", "us"]);
  }
  // And by one who can shake hands in that name: the message was seen.
  {
    using twin = await Rude.admitted(target.address, "honest");
    await twin.write(note, announce, note, control("link.ping", new Uint8Array(4)));
    await twin.until(() => (twin.frames.get(messageTypes["link.pong"]) ?? 0) > 0);
    assert.equal(duplicates(), 3);
  }
  assert.deepEqual(seen, ["pay"]);
  await target.assertUnharmed();
});

/** What flooding_node.ts says in the end. */
interface Flooded {
  /** Refused sends by code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Bytes. */
  readonly grown: number;
  /** Whether the link was up when it had sent all. */
  readonly linked: boolean;
}

clusterTest(
  "a process whose peer never reads stays near its bound, and goes on answering others",
  async () => {
    const program = `${rootPath}tests/bad_input/flooding_node.ts`;
    await using child = startDeno(["run", ...taskPermissions("demo"), program]);
    const listens = await child.event<{ readonly address: string }>("listens");
    const address = listens.address.replace(/^\w+:\/\//, "");
    using friend = await Rude.admitted(address, "friend");
    using rude = await Rude.admitted(address);
    let asked = 0;
    const { refused, grown, linked } = await during(
      child.event<Flooded>("flooded"),
      5,
      async () => {
        // It is alive, for all that can be heard of it.
        await rude.write(control("link.ping", new Uint8Array(4)));
        await friend.write(message("request", 1 + 2 * asked, custom, { route: "friend" }));
        await friend.until(() => (friend.frames.get(custom) ?? 0) > asked);
        asked++;
      },
    );
    assert.ok(linked, "the link was given up before the memory could be seen");
    assert.deepEqual(Object.keys(refused), ["overloaded"]);
    // 4 MiB in the link, 16 MiB in the window of what is to be acknowledged, and what is not collected yet.
    assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes`);
    assert.ok(refused.overloaded! > 39_000, `${refused.overloaded} of 40,000 were refused`);
    assert.ok(asked > 10, `a friend was answered ${asked} times`);
  },
);

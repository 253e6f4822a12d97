// What a node bears at its port: garbage, lies, silence, floods, and peers that
// do not read. Each is told why where it can be told, the node goes on, and the
// link to its friend does not notice.
import assert from "node:assert/strict";
import { headerBytes, messageTypes, writeHeader } from "@mycnet/protocols/frame";
import { clusterTest } from "../harness/leaks.ts";
import { Guarded, Impostor, Stranger, tcpNode } from "./stranger.ts";

/** A guarded node with times that suit a test. */
async function guarded(): Promise<Guarded> {
  const node = await tcpNode("node", {
    node: { connectionTimeout: "300ms" },
    plugins: {
      peers: { maxHandshakes: 8, healthCheck: { interval: "100ms", timeout: "200ms" } },
    },
  });
  return await Guarded.start(node, await tcpNode("friend"));
}

/** The header of a frame that announces `size` bytes of payload. */
function header(type: number, size: number, version = 0x0100): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headerBytes);
  writeHeader(bytes, 0, version, type, size);
  return bytes;
}

/** Bytes that mean nothing, the same at each run. */
function garbage(length: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed | 1;
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    return state >>> 24;
  });
}

const hello = messageTypes["link.hello"];

const firstWords: Readonly<Record<string, { bytes: Uint8Array | string; says: RegExp }>> = {
  "garbage": { bytes: garbage(100_000, 7), says: /does not speak this protocol/ },
  "a web browser": {
    bytes: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    says: /looks like text, such as HTTP/,
  },
  "a TLS client": {
    bytes: new Uint8Array([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0]),
    says: /looks like TLS/,
  },
  "a frame too large for a handshake": {
    bytes: header(hello, 16 * 1024 * 1024),
    says: /too large|at most|65536|64 KiB/,
  },
  "a message before the handshake": {
    bytes: new Uint8Array([...header(messageTypes.custom, 4), 0, 0, 0, 0]),
    says: /before the link was up/,
  },
  "a hello that is no hello": {
    bytes: new Uint8Array([...header(hello, 64), ...garbage(64, 3)]),
    says: /hello/,
  },
};

for (const [name, { bytes, says }] of Object.entries(firstWords)) {
  clusterTest(`a port that hears ${name} says what is wrong and hangs up`, async () => {
    await using target = await guarded();
    using stranger = await Stranger.connect(target.address);
    await stranger.send(bytes);
    const refused = await target.event("link_refused");
    assert.equal(refused.code, "protocol");
    assert.match(refused.message, says);
    await stranger.ended();
    await target.assertUnharmed();
  });
}

clusterTest("who connects and stays silent is hung up on in time", async () => {
  await using target = await guarded();
  using stranger = await Stranger.connect(target.address);
  const ended = stranger.ended();
  const refused = await target.event("link_refused");
  assert.equal(refused.code, "timeout");
  await ended;
  await target.assertUnharmed();
});

clusterTest("a hello that never ends is hung up on in time, however it trickles", async () => {
  await using target = await guarded();
  using stranger = await Stranger.connect(target.address);
  await stranger.send(header(hello, 60_000));
  let over = false;
  const ended = stranger.ended().then(() => over = true);
  // Each byte is an event, and none of them prolongs the handshake.
  while (!over) {
    await stranger.send(new Uint8Array(1));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await ended;
  assert.equal((await target.event("link_refused")).code, "timeout");
  await target.assertUnharmed();
});

clusterTest("a hello that is cut off costs nothing", async () => {
  await using target = await guarded();
  {
    using stranger = await Stranger.connect(target.address);
    await stranger.send(header(hello, 300).subarray(0, 7));
    await stranger.closeWrite();
    await stranger.ended();
  }
  await target.assertUnharmed();
});

clusterTest("a flood of connections is turned away unheard, and room comes back", async () => {
  await using target = await guarded();
  const flood = await Promise.all(
    Array.from({ length: 100 }, () => Stranger.connect(target.address)),
  );
  // The friend's own node dials out meanwhile as before, and its link carries calls.
  await target.assertUnharmed();
  await Promise.all(flood.map((it) => it.ended()));
  for (const it of flood) it[Symbol.dispose]();
  const { connection_errors } = target.node.metrics().communication;
  assert.ok(connection_errors >= 100, `${connection_errors} connection errors`);
  using next = await Impostor.connect(target.address);
  assert.equal(await next.shake(), undefined);
  await target.assertUnharmed();
});

const lies = {
  "another cluster": { self: { cluster: "elsewhere" }, code: "cluster", says: /elsewhere/ },
  "the name of the node itself": {
    self: { id: "node" },
    code: "duplicate",
    says: /another node calls itself node/,
  },
  "the name of a node that is linked": {
    self: { id: "friend", generation: 1 },
    code: "duplicate",
    says: /"friend"/,
  },
  "a later start of a node that is linked": {
    self: { id: "friend", generation: Number.MAX_SAFE_INTEGER },
    code: "duplicate",
    says: /older start of node "friend"/,
  },
} as const;

for (const [name, { self, code, says }] of Object.entries(lies)) {
  clusterTest(`a hello that claims ${name} is refused with the reason`, async () => {
    await using target = await guarded();
    using impostor = await Impostor.connect(target.address, self);
    const reason = await impostor.shake();
    assert.deepEqual([reason?.kind, reason?.code], ["refused", code]);
    const refused = await target.event("link_refused");
    assert.deepEqual([refused.code, refused.by], [code, "us"]);
    assert.match(refused.message, says);
    await target.assertUnharmed();
  });
}

clusterTest("an id, a type or a generation that is none is refused as no hello", async () => {
  await using target = await guarded();
  const nonsense = [
    { id: "../../etc/passwd" },
    { id: "" },
    { type: "fungus" as "hyphae" },
    { generation: -1 },
    { generation: 0.5 },
    { metadata: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, "v"])) },
  ];
  for (const self of nonsense) {
    using impostor = await Impostor.connect(target.address, self);
    const reason = await impostor.shake().catch((error) => error as Error);
    assert.ok(reason !== undefined, `${JSON.stringify(self).slice(0, 60)} was let in`);
  }
  await target.assertUnharmed();
  assert.deepEqual(target.node.members().map(({ id }) => id), ["friend"]);
});

clusterTest("a linked peer that breaks the rules loses its link, and is told why", async () => {
  const breaches: Record<string, Uint8Array> = {
    "garbage": garbage(1000, 5),
    "a frame too large": header(messageTypes.custom, 0x7fff_ffff),
    "a second hello": new Uint8Array([...header(hello, 4), 0, 0, 0, 0]),
    "a request for no stream": new Uint8Array([...header(messageTypes.custom, 2), 0xff, 0xff]),
  };
  await using target = await guarded();
  for (const [name, bytes] of Object.entries(breaches)) {
    using impostor = await Impostor.connect(target.address, { id: "rude" });
    assert.equal(await impostor.shake(), undefined);
    await impostor.stranger.send(bytes);
    const { code, by } = await impostor.served();
    assert.deepEqual([code, by], ["protocol", "peer"], name);
    const down = await target.event("link_down");
    assert.equal(down.node, "rude");
    assert.notEqual(down.reason, "");
    await target.assertUnharmed();
  }
});

clusterTest("a frame that never ends is not waited for: its link fails its checks", async () => {
  await using target = await guarded();
  using impostor = await Impostor.connect(target.address, { id: "slow" });
  assert.equal(await impostor.shake(), undefined);
  // Room for the whole of it is not taken on its word.
  await impostor.stranger.send(header(messageTypes["bulk.data"], 16 * 1024 * 1024));
  await impostor.stranger.send(new Uint8Array(1000));
  const down = await target.event("link_down");
  assert.equal(down.node, "slow");
  assert.match(down.reason, /nothing heard|checks/);
  await target.assertUnharmed();
});

clusterTest("a peer that does not read makes senders wait, and costs bounded memory", async () => {
  await using target = await guarded();
  using impostor = await Impostor.connect(target.address, { id: "deaf" });
  assert.equal(await impostor.shake(), undefined);
  assert.equal((await target.event("link_up")).node, "deaf");
  // It answers no check from here on, either, since it reads none.
  const bytes = new Uint8Array(256 * 1024);
  const before = Deno.memoryUsage().rss;
  const options = { wait: false, reliability: "best-effort" } as const;
  let sent = 0;
  let failure: unknown;
  while (failure === undefined && sent < 4000) {
    await target.node.send("deaf", "custom.flood", bytes, options)
      .then(() => sent++, (error) => failure = error);
  }
  assert.equal((failure as { code?: string }).code, "overloaded");
  assert.ok(sent * bytes.length < 64 * 1024 * 1024, `${sent} messages were queued`);
  assert.ok(Deno.memoryUsage().rss - before < 256 * 1024 * 1024);
  // Whoever waits for room waits until the link fails its checks, and no longer.
  await assert.rejects(
    target.node.request("deaf", "custom.flood", bytes, { timeout: "20s" }),
    (error: Error & { code: string }) => {
      assert.ok(["unreachable", "unavailable", "link_lost"].includes(error.code), error.code);
      return true;
    },
  );
  const down = await target.event("link_down");
  assert.equal(down.node, "deaf");
  await target.assertUnharmed();
});

clusterTest(
  "what a peer that does not read should acknowledge is bounded, and ends as undelivered",
  async () => {
    await using target = await guarded();
    using impostor = await Impostor.connect(target.address, { id: "deaf" });
    assert.equal(await impostor.shake(), undefined);
    assert.equal((await target.event("link_up")).node, "deaf");
    const bytes = new Uint8Array(256 * 1024);
    const options = { wait: false, reliability: "high" } as const;
    const codes: Promise<string>[] = [];
    let full = false;
    while (!full && codes.length < 4000) {
      const code = target.node.send("deaf", "custom.flood", bytes, options)
        .then(() => "delivered", (error: { code: string }) => error.code);
      codes.push(code);
      void code.then((it) => full ||= it === "overloaded");
      // A turn of the event loop, in which the link writes what it can.
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Nobody said that it was handled: not the window's worth that was sent, nor the first that was not.
    const ends = await Promise.all(codes);
    assert.equal(ends.pop(), "overloaded");
    assert.deepEqual(new Set(ends), new Set(["undelivered"]));
    assert.ok(ends.length * bytes.length <= 16 * 1024 * 1024, `${ends.length} messages were taken`);
    assert.equal((await target.event("link_down")).node, "deaf");
    await target.assertUnharmed();
  },
);

clusterTest("thousands of strangers with nonsense leave nothing behind", async () => {
  await using target = await guarded();
  const attack = async (seed: number) => {
    using stranger = await Stranger.connect(target.address);
    // Every other one begins well.
    if (seed % 2 === 0) await stranger.send(header(hello, 1 + seed % 5000));
    await stranger.send(garbage(1 + seed * 37 % 20_000, seed));
    await stranger.closeWrite().catch(() => {}); // It hung up already.
    await stranger.ended();
  };
  await attack(1);
  const before = Deno.memoryUsage().rss;
  for (let seed = 0; seed < 2000; seed += 8) {
    await Promise.all(Array.from({ length: 8 }, (_, at) => attack(seed + at)));
  }
  const grownBy = Deno.memoryUsage().rss - before;
  assert.ok(grownBy < 128 * 1024 * 1024, `memory grew by ${grownBy} bytes`);
  assert.equal(target.node.metrics().communication.active_connections, 1);
  await target.assertUnharmed();
});

/**
 * The same harm over real sockets: two nodes gossip under a key while a stranger
 * floods one of them with packets, and holds as many streams open as he may.
 */
import assert from "node:assert/strict";
import { GossipKeyring, type Versions } from "@mycnet/protocols/swim";
import type { Node } from "../mod.ts";
import { gcmCipher } from "../plugins/membership/swim/cipher.ts";
import { alive, ping, verdict } from "../protocols/swim/testing.ts";
import { seal } from "../protocols/swim/wire/envelope.ts";
import { messageType } from "../protocols/swim/wire/messages.ts";
import { withoutLeaks } from "./harness/leaks.ts";
import { tempFolder } from "./harness/processes.ts";
import { byState, gossipAddress, startGossiping, until } from "./interop/gossip.ts";

const key = (byte: number) => new Uint8Array(32).fill(byte);
const cipher = gcmCipher((length) => crypto.getRandomValues(new Uint8Array(length)));

function abuseTest(name: string, fn: () => Promise<void>): void {
  Deno.test(name, () => withoutLeaks(fn));
}

/** Somebody who sends packets to a node. */
class Stranger implements Disposable {
  readonly #socket = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  readonly #to: Deno.NetAddr;

  constructor(victim: Node) {
    const [hostname, port] = gossipAddress(victim).split(":");
    this.#to = { hostname: hostname!, port: Number(port), transport: "udp" };
  }

  async send(packet: Uint8Array): Promise<void> {
    await this.#socket.send(packet, this.#to);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

const counters = (node: Node) => node.metrics().topology!;

abuseTest("tens of thousands of forged packets, and the cluster goes on beside them", async () => {
  await using folder = await tempFolder();
  const lines: string[] = [];
  const options = { stateDir: folder.path, key: key(1).toBase64() };
  await using a = await startGossiping({
    ...options,
    id: "node-1",
    log: (_level, message) => lines.push(message),
  });
  await using b = await startGossiping({ ...options, id: "node-2", join: [gossipAddress(a)] });
  for (const node of [a, b]) await until(node, "two members", (all) => all.length === 2);
  const wrong = new GossipKeyring(cipher, [key(9)]);
  const random = crypto.getRandomValues(new Uint8Array(400));
  const packets = [
    seal(wrong, 1, verdict("dead", "node-2", "node-1", 1)),
    seal(wrong, 1, alive("evil", 66)),
    seal(wrong, 0, ping("node-1")),
    verdict("dead", "node-1", "node-2", 5),
    alive("node-1", 66, 9),
    Uint8Array.of(1, ...random),
    random,
    new Uint8Array(1),
  ];
  const before = counters(a);
  const linesBefore = lines.length;
  using stranger = new Stranger(a);
  const sent = 40_000;
  for (let i = 0; i < sent; i++) {
    await stranger.send(packets[i % packets.length]!);
    // News in the midst of it.
    if (i === sent / 2) b.membership!.setTags({ shape: "round" });
  }
  await until(a, "the news", () => a.membership!.member("node-2")?.tags.shape === "round");
  a.membership!.setTags({ shape: "square" });
  await until(b, "the news", () => b.membership!.member("node-1")?.tags.shape === "square");
  // The system drops what comes faster than it is read; most of it is read.
  const refused = counters(a).undecryptable! - before.undecryptable!;
  assert.ok(refused > sent / 10 && refused <= sent, `${refused} of ${sent}`);
  assert.equal(counters(a).refutations, 0);
  for (const node of [a, b]) assert.deepEqual(byState(node), { alive: ["node-1", "node-2"] });
  assert.ok(!lines.slice(linesBefore).includes("A member failed."));
  assert.ok(lines.length - linesBefore < 20, `${lines.length - linesBefore} lines of log`);
});

abuseTest("a name claimed ten thousand times is a few lines of log, not ten thousand", async () => {
  await using folder = await tempFolder();
  for (const interop of ["serf", "memberlist"]) {
    const lines: string[] = [];
    await using node = await startGossiping({
      id: "node-1",
      stateDir: folder.path,
      swim: { interop },
      log: (_level, message) => lines.push(message),
    });
    using stranger = new Stranger(node);
    const versions: Versions = interop === "serf" ? [1, 5, 2, 2, 5, 5] : [1, 5, 2, 0, 0, 0];
    for (let i = 0; i < 10_000; i++) await stranger.send(alive("node-1", 66, 9, "", versions));
    // What comes after them is read after them; if the system drops it, it is sent again.
    while (node.membership!.member("last") === undefined) {
      await stranger.send(alive("last", 5, 1, "", versions));
      await new Promise((resume) => setTimeout(resume, 5));
    }
    const told = lines.filter((it) => /uses this node's id/.test(it)).length;
    assert.ok(told >= 1 && told <= 3, `${interop}: ${told} lines`);
    assert.ok(counters(node).rumours_refused! > 100);
  }
});

abuseTest(
  "streams that trickle are ended in time, those too many at once, and others get through",
  async () => {
    await using folder = await tempFolder();
    const options = { stateDir: folder.path, key: key(1).toBase64() };
    await using a = await startGossiping({
      ...options,
      id: "node-1",
      swim: { maxStreams: 8, streamTimeout: "1s" },
    });
    await using b = await startGossiping({ ...options, id: "node-2", join: [gossipAddress(a)] });
    for (const node of [a, b]) await until(node, "two members", (all) => all.length === 2);
    const port = Number(gossipAddress(a).split(":")[1]);
    const began = performance.now();
    const head = Uint8Array.of(messageType.encrypted, 0, 0, 0xff, 0xff);
    const ended = await Promise.all(Array.from({ length: 100 }, async () => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      // One byte, then another, as long as it is let.
      const trickle = setInterval(
        () => void connection.write(Uint8Array.of(0)).catch(() => {}),
        200,
      );
      try {
        await connection.write(head).catch(() => {});
        const answer = new Uint8Array(64);
        while (await connection.read(answer).catch(() => null) !== null);
      } finally {
        clearInterval(trickle);
      }
      return performance.now() - began;
    }));
    const late = ended.filter((ms) => ms > 700).length;
    assert.ok(late >= 1 && late <= 8, `${late} of 100 lasted until their time was up`);
    assert.ok(Math.max(...ended) < 5000, `the last ended after ${Math.max(...ended)} ms`);
    assert.ok(counters(a).requests_limited! >= 92);
    for (const node of [a, b]) assert.deepEqual(byState(node), { alive: ["node-1", "node-2"] });
    await using c = await startGossiping({ ...options, id: "node-3" });
    assert.equal(await c.membership!.join([gossipAddress(a)]), 1);
    await until(b, "the third", (all) => all.length === 3);
  },
);

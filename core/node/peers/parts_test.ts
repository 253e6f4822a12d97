import assert from "node:assert/strict";
import fc from "fast-check";
import type { Transport } from "../../contracts/transport.ts";
import type { DiscoveredNode, Discovery } from "../../contracts/discovery.ts";
import type { PeerHint } from "../../contracts/peers.ts";
import { codeOf } from "../../kernel/errors.ts";
import { FakeHost } from "../fakes_test.ts";
import { parseAddress, transportsFor } from "./address.ts";
import { Backoff } from "./backoff.ts";
import { AddressBook } from "./book.ts";
import { type Contender, proven, rank } from "./duplicates.ts";
import { RefusalLog } from "./refusals.ts";
import { Announcer, follow } from "./sources.ts";

Deno.test("addresses: host:port, IPv6 in brackets, schemes; anything else names the remedy", () => {
  assert.deepEqual(parseAddress("tls://10.0.0.1:7000"), {
    scheme: "tls",
    target: "10.0.0.1:7000",
  });
  assert.deepEqual(parseAddress("[::1]:7000"), { scheme: undefined, target: "[::1]:7000" });
  assert.deepEqual(parseAddress("memory://node-1"), { scheme: "memory", target: "node-1" });
  const bad = ["", "host", "host:", "host:0", "host:65536", "::1:7000", "tcp://h:1/path", "a b:1"];
  for (const text of [...bad, `${"x".repeat(400)}:1`]) {
    assert.throws(
      () => parseAddress(text),
      (error: Error) =>
        codeOf(error) === "address_invalid" && /write|port/.test(error.message) &&
        error.message.length < 500,
      text,
    );
  }
});

Deno.test("parsing an address never fails other than with address_invalid", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      parseAddress(text);
    } catch (error) {
      assert.equal(codeOf(error), "address_invalid");
    }
  }));
});

Deno.test("an address without a scheme goes over the most secure transport, one with a scheme over that", () => {
  const transports = ["memory", "tcp", "odd", "tls"].map((scheme) => ({ scheme } as Transport));
  const schemes = (address: string) =>
    transportsFor(parseAddress(address), transports).map(({ scheme }) => scheme);
  assert.deepEqual(schemes("host:1"), ["tls", "tcp", "memory", "odd"]);
  assert.deepEqual(schemes("tcp://host:1"), ["tcp"]);
  assert.deepEqual(schemes("quic://host:1"), []);
});

Deno.test("backoff waits anywhere from 0 to a bound that grows to the cap, and begins anew", () => {
  const config = { initial: 100, factor: 1.5, cap: 5000 };
  const most = new Backoff(config, () => 1);
  const bounds = Array.from({ length: 14 }, () => Math.round(most.next()));
  assert.deepEqual(bounds.slice(0, 4), [100, 150, 225, 338]);
  assert.deepEqual(bounds.slice(-3), [5000, 5000, 5000]);
  most.reset();
  assert.equal(most.next(), 100);
  assert.equal(new Backoff(config, () => 0).next(), 0);
});

Deno.test("of two links the decider keeps the healthy one, else its own dial, else the older", () => {
  const link = (over: Partial<Contender>): Contender => ({
    direction: "dialled",
    healthy: true,
    upAtMs: 10,
    heardAtMs: 10,
    ...over,
  });
  const mine = link({});
  const theirs = link({ direction: "accepted", upAtMs: 5 });
  assert.equal(rank(mine, theirs).winner, mine);
  const sick = link({ healthy: false });
  assert.equal(rank(sick, theirs).winner, theirs);
  const again = link({ upAtMs: 20 });
  assert.equal(rank(again, mine).loser, again);
  // Nothing goes before the other has shown life since both were up.
  assert(!proven(link({ heardAtMs: 20 }), again));
  assert(proven(link({ heardAtMs: 21 }), again));
  assert(!proven(link({ heardAtMs: 21, healthy: false }), again));
});

Deno.test("which link goes does not depend on the order of the question", () => {
  const contender = fc.record({
    direction: fc.constantFrom("dialled" as const, "accepted" as const),
    healthy: fc.boolean(),
    upAtMs: fc.nat(1000),
    heardAtMs: fc.nat(1000),
  });
  fc.assert(fc.property(contender, contender, (one, two) => {
    fc.pre(one.upAtMs !== two.upAtMs);
    assert.deepEqual(rank(one, two), rank(two, one));
  }));
});

Deno.test("the book knows where a node answered, what hints say, and forgets what is withdrawn", () => {
  const book = new AddressBook(10);
  const hint = (addresses: string[], id?: string): PeerHint => ({
    addresses,
    id,
    source: "test",
    keep: false,
  });
  const byId = book.learn(hint(["tcp://h:1", "tls://h:2"], "b"));
  const anonymous = book.learn(hint(["tls://h:3"]));
  assert.deepEqual(book.addressesOf("b", ["tls://h:4"]), ["tls://h:2", "tls://h:4", "tcp://h:1"]);
  assert.equal(book.idOf(anonymous.hint), undefined);
  book.answered("tls://h:3", "b");
  assert.equal(book.idOf(anonymous.hint), "b");
  assert.equal(book.addressesOf("b", [])[0], "tls://h:3");
  assert(book.hinted("b"));
  byId[Symbol.dispose]();
  assert(book.hinted("b"), "the other hint is about it, too");
  anonymous[Symbol.dispose]();
  assert(!book.hinted("b"));
  assert.deepEqual(book.addressesOf("b", []), ["tls://h:3"], "it answered there, so try there");
  book.answered("tls://h:3", "c");
  assert.deepEqual(book.addressesOf("b", []), []);
  for (let i = 0; i < 10_050; i++) book.answered(`tcp://h${i}:1`, `n${i}`);
  assert.equal(book.idAt("tls://h:3"), undefined, "the oldest answers are forgotten");
  assert.equal(book.idAt("tcp://h10049:1"), "n10049");
  assert.throws(() => book.learn(hint(["nonsense"])), (it) => codeOf(it) === "address_invalid");
});

Deno.test("a refusal is logged once an address and reason, again after a while, and boundedly in all", async () => {
  const host = new FakeHost();
  const log = new RefusalLog(host);
  let emitted = 0;
  host.on({ id: "peers.link_refused" }, () => emitted++);
  const tell = (address: string, code = "cluster") =>
    log.tell({ address, code, message: "no", by: "peer", direction: "dialled" });
  for (let i = 0; i < 100; i++) tell("tls://h:1");
  tell("tls://h:1", "full");
  assert.equal(emitted, 101);
  assert.equal(host.lines.length, 2);
  log.forget("tls://h:1");
  tell("tls://h:1");
  assert.equal(host.lines.length, 3);
  // Ports of inbound connections are new each time and mean nothing.
  for (let port = 1; port < 100; port++) {
    log.tell({
      address: `10.0.0.9:${port}`,
      code: "cluster",
      message: "no",
      by: "us",
      direction: "accepted",
    });
  }
  assert.equal(host.lines.length, 4);
  for (let i = 0; i < 5000; i++) tell(`tls://stranger-${i}:1`);
  assert(host.lines.length <= 30);
  await host.advance(601_000);
  tell("tls://h:1");
  assert.equal(host.lines.at(-1)?.fields.address, "tls://h:1");
});

Deno.test("a second cause at one address is logged too, and no more than eight of them", async () => {
  const host = new FakeHost();
  const log = new RefusalLog(host);
  const tell = (message: string, port = 1) =>
    log.tell({
      address: `10.0.0.9:${port}`,
      code: "unauthenticated",
      message,
      by: "us",
      direction: "accepted",
    });
  for (let port = 1; port < 50; port++) {
    tell("the certificate has expired", port);
    tell("the certificate is of another authority", port);
  }
  assert.deepEqual(host.lines.map(({ fields }) => fields.reason), [
    "the certificate has expired",
    "the certificate is of another authority",
  ]);
  for (let i = 0; i < 20; i++) tell(`reason ${i}`);
  assert.equal(host.lines.length, 8);
  await host.advance(601_000);
  tell("reason 19");
  tell("the certificate has expired");
  assert.equal(host.lines.length, 10, "what was said long ago makes room");
});

Deno.test("the addresses whose refusals are remembered are bounded: the oldest is news again", async () => {
  const host = new FakeHost();
  const log = new RefusalLog(host);
  const tell = (address: string) =>
    log.tell({ address, code: "full", message: "no", by: "peer", direction: "dialled" });
  tell("tls://first:1");
  tell("tls://second:1");
  for (let i = 0; i < 199; i++) {
    // Slower than the bound of lines, and faster than a line is repeated.
    await host.advance(2500);
    tell(`tls://other-${i}:1`);
  }
  const before = host.lines.length;
  tell("tls://second:1");
  assert.equal(host.lines.length, before);
  tell("tls://first:1");
  assert.equal(host.lines.length, before + 1);
});

/** A source whose list the test sets. */
class FakeSource implements Discovery {
  readonly id = "fake";
  registered: DiscoveredNode[] = [];
  watches = 0;
  fail: Error | undefined;
  #nodes: readonly DiscoveredNode[] = [];
  #changed = Promise.withResolvers<void>();

  set(nodes: readonly DiscoveredNode[]): void {
    this.#nodes = nodes;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  discover(): Promise<readonly DiscoveredNode[]> {
    return Promise.resolve(this.#nodes);
  }

  async *watch(signal: AbortSignal): AsyncIterable<readonly DiscoveredNode[]> {
    this.watches++;
    signal.addEventListener("abort", () => this.#changed.resolve());
    while (!signal.aborted) {
      if (this.fail !== undefined) throw this.fail;
      yield this.#nodes;
      await this.#changed.promise;
    }
  }

  register(self: DiscoveredNode): Promise<AsyncDisposable> {
    if (this.fail !== undefined) return Promise.reject(this.fail);
    this.registered.push(self);
    return Promise.resolve({
      [Symbol.asyncDispose]: () => {
        this.registered = [];
        return Promise.resolve();
      },
    });
  }
}

Deno.test("a source's nodes become hints and stop being hints; this node is left out", async () => {
  const host = new FakeHost();
  const source = new FakeSource();
  const hints = new Set<string>();
  const following = follow({
    host,
    source,
    self: "me",
    retryMs: 100,
    learn: ({ addresses, keep, source }) => {
      if (addresses[0] === "bad") throw new Error("no address");
      const text = `${addresses[0]} ${source} ${keep}`;
      hints.add(text);
      return { [Symbol.dispose]: () => void hints.delete(text) };
    },
  });
  await host.barrier();
  source.set([
    { id: "me", addresses: ["h:0"] },
    { addresses: ["h:1"] },
    { addresses: ["h:1"] },
    { addresses: ["h:2"] },
    { addresses: ["bad"] },
    { addresses: [] },
  ]);
  await host.barrier();
  assert.deepEqual([...hints], ["h:1 fake true", "h:2 fake true"]);
  assert.equal(host.lines.filter(({ level }) => level === "warn").length, 1);
  source.set([{ addresses: ["h:2"] }, { addresses: ["bad"] }]);
  await host.barrier();
  assert.deepEqual([...hints], ["h:2 fake true"]);
  assert.equal(host.lines.filter(({ level }) => level === "warn").length, 1);
  // A watch that breaks is begun again; what it said stands meanwhile.
  source.fail = new Error("gone");
  source.set([]);
  await host.barrier();
  assert.deepEqual([...hints], ["h:2 fake true"]);
  source.fail = undefined;
  source.set([{ addresses: ["h:3"] }]);
  await host.advance(100);
  assert.deepEqual([...hints], ["h:3 fake true"]);
  assert.equal(source.watches, 2);
  await following[Symbol.asyncDispose]();
  assert.equal(hints.size, 0);
  assert.equal(host.pendingTimers, 0);
});

Deno.test("a node makes itself known to sources, anew when its addresses change; one that cannot is only logged", async () => {
  const host = new FakeHost();
  const source = new FakeSource();
  let addresses: string[] = [];
  const announcer = new Announcer(host, () => ({ id: "me", addresses }));
  const known = announcer.add(source);
  await host.barrier();
  assert.equal(source.registered.length, 0, "it listens nowhere yet");
  addresses = ["tls://h:1"];
  announcer.changed();
  announcer.changed();
  await host.barrier();
  assert.deepEqual(source.registered.map(({ addresses }) => addresses.length), [1]);
  addresses = ["tls://h:1", "tcp://h:2"];
  announcer.changed();
  await host.barrier();
  assert.deepEqual(source.registered.map(({ addresses }) => addresses.length), [2]);
  await known[Symbol.asyncDispose]();
  assert.equal(source.registered.length, 0);
  source.fail = new Error("read-only");
  await announcer.add(source)[Symbol.asyncDispose]();
  assert.match(String(host.lines.at(-1)?.fields.reason), /read-only/);
});

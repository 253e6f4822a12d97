/**
 * Two nodes that say everything that nodes can say to each other, over a wire in memory that
 * counts bytes and breaks where it is told; and what must be true of it whatever broke.
 *
 * All of it is real but the wire, the clock and the disk: peers with their links, delivery,
 * messenger and bulk transfers. Bodies are small and so are the bounds: slices of 1 KiB and
 * windows of 1 KiB make fragments, credit and waiting out of a few thousand bytes, so that a
 * break at every one of them can be tried.
 */
import assert from "node:assert/strict";
import { readAll, Source } from "../../core/node/bulk/fakes_test.ts";
import { codeOf } from "../../mod.ts";
import type { Exchange, ExchangeHandlers } from "../../core/contracts/peers.ts";
import { noFields } from "@mycnet/protocols/frame";
import { nameOf, noise, text, words } from "./bodies.ts";
import { BreakingNet, type Cut } from "./breaking_net.ts";
import { type Lives, Once, Outbox, Speaker, streamType } from "./speaker.ts";

/** What was said, and what both ends made of it. */
export class Conversation {
  readonly net: BreakingNet;
  readonly a: Speaker;
  readonly b: Speaker;
  /** Every body by its name. */
  readonly #sent = new Map<string, Uint8Array>();
  /** What became of each thing that was said, by its name: `ok`, or a code. */
  readonly outcomes = new Map<string, string>();
  readonly #streams: { readonly asked: Once; readonly items: string[] }[] = [];
  readonly #large: boolean;

  /** @param large says what is larger than a slice instead of what is smaller. */
  constructor(lives: Lives, large: boolean, cut?: Cut) {
    this.net = new BreakingNet(cut);
    this.#large = large;
    const [a, b] = lives.next();
    this.a = new Speaker(this.net, "a", "b", this.#sent, a);
    this.b = new Speaker(this.net, "b", "a", this.#sent, b);
  }

  /** Says everything, and ends. */
  async run(): Promise<void> {
    const { a, b } = this;
    // Alone at first, so that the wire has one dialler.
    await this.#all([this.#ask(a, "b", words("first", 40))]);
    await this.#all(this.#large ? this.#sayLarge() : this.#saySmall());
    // What was promised is kept, before anybody may leave.
    await this.net.host.until(() =>
      [a, b].every(({ delivery }) => delivery.waiting().length === 0)
    );
    await this.#all([a.stop(), b.stop()]);
    await this.net.host.advance(3000);
  }

  #saySmall(): Promise<void>[] {
    const { a, b } = this;
    const said = [
      this.#ask(a, "b", words("compressed", 400)),
      this.#ask(b, "a", words("back", 30)),
      this.#stream(a, "b"),
      this.#transfer(a, "b", 300),
    ];
    for (const [from, to] of [[a, "b"], [b, "a"]] as const) {
      const by = from.node.self.id;
      said.push(
        this.#tell(from, to, "best-effort", words(`${by}-best-effort`, 30)),
        this.#tell(from, to, "high", words(`${by}-high-1`, 30)),
        this.#tell(from, to, "high", words(`${by}-high-2`, 30)),
        this.#tell(from, to, "guaranteed", words(`${by}-guaranteed`, 30)),
      );
    }
    return said;
  }

  #sayLarge(): Promise<void>[] {
    const { a, b } = this;
    return [
      this.#ask(a, "b", noise("a-fragmented", 3000)),
      this.#ask(b, "a", words("b-compressed", 6000)),
      this.#tell(a, "b", "best-effort", noise("a-best-effort", 1500)),
      this.#tell(a, "b", "high", noise("a-high", 2500)),
      this.#tell(a, "b", "guaranteed", noise("a-guaranteed", 1500)),
      this.#tell(b, "a", "guaranteed", noise("b-guaranteed", 1500)),
      this.#transfer(a, "b", 4000),
    ];
  }

  /** That each end was told the truth, once, and that nothing is left. */
  check(): void {
    const { a, b, net, outcomes } = this;
    const cut = net.broken > 0;
    for (const [name, outcome] of outcomes) {
      const receiver = name.startsWith("b-") || name === "back" ? a : b;
      const times = receiver.handled.get(name) ?? 0;
      if (!cut) assert.equal(outcome, "ok", name);
      if (name.endsWith("-guaranteed")) assert.equal(outcome, "ok", name);
      else if (name.includes("best-effort")) assert.ok(times <= 1, `${name} came ${times} times`);
      else if (outcome === "ok") assert.equal(times, 1, `${name} came ${times} times`);
      else assert.ok(times <= 1, `${name}: ${outcome}, and came ${times} times`);
    }
    assert.deepEqual([a.seen, b.seen], [["b-guaranteed"], ["a-guaranteed"]]);
    assert.deepEqual([...a.spoilt, ...b.spoilt], []);
    for (const { asked, items } of this.#streams) {
      assert.equal(asked.told.length, 1, `a stream was told ${asked.told.join(", ")}`);
      const all = Array.from({ length: 5 }, (_, at) => `${at}`);
      if (asked.told[0] === "response" || !cut) {
        assert.deepEqual([asked.told[0], items], ["response", all]);
      } else assert.deepEqual(items, all.slice(0, items.length));
    }
    for (const { told } of [...a.served, ...b.served]) {
      assert.ok(told.length === 1, `a server's stream was told ${told.join(", ") || "nothing"}`);
    }
    const kept = new Uint8Array(b.kept.flatMap((it) => [...it]));
    assert.deepEqual(kept, this.#sent.get("file"));
    for (const { node, bulk, delivery } of [a, b]) {
      const problems = node.host.lines.filter(({ level }) => level === "error");
      assert.deepEqual(problems, [], "something was logged as an error");
      assert.equal(node.peers.metrics().active_connections, 0);
      assert.equal(bulk.metrics().bulk_active, 0);
      assert.equal(delivery.metrics().messages_in_flight, 0);
    }
    assert.equal(net.open.length, 0, "a connection was left open");
    assert.equal(net.host.pendingTimers, 0, "a timer was left behind");
  }

  async #all(said: Promise<unknown>[]): Promise<void> {
    const all = Promise.all(said);
    let done = false;
    const finished = () => void (done = true);
    all.then(finished, finished);
    await this.net.host.until(() => done, 120_000, 5);
    await all;
  }

  async #outcome(name: string, work: Promise<unknown>): Promise<void> {
    assert.ok(!this.outcomes.has(name));
    try {
      await work;
      this.outcomes.set(name, "ok");
    } catch (error) {
      this.outcomes.set(name, codeOf(error) ?? String(error));
    }
  }

  #ask(from: Speaker, to: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const name = nameOf(body);
    this.#sent.set(name, body);
    const asked = from.messenger.request(to, "custom.ask", body, { timeout: "10s" });
    return this.#outcome(name, asked.then((answer) => assert.equal(text(answer), text(body))));
  }

  #tell(
    from: Speaker,
    to: string,
    reliability: "best-effort" | "high" | "guaranteed",
    body: Uint8Array<ArrayBuffer>,
  ): Promise<void> {
    const name = nameOf(body);
    this.#sent.set(name, body);
    return this.#outcome(name, from.messenger.send(to, "custom.tell", body, { reliability }));
  }

  /** Five items there, and the same five back. */
  async #stream(from: Speaker, to: string): Promise<void> {
    const asked = new Once();
    const items: string[] = [];
    this.#streams.push({ asked, items });
    let link;
    try {
      link = await from.node.peers.connect(to);
    } catch (error) {
      asked.tell(codeOf(error) ?? String(error));
      return;
    }
    const handlers: ExchangeHandlers = {
      item: (body) => {
        items.push(text(body.subarray(0, 1)));
        exchange.grant(body.length);
      },
      end: () => {},
      writable: () => out.writable(),
      response: () => asked.tell("response"),
      failure: () => asked.tell("failure"),
      closed: ({ code }) => asked.tell(code),
    };
    let exchange: Exchange;
    try {
      exchange = link.open(streamType, noFields, new Uint8Array(0), true, handlers);
    } catch (error) {
      asked.tell(codeOf(error) ?? String(error));
      return;
    }
    const out = new Outbox(exchange, () => {});
    for (let at = 0; at < 5; at++) out.push(new TextEncoder().encode(`${at}${"x".repeat(255)}`));
    out.end();
    await asked.over;
  }

  /** Again until it is there. */
  async #transfer(from: Speaker, to: string, length: number): Promise<void> {
    const source = new Source(length, 1000);
    this.#sent.set("file", await readAll(source.from(0)));
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        await from.bulk.send(to, "file", source.from, { total: length });
        return;
      } catch (error) {
        const code = codeOf(error);
        assert.ok(
          code !== undefined && ["unavailable", "deadline_exceeded"].includes(code),
          `${error}`,
        );
      }
    }
    assert.fail("ten attempts were not enough for the transfer");
  }
}

// Messages that are acknowledged, between whole nodes whose links break and who crash:
// each gets exactly what its level promises.
import assert from "node:assert/strict";
import { codeOf, type Node } from "../../mod.ts";
import { type SimNode, simulatedNode, type Simulation } from "../../simulation.ts";
import { lossy, scenario } from "./harness.ts";

const encode = (number: number) => new TextEncoder().encode(`${number}`);
const decode = (bytes: Uint8Array) => Number(new TextDecoder().decode(bytes));

/** What a handler saw. */
interface Arrival {
  readonly number: number;
  readonly receiver: string;
  readonly redelivered: boolean;
}

/** A sender `s` and a receiver `r`, both of which may be restarted, and what came of it. */
class Pair {
  readonly arrived: Arrival[] = [];
  /** What the handler wrote in its transactions, as of now: a crash undoes what did not commit. */
  book: () => number[] = () => [];
  readonly promised = new Set<number>();
  readonly failed = new Map<number, string | undefined>();
  #number = 0;

  private constructor(readonly sim: Simulation) {}

  static async start(sim: Simulation): Promise<Pair> {
    const pair = new Pair(sim);
    const bare = simulatedNode({ plugins: { static: { seeds: ["r:7000", "s:7000"] } } });
    await sim.node("r", async (host, context) => {
      const node = await bare(host, context);
      const receiver = `r#${context.incarnation}`;
      const arrive = (bytes: Uint8Array, redelivered: boolean) =>
        pair.arrived.push({ number: decode(bytes), receiver, redelivered });
      node.handle("custom.high", (bytes, { redelivered }) => void arrive(bytes, redelivered));
      node.handle("custom.once", async (bytes, context) => {
        if (decode(bytes) % 5 === 0) await host.sleep(host.random() * 20);
        context.transaction((database) => {
          database.exec("CREATE TABLE IF NOT EXISTS book (number INTEGER)");
          database.prepare("INSERT INTO book VALUES (?)").run(decode(bytes));
          pair.book = () =>
            database.prepare("SELECT number FROM book ORDER BY rowid").all()
              .map(({ number }) => Number(number));
        });
        if (decode(bytes) % 7 === 0) await host.sleep(host.random() * 20);
      });
      node.handle("custom.plain", async (bytes, { redelivered }) => {
        arrive(bytes, redelivered);
        await host.sleep(host.random() * 10);
      });
      return node;
    });
    await sim.node("s", bare);
    await sim.run(2000);
    return pair;
  }

  get sender(): SimNode<Node> {
    return this.sim.nodes.find(({ name }) => name === "s")! as SimNode<Node>;
  }

  /** Sends some, and notes what becomes of them. */
  send(name: string, count: number, reliability: "high" | "guaranteed"): void {
    for (let at = 0; at < count; at++) {
      const number = ++this.#number;
      this.sender.value.send("r", name, encode(number), { reliability }).then(
        () => void this.promised.add(number),
        (error) => void this.failed.set(number, codeOf(error)),
      );
    }
  }

  /** Breaks something for a while, by the seed. */
  async trouble(crashes: boolean): Promise<void> {
    const { sim } = this;
    const dice = Math.floor(sim.random.float() * (crashes ? 6 : 3));
    if (dice === 0) sim.reset("s", "r");
    else if (dice === 1) {
      const cut = sim.partition(["s"], ["r"]);
      await sim.run(sim.random.float() * 1500);
      cut[Symbol.dispose]();
    } else if (dice === 3) await this.restart("r");
    else if (dice === 4) await this.restart("s");
    else if (dice === 5) {
      await this.restart("s");
      await this.restart("r");
    }
    await sim.run(sim.random.float() * 300);
  }

  async restart(name: string): Promise<void> {
    const connections =
      (["reset", "clean", "silent"] as const)[Math.floor(this.sim.random.float() * 3)];
    this.sim.crash(name, { connections });
    await this.sim.run(this.sim.random.float() * 500);
    await this.sim.restart(name);
  }

  /** Each start of the receiver got them in order, each once. */
  assertOnceInOrder(): void {
    const last = new Map<string, number>();
    for (const { number, receiver } of this.arrived) {
      const before = last.get(receiver) ?? 0;
      assert.ok(number > before, `${receiver} got ${number} after ${before}`);
      last.set(receiver, number);
    }
  }
}

scenario(
  "acknowledged messages arrive once and in order while links break, and their senders hear the truth",
  { seeds: 8, network: lossy },
  async (sim) => {
    const pair = await Pair.start(sim);
    for (let round = 0; round < 12; round++) {
      pair.send("custom.high", 30, "high");
      await pair.trouble(false);
    }
    await sim.run(60_000);
    pair.assertOnceInOrder();
    const arrived = new Set(pair.arrived.map(({ number }) => number));
    assert.equal(pair.promised.size + pair.failed.size, 360, "somebody was told nothing");
    for (const number of pair.promised) {
      assert.ok(arrived.has(number), `${number} was acknowledged and did not arrive`);
    }
    for (const [number, code] of pair.failed) {
      assert.ok(code !== undefined, `${number} failed without a code`);
      if (code !== "undelivered") assert.ok(!arrived.has(number), `${number} arrived: ${code}`);
    }
  },
);

scenario(
  "acknowledged messages reach one start of a receiver that crashes, or none",
  { seeds: 8, network: lossy },
  async (sim) => {
    const pair = await Pair.start(sim);
    for (let round = 0; round < 12; round++) {
      pair.send("custom.high", 20, "high");
      await sim.run(sim.random.float() * 60);
      if (sim.random.float() < 0.5) await pair.restart("r");
      else await pair.trouble(false);
    }
    await sim.run(60_000);
    pair.assertOnceInOrder();
    const numbers = pair.arrived.map(({ number }) => number);
    assert.equal(new Set(numbers).size, numbers.length, "two starts got the same message");
    assert.equal(pair.promised.size + pair.failed.size, 240, "somebody was told nothing");
    for (const number of pair.promised) assert.ok(numbers.includes(number));
  },
);

scenario(
  "guaranteed messages survive whatever happens: done once and in order where they are done in their transaction",
  { seeds: 8, network: lossy },
  async (sim) => {
    const pair = await Pair.start(sim);
    for (let round = 0; round < 12; round++) {
      pair.send("custom.once", 25, "guaranteed");
      await pair.trouble(true);
    }
    const waiting = () => pair.sender.value.metrics().communication.outbox_messages;
    await sim.until(() => waiting() === 0, 600_000);
    const book = pair.book();
    assert.equal(new Set(book).size, book.length, "something was done twice");
    assert.deepEqual(book, book.toSorted((a, b) => a - b), "the order was not kept");
    const done = new Set(book);
    for (const number of pair.promised) assert.ok(done.has(number), `${number} was lost`);
    assert.ok(pair.promised.size > 0);
  },
);

scenario(
  "a guaranteed message that is handled again is marked, and none is lost",
  { seeds: 6, network: lossy },
  async (sim) => {
    const pair = await Pair.start(sim);
    for (let round = 0; round < 10; round++) {
      pair.send("custom.plain", 10, "guaranteed");
      await pair.trouble(true);
    }
    const waiting = () => pair.sender.value.metrics().communication.outbox_messages;
    await sim.until(() => waiting() === 0, 600_000);
    const seen = new Set<number>();
    for (const { number, redelivered } of pair.arrived) {
      assert.ok(!seen.has(number) || redelivered, `${number} came again without a mark`);
      seen.add(number);
    }
    for (const number of pair.promised) assert.ok(seen.has(number), `${number} was lost`);
  },
);

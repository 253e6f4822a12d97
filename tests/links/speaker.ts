/**
 * One of two nodes that talk: peers with their links, delivery, messenger and bulk transfers, all
 * of it real but the wire, the clock and the disk. It answers what it is asked, and writes down
 * what it was told.
 */
import { NodeBulk } from "../../core/node/bulk/bulk.ts";
import { NodeDelivery } from "../../core/node/delivery/delivery.ts";
import { deliveryConfigOf, MemoryDatabases } from "../../core/node/delivery/fakes_test.ts";
import { type FakeNet, FakeNode } from "../../core/node/fake_net_test.ts";
import { NodeMessenger } from "../../core/node/messenger/messenger.ts";
import type { Exchange, IncomingExchange, IncomingHandlers } from "../../core/contracts/peers.ts";
import { messageTypes } from "@mycnet/protocols/frame";
import { nameOf, text } from "./bodies.ts";

/** What streams are opened as: nothing else here handles it. */
export const streamType = messageTypes["service.call"];

const config = {
  linksPerPeer: 1,
  link: {
    streamWindowBytes: 1024,
    highWaterBytes: 4096,
    batch: { maxBytes: 1024 },
  },
  compression: { threshold: 256 },
  healthCheck: { interval: "100ms", activeInterval: "50ms", timeout: "50ms" },
  drainTimeout: "500ms",
};

/** An event that may be told once. */
export class Once {
  readonly told: string[] = [];
  readonly #settled: () => void;
  /** Resolves once it was told. */
  readonly over: Promise<void>;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#settled = resolve;
  }

  tell(what: string): void {
    this.told.push(what);
    this.#settled();
  }
}

/** What a node has of its own: a disk, and how often it has been started. */
export interface Life {
  readonly databases: MemoryDatabases;
  readonly generation: number;
}

/** The lives of both nodes, one conversation after the other. Dispose of it in the end. */
export class Lives implements Disposable {
  readonly #databases = [new MemoryDatabases(), new MemoryDatabases()] as const;
  #generation = 0;

  /** Those of the next start. */
  next(): readonly [Life, Life] {
    const generation = ++this.#generation;
    const [a, b] = this.#databases;
    for (const databases of [a, b]) databases.file()?.exec("DROP TABLE IF EXISTS seen");
    return [{ databases: a, generation }, { databases: b, generation }];
  }

  [Symbol.dispose](): void {
    for (const databases of this.#databases) databases[Symbol.dispose]();
  }
}

/** One of the two nodes. */
export class Speaker {
  readonly node: FakeNode;
  readonly databases: MemoryDatabases;
  readonly delivery: NodeDelivery;
  readonly messenger: NodeMessenger;
  readonly bulk: NodeBulk;
  /** How often each message was handled, by name. */
  readonly handled = new Map<string, number>();
  /** Bodies that arrived otherwise than they were sent. */
  readonly spoilt: string[] = [];
  /** The streams that the other opened here, and what became of them. */
  readonly served: Once[] = [];
  /** What of a transfer is here. */
  readonly kept: Uint8Array[] = [];
  readonly #sent: ReadonlyMap<string, Uint8Array>;

  constructor(
    net: FakeNet,
    id: string,
    other: string,
    sent: ReadonlyMap<string, Uint8Array>,
    { databases, generation }: Life,
  ) {
    this.#sent = sent;
    this.databases = databases;
    this.node = new FakeNode(net, id, { config, generation });
    this.node.hint(other, other);
    const { host, peers } = this.node;
    this.delivery = new NodeDelivery({
      host,
      self: id,
      peers,
      databases: this.databases,
      config: deliveryConfigOf({ ackTimeout: "100ms" }),
    });
    this.messenger = new NodeMessenger(host, peers, this.delivery);
    this.bulk = new NodeBulk(host, peers, () => ({ idleTimeout: 5000, maxTransfers: 4 }));
    peers.handle(streamType, { request: (exchange) => this.#serve(exchange) });
    this.messenger.handle("custom.ask", (bytes) => {
      this.#note(bytes);
      return bytes;
    });
    this.messenger.handle("custom.tell", (bytes, context) => {
      if (context.reliability !== "guaranteed") return this.#note(bytes);
      context.transaction((database) => {
        database.exec("CREATE TABLE IF NOT EXISTS seen (name TEXT)");
        database.prepare("INSERT INTO seen VALUES (?)").run(nameOf(bytes));
      });
      this.#check(bytes);
    });
    this.bulk.handle("file", async (transfer) => {
      const begin = this.kept.reduce((sum, { length }) => sum + length, 0);
      for await (const chunk of transfer.accept(begin)) this.kept.push(chunk);
    });
  }

  /** What transactions wrote: names, once each if the promise was kept. */
  get seen(): string[] {
    const database = this.databases.file();
    if (database === undefined) return [];
    const there = database.prepare("SELECT name FROM sqlite_master WHERE name = 'seen'").get();
    if (there === undefined) return [];
    return database.prepare("SELECT name FROM seen ORDER BY name").all().map(({ name }) =>
      `${name}`
    );
  }

  #note(bytes: Uint8Array): void {
    const name = nameOf(bytes);
    this.handled.set(name, (this.handled.get(name) ?? 0) + 1);
    this.#check(bytes);
  }

  #check(bytes: Uint8Array): void {
    const name = nameOf(bytes);
    const sent = this.#sent.get(name);
    if (sent === undefined || sent.length !== bytes.length || text(sent) !== text(bytes)) {
      this.spoilt.push(name);
    }
  }

  /** Says each item back, as credit allows, and answers when the items end. */
  #serve(exchange: IncomingExchange): IncomingHandlers {
    const once = new Once();
    this.served.push(once);
    const out = new Outbox(exchange, () => {
      exchange.respond(new TextEncoder().encode("done"));
      once.tell("responded");
    });
    return {
      item: (body) => {
        out.push(body.slice());
        exchange.grant(body.length);
      },
      end: () => out.end(),
      writable: () => out.writable(),
      closed: ({ code }) => once.tell(code),
    };
  }

  /** Stops, in the order in which the kernel does. */
  async stop(): Promise<void> {
    this.bulk[Symbol.dispose]();
    this.messenger[Symbol.dispose]();
    this.delivery[Symbol.dispose]();
    await this.node.stop("leaving");
  }
}

/** Items that leave as credit allows. */
export class Outbox {
  #ready = true;
  #ended = false;
  #items: Uint8Array[] = [];
  readonly #exchange: Exchange;
  readonly #done: () => void;

  constructor(exchange: Exchange, done: () => void) {
    this.#exchange = exchange;
    this.#done = done;
  }

  push(item: Uint8Array): void {
    this.#items.push(item);
    this.#pump();
  }

  end(): void {
    this.#ended = true;
    this.#pump();
  }

  writable(): void {
    this.#ready = true;
    this.#pump();
  }

  #pump(): void {
    while (this.#ready && this.#items.length > 0) {
      this.#ready = this.#exchange.item(this.#items.shift()!);
    }
    if (!this.#ended || this.#items.length > 0) return;
    this.#ended = false;
    this.#exchange.end();
    this.#done();
  }
}

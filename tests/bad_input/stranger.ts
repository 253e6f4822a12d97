/**
 * Programs that behave badly towards a node, over real sockets: a stranger that
 * sends whatever bytes it likes, and one that drives the link machine with a
 * hello of its choice. And the node that has to bear them, with a friend whose
 * link must not notice.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import {
  createNode,
  defineService,
  type Node,
  type NodeEvent,
  type NodeOptions,
} from "../../mod.ts";
import { type LinkCloseReason, LinkMachine, type LinkOptions } from "@mycnet/protocols/link";
import type { NodeDescription } from "@mycnet/protocols/identity";
import { defaultCapabilities } from "@mycnet/protocols/negotiation";

/** Something to call over a link that must not suffer. */
export const echo = defineService("echo", {
  version: 1,
  methods: { say: { input: z.string(), output: z.string(), idempotent: true } },
});

/** A node that speaks plain TCP on loopback, at a port of its own. */
export function tcpNode(
  id: string,
  options: Pick<NodeOptions, "node" | "plugins" | "log"> = {},
): Promise<Node> {
  return createNode({
    config: false,
    log: options.log ?? (() => {}),
    node: {
      id,
      cluster: "guarded",
      type: "sclerotia",
      bindAddress: "127.0.0.1:0",
      ...options.node,
    },
    plugins: {
      tls: false,
      tcp: { insecure: true },
      identity: { insecure: true },
      admin: false,
      "http-gateway": false,
      ...options.plugins,
    },
  });
}

/** A node under attack, and a friend of it that must not notice. */
export class Guarded implements AsyncDisposable {
  readonly node: Node;
  readonly friend: Node;
  readonly #link: string;
  readonly #events: AsyncIterableIterator<NodeEvent>;

  private constructor(node: Node, friend: Node) {
    this.node = node;
    this.friend = friend;
    this.#link = linkTo(node, friend.id);
    this.#events = node.events({ capacity: 10_000 });
  }

  /** Starts both, linked. */
  static async start(node: Node, friend: Node): Promise<Guarded> {
    friend.serve(echo, { say: (text) => text });
    await friend.cluster.join(node.addresses);
    // Known to serve, and linked both ways.
    assert.equal(await node.client(echo).say("hello"), "hello");
    return new Guarded(node, friend);
  }

  /** `host:port` of the node. */
  get address(): string {
    return this.node.addresses[0].replace(/^\w+:\/\//, "");
  }

  /** Waits for an event of that type; others are passed over. */
  async event<T extends NodeEvent["type"]>(type: T): Promise<Extract<NodeEvent, { type: T }>> {
    while (true) {
      const { value, done } = await this.#events.next();
      if (done) throw new Error(`the node stopped before ${type}`);
      if (value.type === type) return value as Extract<NodeEvent, { type: T }>;
    }
  }

  /** The node goes on, and the link to the friend is the one of the beginning. */
  async assertUnharmed(): Promise<void> {
    assert.equal(await this.node.client(echo).say("still there"), "still there");
    assert.equal(linkTo(this.node, this.friend.id), this.#link);
    const { status, reasons } = this.node.health();
    assert.deepEqual([status, reasons], ["healthy", []]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.friend.stop();
    await this.node.stop();
  }
}

/** The id of the one link to a node. */
function linkTo(node: Node, id: string): string {
  const links = node.members().find((it) => it.id === id)?.links ?? [];
  assert.equal(links.length, 1, `${links.length} links to ${id}`);
  assert.equal(links[0].state, "up");
  return links[0].id;
}

/** A connection that sends what the test likes. */
export class Stranger implements Disposable {
  readonly #socket: Deno.TcpConn | Deno.TlsConn;

  constructor(socket: Deno.TcpConn | Deno.TlsConn) {
    this.#socket = socket;
  }

  /** Connects to `host:port`. */
  static async connect(address: string): Promise<Stranger> {
    return new Stranger(await Deno.connect({ hostname: "127.0.0.1", port: portOf(address) }));
  }

  /** Writes all of it, or as much as the other end takes before it hangs up. */
  async send(bytes: Uint8Array | string): Promise<void> {
    let rest = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(await this.#socket.write(rest));
    } catch {
      // It hung up, which is what the tests look for by reading.
    }
  }

  /** Reads once; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(65_536);
    try {
      const length = await this.#socket.read(buffer);
      return length === null ? undefined : buffer.subarray(0, length);
    } catch {
      return undefined; // Reset: an end, too.
    }
  }

  /** Reads to the end, and gives how much that was. */
  async ended(): Promise<number> {
    let length = 0;
    for (let bytes = await this.read(); bytes !== undefined; bytes = await this.read()) {
      length += bytes.length;
    }
    return length;
  }

  /** Says no more, and goes on reading. */
  async closeWrite(): Promise<void> {
    await this.#socket.closeWrite();
  }

  [Symbol.dispose](): void {
    try {
      this.#socket.close();
    } catch {
      // Closed already.
    }
  }
}

/** `port` of `host:port`. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** What an impostor says of itself, unless told. */
const usual: NodeDescription = {
  cluster: "guarded",
  type: "sclerotia",
  id: "stranger",
  generation: 1,
  version: "0.1.0",
};

/** A stranger that knows the protocol and speaks it as a dialler, under any name it likes. */
export class Impostor implements Disposable {
  readonly stranger: Stranger;
  readonly machine: LinkMachine;
  /** Why the link ended, once it has. */
  closed: LinkCloseReason | undefined;
  /** Sees all that arrives, before the machine does. */
  tap: (bytes: Uint8Array) => void = () => {};

  constructor(
    stranger: Stranger,
    self: Partial<NodeDescription> = {},
    options: Partial<LinkOptions> = {},
  ) {
    this.stranger = stranger;
    const ignore = () => {};
    this.machine = new LinkMachine(
      {
        role: "dialer",
        self: { ...usual, ...self },
        authentication: { kind: "fiat" },
        encryption: "none",
        capabilities: defaultCapabilities,
        profiles: {},
        addresses: [],
        nonce: randomBytes(16),
        digest: (bytes) => createHash("sha256").update(bytes).digest(),
        ...options,
      },
      {
        up: ignore,
        message: ignore,
        request: () => undefined,
        response: ignore,
        failure: ignore,
        item: ignore,
        end: ignore,
        reset: ignore,
        writable: ignore,
        health: ignore,
        ack: ignore,
        roundTrip: ignore,
        goodbye: ignore,
        lost: ignore,
        closed: (reason) => this.closed = reason,
      },
      performance.now(),
    );
  }

  /** Connects to `host:port`. */
  static async connect(address: string, self?: Partial<NodeDescription>): Promise<Impostor> {
    return new Impostor(await Stranger.connect(address), self);
  }

  /** Sends what the machine has to say. */
  async flush(): Promise<void> {
    for (let out = this.machine.takeOutput(); out !== undefined; out = this.machine.takeOutput()) {
      if (out.length === 0) return;
      const copy = out.slice();
      this.machine.giveBack(out);
      await this.stranger.send(copy);
    }
  }

  /** Shakes hands. Gives undefined once the link is up, or why it is not. */
  async shake(): Promise<LinkCloseReason | undefined> {
    await this.flush();
    while (this.machine.state === "handshake") await this.step();
    await this.flush();
    return this.closed;
  }

  /** Reads, and answers as the protocol wants, until the link is over. */
  async served(): Promise<LinkCloseReason> {
    while (this.closed === undefined) await this.step();
    return this.closed;
  }

  /** Reads once, and answers. */
  async step(): Promise<void> {
    const bytes = await this.stranger.read();
    const now = performance.now();
    if (bytes !== undefined) this.tap(bytes);
    if (bytes === undefined) this.machine.handleTransportClosed(undefined, now);
    else this.machine.handleBytes(bytes, now);
    await this.flush();
  }

  [Symbol.dispose](): void {
    this.stranger[Symbol.dispose]();
  }
}

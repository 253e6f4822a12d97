/**
 * Connections in and out: each becomes a link, within bounds.
 *
 * Counted here are all links whose connection is not closed yet. Connections
 * in their handshake have a bound of their own: past it an inbound one is closed
 * without a word, since words cost what the bound protects. Past the bound of
 * links in all, a newcomer still shakes hands, in order to be told `full`.
 */
import { createHash } from "node:crypto";
import type { Connection } from "../../contracts/transport.ts";
import type { MessageHandler } from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import {
  type GoodbyeCode,
  type LinkCloseReason,
  type LinkLimits,
  type Refusal,
  TypeCounters,
} from "@mycnet/protocols/link";
import type { Hello, LinkCapabilities, ProfileOverrides } from "@mycnet/protocols/negotiation";
import { LatencyMeter } from "../latency/meter.ts";
import { type CompressionCounters, newCompressionCounters } from "../links/compression.ts";
import { type Batch, Link } from "../links/mod.ts";
import type { ErrorCounts } from "./error_counts.ts";
import type { NetworkMeasures } from "./families.ts";

/** What connections are turned into links with. */
export interface ConnectionsSetup {
  readonly host: Host;
  readonly self: NodeDescription;
  readonly capabilities: LinkCapabilities;
  readonly profiles: ProfileOverrides;
  readonly limits: Partial<LinkLimits>;
  /** When what links have queued is written. */
  readonly batch: Batch;
  /** Links in all. */
  readonly maxConnections: number;
  /** Connections in their handshake at once. */
  readonly maxHandshakes: number;
  readonly handlers: ReadonlyMap<number, MessageHandler>;
  /** Where this node listens now. */
  addresses(): readonly string[];
  /** Where it gossips now, if it does. */
  gossip?(): string | undefined;
  /** The node's own say about a hello. */
  admit(hello: Hello): Refusal | undefined;
  /** Told of links that were never up, too. */
  readonly events: {
    up(link: Link, hello: Hello): void;
    draining(link: Link, code: string, message: string): void;
    health(link: Link): void;
    ack(link: Link, payload: Uint8Array): void;
    down(link: Link, reason: LinkCloseReason): void;
  };
}

/** Sums over links, gone ones included. */
export interface Traffic {
  messagesSent: number;
  messagesReceived: number;
  bytesSent: number;
  bytesReceived: number;
  missedPings: number;
}

/** Every link of the node. */
export class Connections {
  /** Messages of all links by type. */
  readonly types: TypeCounters = new TypeCounters();
  /** How long the requests of all links took. */
  readonly latency: LatencyMeter = new LatencyMeter();
  /** What compression has come to on all links. */
  readonly compression: CompressionCounters = newCompressionCounters();
  readonly #setup: ConnectionsSetup;
  readonly #links = new Set<Link>();
  readonly #past: Traffic = {
    messagesSent: 0,
    messagesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    missedPings: 0,
  };
  #handshakes = 0;
  #dialling = 0;
  #turnedAway = 0;
  /** Why nothing more is taken in. */
  #closing: string | undefined;
  #count = 0;

  /** None at first. */
  constructor(setup: ConnectionsSetup) {
    this.#setup = setup;
  }

  /** Every link whose connection is not closed yet. */
  get links(): ReadonlySet<Link> {
    return this.#links;
  }

  /** Inbound connections closed unheard because too many were in their handshake. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  /** What all links, gone ones included, have carried. */
  traffic(): Traffic {
    const sum = { ...this.#past };
    for (const link of this.#links) add(sum, link.counters);
    return sum;
  }

  /** What metrics with labels are read from, with what is counted elsewhere. */
  measures(
    errors: readonly ErrorCounts[],
    traffic: NetworkMeasures["traffic"],
  ): NetworkMeasures {
    const { self, host } = this.#setup;
    return {
      node: self.id,
      types: this.types,
      latency: this.latency,
      now: () => host.now(),
      traffic,
      errors: () => [
        ...errors.flatMap((it) => [...it.entries()]),
        ["turned_away", this.#turnedAway],
      ],
      missedChecks: () => this.traffic().missedPings,
    };
  }

  /** Takes in an inbound connection. */
  accept(connection: Connection): void {
    if (this.#closing !== undefined || this.#handshakes >= this.#setup.maxHandshakes) {
      this.#turnedAway++;
      connection.destroy();
      return;
    }
    this.#start(connection, "acceptor", undefined, 0);
  }

  /**
   * Dials with `connect` and takes the connection over.
   * @param slot which of the links to that node this is.
   * @throws {MycnetError} `overloaded` when a bound is reached, `closed` when the node stops, and what `connect` throws.
   */
  async dial(
    connect: () => Promise<Connection>,
    expected: string | undefined,
    slot: number,
  ): Promise<Link> {
    const { maxConnections, maxHandshakes } = this.#setup;
    if (this.#links.size + this.#dialling >= maxConnections) {
      throw new MycnetError(
        "overloaded",
        `there are ${maxConnections} links already (node.maxConnections)`,
      );
    }
    if (this.#handshakes + this.#dialling >= maxHandshakes) {
      throw new MycnetError(
        "overloaded",
        `${maxHandshakes} links are being made already (peers.maxHandshakes)`,
      );
    }
    this.#dialling++;
    let connection: Connection;
    try {
      connection = await connect();
    } finally {
      this.#dialling--;
    }
    if (this.#closing !== undefined) {
      connection.destroy();
      throw new MycnetError("closed", this.#closing);
    }
    return this.#start(connection, "dialer", expected, slot);
  }

  /** Takes in nothing more, says goodbye on every link, and resolves when all connections are closed. */
  async close(code: GoodbyeCode, message: string, limitMs: number): Promise<void> {
    this.#closing = message;
    const { host } = this.#setup;
    const links = [...this.#links];
    // One that is not up yet is told so by a refusal.
    const gone = links.map((link) => link.goodbye(code, message));
    // A link bounds its own drain and close; this is for a transport that does not.
    const timer = host.after(limitMs, () => {
      for (const link of this.#links) link.destroy("the node stops");
    });
    await Promise.all(gone);
    timer[Symbol.dispose]();
  }

  #start(
    connection: Connection,
    role: "dialer" | "acceptor",
    expected: string | undefined,
    slot: number,
  ): Link {
    const { host, self, capabilities, profiles, limits, batch, handlers, events } = this.#setup;
    this.#handshakes++;
    let shaking = true;
    const shaken = () => {
      if (shaking) this.#handshakes--;
      shaking = false;
    };
    const link = Link.start({
      id: `link-${++this.#count}`,
      host,
      connection,
      batch,
      handlers,
      latency: this.latency,
      compression: this.compression,
      options: {
        typeCounters: this.types,
        role,
        self,
        authentication: connection.authentication,
        encryption: connection.encryption,
        expected,
        slot,
        capabilities,
        profiles,
        addresses: this.#setup.addresses(),
        gossip: this.#setup.gossip?.(),
        nonce: host.randomBytes(16),
        digest: sha256,
        limits,
        admit: (hello) => this.#admit(hello),
      },
      events: {
        up: (link, hello) => {
          shaken();
          events.up(link, hello);
        },
        draining: events.draining,
        health: events.health,
        ack: events.ack,
        down: (link, reason) => {
          shaken();
          events.down(link, reason);
        },
        gone: (link) => {
          this.#links.delete(link);
          add(this.#past, link.counters);
        },
      },
    });
    this.#links.add(link);
    return link;
  }

  #admit(hello: Hello): Refusal | undefined {
    if (this.#closing !== undefined) return { code: "shutting_down", message: this.#closing };
    // The newcomer itself is in the set.
    if (this.#links.size > this.#setup.maxConnections) {
      return {
        code: "full",
        message: `this node has ${this.#setup.maxConnections} links already (node.maxConnections)`,
      };
    }
    return this.#setup.admit(hello);
  }
}

function add(sum: Traffic, more: Readonly<Traffic>): void {
  sum.messagesSent += more.messagesSent;
  sum.messagesReceived += more.messagesReceived;
  sum.bytesSent += more.bytesSent;
  sum.bytesReceived += more.bytesReceived;
  sum.missedPings += more.missedPings;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

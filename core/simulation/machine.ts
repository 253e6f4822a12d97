/**
 * A machine on the simulated network, and what may be bound to it.
 *
 * A machine outlives its processes. What lives on it is known here by the
 * little that the network and a crash need of it.
 */
import type { Connection } from "../contracts/transport.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { Principal } from "@mycnet/protocols/identity";
import type { Delay } from "./delay.ts";
import type { Loop } from "./loop.ts";
import type { Random } from "./random.ts";

/** The conditions of one direction between two machines. */
export interface LinkConditions {
  /** How long a packet is under way. Default: 0.2 ms and on average 0.3 more, exponentially. */
  readonly delay: Delay;
  /**
   * The share of packets lost, 0 to 1. Default 0. A lost datagram is gone. On a
   * stream, what a packet carried comes later: after a round trip if more follows
   * it, else after the retransmission time-out (200 ms and doubling, as in TCP);
   * everything behind it waits.
   */
  readonly loss: number;
  /** The share of datagrams that arrive twice, 0 to 1. Default 0. */
  readonly duplicate: number;
  /** The share of datagrams that are held back, 0 to 1, beyond what varying delays reorder anyway. Default 0. */
  readonly reorder: number;
  /** How long at most one is held back, in ms. Default 20. */
  readonly reorderMs: number;
  /** Shared by all traffic in this direction. Default Infinity. */
  readonly bytesPerSecond: number;
  /** A datagram that would wait longer than this for its turn is dropped, in ms. Default 200. */
  readonly queueMs: number;
}

/** What receives datagrams at a port. */
export interface DatagramTarget {
  /** A datagram has come this far. */
  arrive(bytes: Uint8Array, from: string): void;
}

/** What one side brings into a connection. */
export interface StreamFacts {
  /** The instance id of the transport. */
  readonly transport: string;
  /** Both sides must speak the same. */
  readonly scheme: string;
  /** Who this side is, by fiat; absent on links that authenticate nobody. */
  readonly principal?: Principal | undefined;
}

/** One end of a connection, and what becomes of it when its process is gone. */
export interface End extends Connection {
  /** Which process it belongs to. */
  readonly loop: Loop;
  /** True once the connection no longer exists here, told or not. */
  readonly gone: boolean;
  /** The other side hears "reset". */
  reset(): void;
  /** What was sent still travels, then the other side hears the end. */
  orphan(): void;
  /** Nobody hears anything. */
  abandon(): void;
  /** It breaks here, and its process is told why. */
  fail(reason: string): void;
}

/** Somebody who listens at a port. */
export interface StreamListener {
  /** Which process it belongs to. */
  readonly loop: Loop;
  /** What it brings into a connection. */
  readonly facts: StreamFacts;
  /** Connections that the process, perhaps paused, has not been shown yet. Counted by the dialler. */
  arriving: number;
  /** False: the backlog is full and the connection is reset. */
  accept(end: End): boolean;
}

/** One direction between two machines, once it differs from the default. */
export interface Path {
  /** The conditions that hold here. Undefined: those of the network, whatever they become. */
  conditions: LinkConditions | undefined;
  /** How many partitions cut it. */
  cuts: number;
  /** When the bandwidth limit lets the next packet leave. */
  freeAt: number;
}

/** A machine on the network: what outlives its processes. */
export class Machine {
  /** False while it is without power: nothing reaches it and nobody is told. */
  up = true;
  /** Datagram sockets by port. */
  readonly sockets: Map<number, DatagramTarget> = new Map();
  /** Listeners by port. */
  readonly listeners: Map<number, StreamListener> = new Map();
  /** Ends of streams that live here. */
  readonly ends: Set<End> = new Set();
  /** Directions from here that differ from the default. */
  readonly paths: Map<Machine, Path> = new Map();
  #nextPort = 32768;

  /**
   * Made by {@linkcode Network.machine}.
   * @param ip its address, for protocols that write addresses as bytes.
   */
  constructor(readonly name: string, readonly random: Random, readonly ip: string) {}

  /** A port that nothing here is bound to. */
  freePort(): number {
    for (let tries = 0; tries < 28_232; tries++) {
      const port = this.#nextPort;
      this.#nextPort = port >= 60_999 ? 32_768 : port + 1;
      if (!this.sockets.has(port) && !this.listeners.has(port)) return port;
    }
    throw new MycnetError(
      "address_in_use",
      `every ephemeral port of machine ${this.name} is taken`,
    );
  }
}

/**
 * Packets on their way in: unwrapped, checked, and handed to the room they concern.
 *
 * A packet that cannot be read is counted and dropped; in a compound the other
 * messages still count. Layers may be nested, so their depth and all that they
 * unfold to are bounded for each packet, and so are the answers that one packet can
 * ask for: the address that it comes from may be a victim's.
 */
import type { Context } from "./context.ts";
import type { Favours } from "./favours.ts";
import type { Membership } from "./membership.ts";
import type { Prober } from "./prober.ts";
import { checkCrc, crcOverhead, decompress, eachOfCompound, open } from "./wire/envelope.ts";
import { type AckFields, messageType } from "./wire/messages.ts";
import { WireError } from "./wire/msgpack.ts";
import type { Workbench } from "./workbench.ts";

const maxDepth = 4;
const maxUnpackedBytes = 128 * 1024;
/** Members put one request into a packet. */
const maxAnswers = 4;

/** Reads the packets of one machine. */
export class Inbox {
  readonly #c: Context;
  readonly #membership: Membership;
  readonly #prober: Prober;
  readonly #favours: Favours;
  readonly #bench: Workbench;
  #unpacked = 0;
  #answers = 0;

  /** On the shared context. */
  constructor(context: Context, membership: Membership, prober: Prober, favours: Favours) {
    this.#c = context;
    this.#membership = membership;
    this.#prober = prober;
    this.#favours = favours;
    this.#bench = context.store.bench;
  }

  /** A packet. Never throws. */
  receive(packet: Uint8Array, from: string): void {
    const { counters, config, keyring } = this.#c;
    counters.packetsReceived++;
    counters.bytesReceived += packet.length;
    let bytes = packet;
    if (keyring !== undefined) {
      const plain = open(keyring, packet);
      if (plain === undefined && !config.acceptPlaintext) return void counters.undecryptable++;
      bytes = plain ?? packet;
    }
    this.#membership.heard();
    this.#unpacked = this.#answers = 0;
    this.#try(bytes, 0, bytes.length, from, 0);
  }

  /** One message; if it cannot be read, the others are read all the same. */
  #try(bytes: Uint8Array, start: number, end: number, from: string, depth: number): void {
    try {
      // Only a packet as a whole has a checksum.
      const skip = depth === 0 && checkCrc(bytes) ? crcOverhead : 0;
      this.#message(bytes, start + skip, end, from, depth);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#c.counters.malformed++;
    }
  }

  #message(bytes: Uint8Array, start: number, end: number, from: string, depth: number): void {
    if (start >= end || depth > maxDepth) throw new WireError("no message, or nested too deeply");
    const bench = this.#bench;
    const reader = bench.reader.reset(bytes, start + 1, end);
    switch (bytes[start]) {
      case messageType.compound:
        return eachOfCompound(bytes, start + 1, end, (start, end) => {
          this.#try(bytes, start, end, from, depth + 1);
        });
      case messageType.compressed: {
        const plain = decompress(reader, maxUnpackedBytes - this.#unpacked);
        this.#unpacked += plain.length;
        return this.#message(plain, 0, plain.length, from, depth + 1);
      }
      case messageType.ping:
        if (!this.#mayAnswer()) return;
        return this.#favours.ping(bench.ping.read(reader), bytes, from);
      case messageType.indirectPing:
        if (!this.#mayAnswer()) return;
        return this.#favours.indirectPing(bench.ping.read(reader), bytes, from);
      case messageType.ack:
        return this.#acked(bench.ack.read(reader), bytes, from);
      case messageType.nack:
        if (!this.#prober.nack(bench.ack.read(reader).sequence, from)) {
          this.#c.counters.unmatchedAcks++;
        }
        return;
      case messageType.suspect:
        this.#c.counters.gossipMessagesReceived++;
        return this.#membership.hearSuspect(bench.verdict.read(reader), bytes);
      case messageType.alive:
        this.#c.counters.gossipMessagesReceived++;
        return this.#membership.hearAlive(bench.alive.read(reader), bytes);
      case messageType.dead:
        this.#c.counters.gossipMessagesReceived++;
        return this.#membership.hearDead(bench.verdict.read(reader), bytes);
      case messageType.user:
        this.#c.counters.gossipMessagesReceived++;
        return this.#c.delegate.notifyMsg?.(bytes.subarray(start + 1, end), this.#c.nowMs);
    }
    throw new WireError(`message type ${bytes[start]} does not come in packets`);
  }

  #mayAnswer(): boolean {
    if (++this.#answers <= maxAnswers) return true;
    this.#c.counters.limited++;
    return false;
  }

  #acked(fields: AckFields, bytes: Uint8Array, from: string): void {
    const { start, end } = fields.payload;
    if (this.#prober.ack(fields.sequence, from, bytes.subarray(start, end))) return;
    this.#favours.ack(fields, bytes, from);
  }
}

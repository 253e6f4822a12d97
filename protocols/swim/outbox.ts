/**
 * Packets on their way out: a message, rumours that ride along, wrapping.
 *
 * Whatever is sent takes rumours with it as long as there is room (SWIM section
 * 4.1); our own first, then those of the layer above. Strangers get the bare
 * message: nobody should be able to draw more out of us than they put in.
 */
import type { Context } from "./context.ts";
import { retransmitLimit } from "./scaling.ts";
import {
  compoundOverhead,
  compress,
  crcOverhead,
  maxCompound,
  seal,
  sealOverhead,
  writeCompound,
} from "./wire/envelope.ts";
import { crc32 } from "./wire/crc32.ts";
import { messageType } from "./wire/messages.ts";
import type { MsgpackWriter } from "./wire/msgpack.ts";

/** From this protocol version on a member understands checksums. */
const crcFromVersion = 5;

/** Sends the packets of one machine. */
export class Outbox {
  readonly #c: Context;
  /** For the caller to write a message into before `send`. */
  readonly message: MsgpackWriter;
  readonly #packet: MsgpackWriter;
  readonly #parts: Uint8Array[];

  /** On the shared context. */
  constructor(context: Context) {
    this.#c = context;
    const { message, packet, parts } = context.store.bench;
    this.message = message;
    this.#packet = packet;
    this.#parts = parts;
  }

  /** True if there are rumours to spread. */
  get pending(): boolean {
    return this.#c.queue.size > 0 || this.#c.delegate.hasBroadcasts?.() === true;
  }

  /** Sends what `message` holds, and a second message if there is one, with rumours, to a member. */
  send(to: string, pmax: number, second?: Uint8Array): void {
    const parts = this.#parts;
    parts.length = 0;
    parts.push(this.message.view());
    if (second !== undefined) parts.push(second);
    let used = 0;
    for (const part of parts) used += part.length + compoundOverhead;
    this.#fill(used);
    this.#transmit(to, pmax);
  }

  /** Sends what `message` holds and nothing else. */
  sendBare(to: string): void {
    this.#parts.length = 0;
    this.#parts.push(this.message.view());
    this.#transmit(to, 0);
  }

  /** Sends rumours alone to a member. False if there were none. */
  gossip(to: string, pmax: number): boolean {
    this.#parts.length = 0;
    this.#fill(0);
    if (this.#parts.length === 0) return false;
    this.#transmit(to, pmax);
    return true;
  }

  /** How large a single message may be, in bytes. */
  get room(): number {
    return this.#budget;
  }

  get #budget(): number {
    const { config, keyring, sealVersion } = this.#c;
    const sealed = keyring === undefined ? 0 : sealOverhead(sealVersion);
    return config.packetBytes - compoundOverhead - crcOverhead - sealed;
  }

  #fill(used: number): void {
    const { queue, config, table, counters, delegate } = this.#c;
    const parts = this.#parts;
    const before = parts.length;
    let free = this.#budget - used;
    if (queue.size > 0 && free > 0) {
      const limit = retransmitLimit(config.retransmitMult, table.size);
      free -= queue.take(free, compoundOverhead, limit, parts, maxCompound - before);
    }
    // One byte more for each: the type.
    const overhead = compoundOverhead + 1;
    if (free > overhead && delegate.getBroadcasts !== undefined && parts.length < maxCompound) {
      for (const message of delegate.getBroadcasts(overhead, free)) {
        free -= message.length + overhead;
        if (free < 0 || parts.length >= maxCompound) break;
        const wrapped = new Uint8Array(1 + message.length);
        wrapped[0] = messageType.user;
        wrapped.set(message, 1);
        parts.push(wrapped);
      }
    }
    counters.gossipMessagesSent += parts.length - before;
  }

  #transmit(to: string, pmax: number): void {
    const { config, keyring, counters, handler, status } = this.#c;
    if (status === "stopped") return;
    const parts = this.#parts;
    const packet = this.#packet.reset();
    const checked = config.checksums && pmax >= crcFromVersion;
    const start = checked ? crcOverhead : 0;
    packet.at = start;
    if (parts.length === 1) packet.put(parts[0]!);
    else writeCompound(packet, parts);
    if (config.compressPackets) {
      const packed = compress(packet.bytes.subarray(start, packet.at));
      if (packed.length < packet.at - start) {
        packet.at = start;
        packet.put(packed);
      }
    }
    if (checked) {
      const end = packet.at;
      const sum = crc32(packet.bytes, start, end);
      packet.at = 0;
      packet.byte(messageType.crc).u32(sum);
      packet.at = end;
    }
    const plain = packet.view();
    const bytes = keyring === undefined || config.sendPlaintext
      ? plain
      : seal(keyring, this.#c.sealVersion, plain);
    counters.packetsSent++;
    counters.bytesSent += bytes.length;
    handler.packet(to, bytes);
  }
}

/**
 * What machines write packets with and read them into, empty between two calls.
 *
 * It belongs to a {@linkcode CardStore}, so ten thousand machines on one store work
 * at one bench, which a processor's cache holds, and not at ten thousand cold ones.
 * Hence their rule: while one machine runs, no other one on its store may be entered.
 */
import { AckFields, AliveFields, PingFields, VerdictFields } from "./wire/messages.ts";
import { MsgpackReader, MsgpackWriter } from "./wire/msgpack.ts";

/** Kept rumours stand side by side in pieces of so many bytes; none is longer than a packet. */
const pieceBytes = 1 << 14;

/** Tools of one thread. */
export class Workbench {
  /** One message, before it is sent. */
  readonly message: MsgpackWriter = new MsgpackWriter(1024);
  /** A second one that goes with it. */
  readonly second: MsgpackWriter = new MsgpackWriter(256);
  /** A packet, before it is handed over. */
  readonly packet: MsgpackWriter = new MsgpackWriter(2048);
  /** A rumour, before it is kept. */
  readonly rumour: MsgpackWriter = new MsgpackWriter(1024);
  /** The whole state of a view, before it leaves: large, and needed rarely. */
  readonly state: MsgpackWriter = new MsgpackWriter(0);
  /** The messages of a packet. */
  readonly parts: Uint8Array[] = [];
  readonly reader: MsgpackReader = new MsgpackReader();
  readonly alive: AliveFields = new AliveFields();
  readonly verdict: VerdictFields = new VerdictFields();
  readonly ping: PingFields = new PingFields();
  readonly ack: AckFields = new AckFields();
  #piece: Uint8Array<ArrayBuffer> = new Uint8Array();
  #used = 0;

  /** A copy of bytes that are kept for a while: cheaper than an array for each, where there are many. */
  keep(bytes: Uint8Array): Uint8Array {
    const { length } = bytes;
    if (length > pieceBytes / 4) return bytes.slice();
    if (this.#used + length > this.#piece.length) {
      this.#piece = new Uint8Array(pieceBytes);
      this.#used = 0;
    }
    const piece = this.#piece;
    const start = this.#used;
    for (let i = 0; i < length; i++) piece[start + i] = bytes[i]!;
    this.#used += length;
    return piece.subarray(start, this.#used);
  }
}

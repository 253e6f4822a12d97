/**
 * What two deliveries tell each other about sequences: the payload of `link.ack`.
 *
 * A payload is 1 to 60 notices of 17 bytes, big-endian:
 *
 *   0      kind in the high four bits; then a zero; the space (0 volatile, 1 durable);
 *          the lane in the low two bits (0 critical, 1 high, 2 normal, 3 low)
 *   1..8   epoch of the sequences, chosen by the sender of the messages
 *   9..16  a sequence, at most 2^53-1
 *
 * `announce` (0) comes from the sender of messages, before the first of them on each
 * link: nothing below this sequence will come (again), and what comes counts in this
 * epoch. `ack` (1) comes from the receiver: everything below this sequence is done
 * with. `unhandled` (2): this one message was taken and nobody handles its name.
 * `unable` (3): the receiver keeps nothing on disk and takes no durable messages.
 * Unknown kinds are passed over, so that later versions may say more.
 */
import type { Priority } from "../frame/fields.ts";

/** What a notice is about. */
export type NoticeKind = "announce" | "ack" | "unhandled" | "unable";

/** Whose lifetime sequences have: that of the sender's process, or that of its disk. */
export type SequenceSpace = "volatile" | "durable";

/** One thing said about the messages of one priority in one direction. */
export interface Notice {
  /** What is said. */
  readonly kind: NoticeKind;
  /** Which of the sender's two kinds of sequences. */
  readonly space: SequenceSpace;
  /** The priority whose messages are counted. */
  readonly lane: Priority;
  /** 64 bits that the sender of the messages draws whenever it begins to count anew. */
  readonly epoch: bigint;
  /** 0 to 2^53-1. */
  readonly sequence: number;
}

/** Bytes of one notice. */
export const noticeBytes = 17;
/** The most that one payload may hold. */
export const maxNotices = 60;
/** The lanes in the order of their numbers on the wire, the most urgent first. */
export const lanes: readonly Priority[] = ["critical", "high", "normal", "low"];

const kinds: readonly NoticeKind[] = ["announce", "ack", "unhandled", "unable"];
const durableBit = 0x04;
const reservedBit = 0x08;

/** Writes notices. @throws {RangeError} for none, for more than {@linkcode maxNotices}, or for a number out of range: mistakes of ours. */
export function encodeNotices(notices: readonly Notice[]): Uint8Array<ArrayBuffer> {
  if (notices.length === 0 || notices.length > maxNotices) {
    throw new RangeError(`${notices.length} notices; 1 to ${maxNotices} are expected`);
  }
  const bytes = new Uint8Array(notices.length * noticeBytes);
  const view = new DataView(bytes.buffer);
  notices.forEach(({ kind, space, lane, epoch, sequence }, index) => {
    if (!Number.isSafeInteger(sequence) || sequence < 0) {
      throw new RangeError(`sequence ${sequence} is not 0 to 2^53-1`);
    }
    const at = index * noticeBytes;
    bytes[at] = kinds.indexOf(kind) << 4 | (space === "durable" ? durableBit : 0) |
      lanes.indexOf(lane);
    view.setBigUint64(at + 1, epoch);
    view.setBigUint64(at + 9, BigInt(sequence));
  });
  return bytes;
}

/** Reads notices, those of unknown kinds left out; undefined for a payload that breaks the layout. */
export function decodeNotices(bytes: Uint8Array): Notice[] | undefined {
  const count = bytes.length / noticeBytes;
  if (!Number.isInteger(count) || count === 0 || count > maxNotices) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const notices: Notice[] = [];
  for (let at = 0; at < bytes.length; at += noticeBytes) {
    const head = bytes[at];
    const sequence = Number(view.getBigUint64(at + 9));
    if ((head & reservedBit) !== 0 || !Number.isSafeInteger(sequence)) return undefined;
    const kind = kinds[head >> 4];
    if (kind === undefined) continue;
    notices.push({
      kind,
      space: (head & durableBit) === 0 ? "volatile" : "durable",
      lane: lanes[head & 3],
      epoch: view.getBigUint64(at + 1),
      sequence,
    });
  }
  return notices;
}

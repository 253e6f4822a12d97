/**
 * The output of one link: four lanes, one a priority, handed out in slices.
 *
 * Messages are queued in the lane of their priority (lane.ts), first in first out
 * within it; what the link says of itself has a lane of its own, before all others, so
 * that nothing queued later overtakes it. `take` hands out what to write next. As long
 * as everything queued fits into one slice, and into what TCP hands on as one piece,
 * that is everything, the most urgent first; when one lane alone holds anything, its
 * buffer leaves without a copy. Otherwise it is one slice of the lane whose turn it is
 * (turns.ts): a closed chunk as it stands, or what a large frame and its neighbours come
 * to, cut and compressed into one buffer. So nothing urgent waits for more than the slice
 * that is being written, and no frame, however large, takes a long turn. Of a slice that
 * is a little longer than one piece, the little rest waits for the next one and stands
 * first in it; with nothing else to come, the driver gives it a moment (`lingers`).
 *
 * Buffers that the driver gives back are used again, a few of them. Those that are far larger
 * than what has left of late are let go (`settle`), and all of them when the link is idle, or
 * every link would keep what its one largest moment took.
 */
import type { Compressor } from "./large.ts";
import { type LaneEntry, OutputLane } from "./lane.ts";
import { laneCount, maxSliceBytes, Turns } from "./turns.ts";

/** What a slice is where nothing else is said. */
export const defaultSliceBytes: number = 64 * 1024;

// A slice's buffer has room for the prefix and the headers of its last frame too.
const slackBytes = 12 * 1024;
const leastSliceBytes = 1024;
// Kept for reuse: one for each lane and one that is being written, of the usual size.
const keptBuffers = laneCount + 1;
// A chunk this full leaves alone: what stands behind it is not worth a copy.
const fullShare = 0.5;
const none = new Uint8Array(0);
// Buffers up to this size, or so many times as large as what left of late, are no waste.
const leastKeptBytes = 4 * 1024;
const roomyFactor = 4;
// What the link says of itself is mostly a ping: an idle link has no use for more.
const controlBytes = 512;

/**
 * What TCP hands to the network as one piece: 45 packets of an Ethernet, and a little less than one
 * of a loopback. A slice with one body of 64 KiB is some bytes longer, and those bytes would be a
 * piece by themselves that costs nearly as much as the other: without them, a stream of such slices
 * is a fifth faster.
 */
const tcpPieceBytes = 45 * 1448;
// How much of a slice may wait for the next one: what is urgent waits for that, too.
const overhangShare = 1 / 16;

/** Frames that leave only when all that was queued before them has left. */
interface Epilogue {
  readonly frame: Uint8Array;
  readonly positions: readonly number[];
}

/** The output of one link. */
export class FrameWriter {
  /** The lanes of messages by priority, the most urgent first. */
  readonly lanes: readonly OutputLane[];
  /** The lane of control frames: small and bounded, and written before anything else. */
  readonly control: OutputLane;
  /** How large bodies are compressed; undefined until both ends have agreed on it. */
  compressor: Compressor | undefined;
  /** The size of a slice in bytes. */
  readonly sliceBytes: number;
  readonly #pieceBytes: number;
  // What chunks grow to, and what leaves at once when that is all there is.
  readonly #chunkBytes: number;
  readonly #overhangBytes: number;
  readonly #critical: OutputLane;
  readonly #high: OutputLane;
  readonly #normal: OutputLane;
  readonly #low: OutputLane;
  // In the order in which they are written when there is room for all.
  readonly #all: readonly OutputLane[];
  readonly #turns: Turns;
  readonly #waiting = (lane: number): boolean => !this.lanes[lane]!.empty;
  #spares: Uint8Array<ArrayBuffer>[] = [];
  // The largest buffer's bytes that have left since it was last looked at.
  #largest = 0;
  // Bytes in line, in the epilogue and of the rest: whatever is in no open chunk.
  #closed = 0;
  // What the last slice left to the next: the end of a frame, which nothing may come before.
  #rest: Uint8Array<ArrayBuffer> = none;
  #restBytes = 0;
  readonly #epilogue: Epilogue[] = [];
  #epilogueBytes = 0;

  /** An empty one; it allocates with its first frame. @param pieceBytes what goes over the network as one piece. */
  constructor(sliceBytes: number = defaultSliceBytes, pieceBytes: number = tcpPieceBytes) {
    this.sliceBytes = Math.min(maxSliceBytes, Math.max(leastSliceBytes, sliceBytes));
    this.#pieceBytes = pieceBytes;
    this.#overhangBytes = Math.floor(this.sliceBytes * overhangShare);
    this.#turns = new Turns(this.sliceBytes);
    const source = {
      spare: (wanted: number) => this.#spare(wanted),
      closed: (bytes: number) => {
        this.#closed += bytes;
      },
    };
    this.#chunkBytes = Math.min(this.sliceBytes, pieceBytes);
    this.control = new OutputLane(source, this.#chunkBytes, controlBytes);
    this.#critical = new OutputLane(source, this.#chunkBytes);
    this.#high = new OutputLane(source, this.#chunkBytes);
    this.#normal = new OutputLane(source, this.#chunkBytes);
    this.#low = new OutputLane(source, this.#chunkBytes);
    this.lanes = [this.#critical, this.#high, this.#normal, this.#low];
    this.#all = [this.control, ...this.lanes];
  }

  /** How many bytes are queued. */
  get bytes(): number {
    // Asked several times a message: neither the list nor a loop.
    return this.#closed + this.control.length + this.#critical.length + this.#high.length +
      this.#normal.length + this.#low.length;
  }

  /** True if something waits that is critical, or of the link itself, or the end of a frame that has begun to leave. */
  get urgent(): boolean {
    return this.#restBytes > 0 || !this.#critical.empty || !this.control.empty;
  }

  /** True if nothing waits but the end of the last frame, which may wait for company. */
  get lingers(): boolean {
    return this.#restBytes > 0 && this.bytes === this.#restBytes;
  }

  /** Queues a frame that leaves when everything that is queued now has left, in whatever lane. */
  last(frame: Uint8Array): void {
    this.#epilogue.push({ frame, positions: this.lanes.map((lane) => lane.position) });
    this.#epilogueBytes += frame.length;
    this.#closed += frame.length;
  }

  /** The next bytes to write, or undefined. The buffer is the caller's until given back. */
  take(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#epilogue.length > 0) this.#queueEpilogue();
    const bytes = this.bytes - this.#epilogueBytes;
    if (bytes === 0) return undefined;
    if (bytes <= this.#chunkBytes) return this.#everything(bytes);
    if (!this.control.empty) return this.#slice(this.control);
    const turn = this.#turns.next(this.#waiting);
    const lane = this.lanes[turn]!;
    const { taken } = lane;
    const output = this.#slice(lane);
    this.#turns.took(turn, lane.taken - taken);
    return output;
  }

  /** Takes a buffer back for reuse. The caller must not touch it afterwards. */
  giveBack(buffer: Uint8Array<ArrayBuffer>): void {
    const spares = this.#spares;
    if (buffer.length > this.#largest) this.#largest = buffer.length;
    const whole = new Uint8Array(buffer.buffer);
    if (whole.length > this.sliceBytes + this.#overhangBytes + slackBytes) return;
    if (spares.length < keptBuffers) {
      spares.push(whole);
      return;
    }
    const smallest = spares.reduce(
      (least, it, at) => it.length < spares[least]!.length ? at : least,
      0,
    );
    if (spares[smallest]!.length < whole.length) spares[smallest] = whole;
  }

  /** Lets go of buffers far larger than whatever was given back since the last call. To be called now and then. */
  settle(): void {
    const most = Math.max(leastKeptBytes, roomyFactor * this.#largest);
    this.#largest = 0;
    if (this.#spares.some(({ length }) => length > most)) {
      this.#spares = this.#spares.filter(({ length }) => length <= most);
    }
    for (const lane of this.#all) if (lane.buffer.length > most) lane.trim();
  }

  /** Lets go of memory that an idle link does not need. */
  trim(): void {
    this.#spares = [];
    if (this.#restBytes === 0) this.#rest = none;
    for (const lane of this.#all) lane.trim();
  }

  #spare(wanted: number): Uint8Array<ArrayBuffer> | undefined {
    const spares = this.#spares;
    // The one that came last is the warmest.
    for (let at = spares.length - 1; at >= 0; at--) {
      if (spares[at]!.length < wanted) continue;
      return at === spares.length - 1 ? spares.pop() : spares.splice(at, 1)[0];
    }
    return undefined;
  }

  #everything(bytes: number): Uint8Array<ArrayBuffer> {
    this.#turns.reset();
    const lanes = this.#all;
    if (this.#closed > this.#epilogueBytes) {
      const target = this.#buffer(bytes);
      let at = this.#putRest(target);
      for (const lane of lanes) at = this.#copy(lane, target, at, this.sliceBytes - at);
      return target.subarray(0, at);
    }
    const first = lanes.find((lane) => lane.length > 0)!;
    // Nearly always: one lane, one open chunk, which leaves as it is.
    if (first.length === bytes) return first.takeOpen();
    first.reserve(bytes - first.length);
    const target = first.buffer;
    let at = first.length;
    first.takeOpen();
    for (const lane of lanes) {
      if (lane.length === 0) continue;
      target.set(lane.buffer.subarray(0, lane.length), at);
      at += lane.length;
      lane.copiedOpen();
    }
    return target.subarray(0, at);
  }

  /** One slice of one lane. */
  #slice(lane: OutputLane): Uint8Array<ArrayBuffer> {
    if (this.#restBytes === 0) {
      const first = lane.line[0];
      if (first === undefined) return lane.takeOpen();
      if (first instanceof Uint8Array && first.length >= this.sliceBytes * fullShare) {
        lane.line.shift();
        this.#left(lane, first.length);
        return first;
      }
    }
    const target = this.#buffer(this.sliceBytes);
    const end = this.#copy(lane, target, this.#putRest(target), this.sliceBytes);
    return target.subarray(0, end - this.#keepRest(target, end));
  }

  /** Keeps what overhangs a piece by little for the next slice; returns how much. */
  #keepRest(target: Uint8Array, end: number): number {
    const over = end % this.#pieceBytes;
    if (over === 0 || over === end || over > this.#overhangBytes) return 0;
    if (this.#rest.length === 0) this.#rest = new Uint8Array(this.#overhangBytes);
    this.#rest.set(target.subarray(end - over, end));
    this.#restBytes = over;
    this.#closed += over;
    return over;
  }

  /** Writes what the last slice left; returns the end of it. */
  #putRest(target: Uint8Array): number {
    const rest = this.#restBytes;
    if (rest === 0) return 0;
    target.set(this.#rest.subarray(0, rest));
    this.#restBytes = 0;
    this.#closed -= rest;
    return rest;
  }

  /** Moves what goes into `room` bytes from a lane to `target`; returns the end of it. */
  #copy(lane: OutputLane, target: Uint8Array, at: number, room: number): number {
    const { line } = lane;
    for (let entry: LaneEntry | undefined; room > 0 && (entry = line[0]) !== undefined;) {
      if (entry instanceof Uint8Array) {
        if (entry.length > room) return at;
        line.shift();
        target.set(entry, at);
        at += entry.length;
        room -= entry.length;
        this.#left(lane, entry.length);
        this.giveBack(entry);
      } else {
        if (!entry.fits(room, this.sliceBytes)) return at;
        const { left } = entry;
        at = entry.cut(target, at, room, this.sliceBytes, this.compressor);
        if (entry.left === 0) line.shift();
        room -= left - entry.left;
        this.#left(lane, left - entry.left);
      }
    }
    if (line.length > 0 || lane.length > room || lane.length === 0) return at;
    target.set(lane.buffer.subarray(0, lane.length), at);
    at += lane.length;
    lane.copiedOpen();
    return at;
  }

  #left(lane: OutputLane, bytes: number): void {
    lane.taken += bytes;
    this.#closed -= bytes;
  }

  /** An empty buffer for that much of a slice. */
  #buffer(bytes: number): Uint8Array<ArrayBuffer> {
    const wanted = bytes + this.#overhangBytes + slackBytes;
    return this.#spare(wanted) ?? new Uint8Array(wanted);
  }

  /** Moves frames that have waited for everything else into the control lane. */
  #queueEpilogue(): void {
    const { lanes } = this;
    for (let next; (next = this.#epilogue[0]) !== undefined;) {
      const { frame, positions } = next;
      if (lanes.some((lane, at) => lane.taken < positions[at]!)) return;
      this.#epilogue.shift();
      this.#epilogueBytes -= frame.length;
      this.#closed -= frame.length;
      const lane = this.control;
      lane.reserve(frame.length);
      lane.buffer.set(frame, lane.length);
      lane.length += frame.length;
    }
  }
}

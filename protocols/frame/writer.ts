/**
 * Growing output: four lanes, one a priority, each one buffer.
 *
 * Frames are written straight into the buffer of their lane; small ones thereby
 * coalesce, and nothing is allocated for a message. `take` hands out everything
 * that is queued, the critical lane first, first in first out within a lane.
 * When one lane alone holds anything, its buffer leaves without a copy, and the
 * next one comes out of what the driver gave back.
 */

/** The lanes by priority: 0 critical, 1 high, 2 normal, 3 low. */
export const laneCount = 4;

const firstBytes = 4 * 1024;
// What is kept for reuse: enough for the usual flush, small beside a TLS end.
const keptBytes = 256 * 1024;
const none = new Uint8Array(0);

/** One lane. Writers reserve, write at `length`, then move `length` on; a write that throws in between leaves no trace. */
export class OutputLane {
  /** The bytes; only those before `length` count. */
  buffer: Uint8Array<ArrayBuffer> = none;
  /** How many bytes are queued. */
  length = 0;
  readonly #writer: FrameWriter;

  /** Made by the writer. */
  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    if (this.length + bytes > this.buffer.length) this.#grow(this.length + bytes);
  }

  #grow(wanted: number): void {
    if (this.length === 0) {
      const spare = this.#writer.spare();
      if (spare !== undefined && spare.length >= wanted) {
        this.buffer = spare;
        return;
      }
    }
    const size = Math.max(firstBytes, this.buffer.length * 2, wanted);
    const grown = new Uint8Array(size);
    grown.set(this.buffer.subarray(0, this.length));
    this.buffer = grown;
  }
}

/** The output of one link. */
export class FrameWriter {
  /** The lanes, the most urgent first. */
  readonly lanes: readonly OutputLane[];
  #spare: Uint8Array<ArrayBuffer> | undefined;

  /** An empty one; it allocates with its first frame. */
  constructor() {
    this.lanes = [
      new OutputLane(this),
      new OutputLane(this),
      new OutputLane(this),
      new OutputLane(this),
    ];
  }

  /** How many bytes are queued. */
  get bytes(): number {
    // Not taken apart as a list: that costs an iterator, and this is asked several times a message.
    const { lanes } = this;
    return lanes[0]!.length + lanes[1]!.length + lanes[2]!.length + lanes[3]!.length;
  }

  /** Everything queued, or undefined. The buffer is the caller's until given back. */
  take(): Uint8Array<ArrayBuffer> | undefined {
    let first: OutputLane | undefined;
    for (const lane of this.lanes) {
      if (lane.length === 0) continue;
      if (first === undefined) {
        first = lane;
        continue;
      }
      first.reserve(lane.length);
      first.buffer.set(lane.buffer.subarray(0, lane.length), first.length);
      first.length += lane.length;
      lane.length = 0;
      if (lane.buffer.length > keptBytes) lane.buffer = none;
    }
    if (first === undefined) return undefined;
    const taken = first.buffer.subarray(0, first.length);
    first.buffer = none;
    first.length = 0;
    return taken;
  }

  /** Takes a buffer back for reuse. The caller must not touch it afterwards. */
  giveBack(buffer: Uint8Array<ArrayBuffer>): void {
    const size = buffer.buffer.byteLength;
    if (size <= keptBytes && size > (this.#spare?.length ?? 0)) {
      this.#spare = new Uint8Array(buffer.buffer);
    }
  }

  /** The buffer that was given back, if any; it is the caller's then. */
  spare(): Uint8Array<ArrayBuffer> | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare;
  }

  /** Lets go of memory that an idle link does not need. */
  trim(): void {
    this.#spare = undefined;
    for (const lane of this.lanes) {
      if (lane.length === 0) lane.buffer = none;
    }
  }
}

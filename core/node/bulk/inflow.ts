/**
 * What has arrived of a transfer, on its way to the reader: a byte stream.
 *
 * Bytes go straight from the socket's buffer into the memory of whoever waits for them: one copy.
 * A reader with a buffer of its own (a BYOB reader) makes no garbage at all, which counts: at a
 * gigabyte a second, fresh memory for every chunk costs the collector more than everything else
 * here costs together. For other readers a chunk is allocated when they ask. A chunk is handed over
 * once it is full, or when a turn of the event loop brought no more: few large ones while bytes
 * pour in, and no byte kept back when they trickle. What arrives while nobody asks waits in buffers
 * that are used again; the credit of the transfer bounds them.
 */

/** What a reader without a buffer of its own gets at a time, at most. */
export const chunkBytes: number = 64 * 1024;
/** The least that is allocated for bytes that wait: an item of a sender of this kind. */
const heapBytes = 64 * 1024;
/**
 * Empty ones kept for the next bytes that wait: as many as the credit of a transfer fills, since a
 * socket may bring all of that before the reader has its turn. With fewer, what comes is memory that
 * the collector must free again: at two gigabytes a second twenty major collections a second, each
 * of which holds everything up for milliseconds.
 */
const keptHeaps = 24;

/** What the bytes of one transfer flow through. */
export interface InflowSetup {
  /** So many bytes have the reader's memory now. */
  read(bytes: number): void;
  /** The reader asks for more. */
  asked(): void;
  /** The reader wants no more. */
  cancelled(): void;
  /** Resolves in the next turn of the event loop. */
  turn(): Promise<void>;
}

/** Bytes that wait, between `from` and `to`. */
interface Heap {
  readonly bytes: Uint8Array<ArrayBuffer>;
  from: number;
  to: number;
}

/** The bytes of one transfer between the link and the reader. */
export class Inflow {
  /** For the reader. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #setup: InflowSetup;
  #controller!: ReadableByteStreamController;
  #heaps: Heap[] = [];
  #spare: Heap[] = [];
  /** The memory that the reader asks to be filled, and how far it is. */
  #view: Uint8Array | undefined;
  #filled = 0;
  #turning = false;
  #ended = false;
  #over = false;

  /** Nothing has arrived. */
  constructor(setup: InflowSetup) {
    this.#setup = setup;
    this.stream = new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: chunkBytes,
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#pull(),
      cancel: () => this.#cancelled(),
    });
  }

  /** True while there are bytes that the reader has not asked for. */
  get waits(): boolean {
    return this.#heaps.length > 0;
  }

  /** The next bytes; they are copied. */
  push(bytes: Uint8Array): void {
    if (this.#over) return;
    let at = 0;
    while (at < bytes.length && this.#view !== undefined) {
      const end = Math.min(bytes.length, at + this.#view.length - this.#filled);
      this.#fill(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
      at = end;
    }
    if (at < bytes.length) this.#keep(at === 0 ? bytes : bytes.subarray(at));
  }

  /** There are no more: the stream closes behind what is here. */
  end(): void {
    if (this.#over) return;
    this.#ended = true;
    if (!this.waits) this.#close();
  }

  /** The reader gets the error, and nothing of what it has not got yet. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#letGo();
    this.#controller.error(error);
  }

  #pull(): void {
    this.#setup.asked();
    if (this.#view === undefined) this.#look();
    for (let heap; this.#view !== undefined && (heap = this.#heaps[0]) !== undefined;) {
      const end = Math.min(heap.to, heap.from + this.#view.length - this.#filled);
      const piece = heap.bytes.subarray(heap.from, end);
      heap.from = end;
      if (end === heap.to) {
        this.#heaps.shift();
        const { length } = heap.bytes;
        if (length === heapBytes && this.#spare.length < keptHeaps) this.#spare.push(heap);
      }
      this.#fill(piece);
    }
    if (this.#ended && !this.waits) this.#close();
  }

  /** Whether the reader asks, and with which memory. */
  #look(): void {
    this.#view = (this.#controller.byobRequest?.view ?? undefined) as Uint8Array | undefined;
    this.#filled = 0;
  }

  /** Puts bytes that fit into the reader's memory, and hands it over when it is full. */
  #fill(bytes: Uint8Array): void {
    const view = this.#view!;
    view.set(bytes, this.#filled);
    this.#filled += bytes.length;
    if (this.#filled === view.length) this.#handOver();
    else if (!this.#turning) {
      this.#turning = true;
      this.#setup.turn().then(() => {
        this.#turning = false;
        if (this.#filled > 0) this.#handOver();
      });
    }
    this.#setup.read(bytes.length);
  }

  #handOver(): void {
    const filled = this.#filled;
    this.#view = undefined;
    this.#filled = 0;
    this.#controller.byobRequest!.respond(filled);
    // It may have asked again within that call.
    if (!this.#over && this.#view === undefined) this.#look();
  }

  #keep(bytes: Uint8Array): void {
    let heap = this.#heaps.at(-1);
    if (heap === undefined || heap.bytes.length - heap.to < bytes.length) {
      heap = this.#spare.pop();
      if (heap === undefined || heap.bytes.length < bytes.length) {
        heap = { bytes: new Uint8Array(Math.max(heapBytes, bytes.length)), from: 0, to: 0 };
      }
      heap.from = heap.to = 0;
      this.#heaps.push(heap);
    }
    heap.bytes.set(bytes, heap.to);
    heap.to += bytes.length;
  }

  #close(): void {
    if (this.#over) return;
    if (this.#filled > 0) this.#handOver();
    // Who has asked twice asks for the rest within that call, and so was here before.
    if (this.#over) return;
    this.#letGo();
    try {
      this.#controller.close();
    } catch {
      // A part of an element is left, to a reader of larger ones than bytes: the stream has failed by this.
      return;
    }
    // Who waits with memory of its own gets that back.
    this.#controller.byobRequest?.respond(0);
  }

  #cancelled(): void {
    if (this.#over) return;
    this.#letGo();
    this.#setup.cancelled();
  }

  #letGo(): void {
    this.#over = true;
    this.#heaps = [];
    this.#spare = [];
    this.#view = undefined;
    this.#filled = 0;
  }
}

/**
 * The way out of a link: what the machine queued goes to the connection once
 * per turn of the event loop, or as soon as a batch is full.
 *
 * Everything queued within one turn coalesces in the machine; a microtask takes it,
 * a slice at a time, and hands it to the connection, which allows one write at a
 * time. Meanwhile the machine fills other buffers, and gets each one back when it
 * was written. So a busy link writes large chunks without waiting for them, and an
 * idle one writes at once. With a delay, whoever sends little waits a little longer
 * for company; what is critical never does.
 *
 * A socket with room takes a write at once, and tells so within the same turn. So after
 * a few writes in a row the loop gets its turn, or compressing a large message slice by
 * slice would hold it up as long as compressing it whole. The end of a frame that the last
 * write left over (protocols/frame/writer.ts) goes with what this turn still queues.
 *
 * Both ends of a busy link would take turns at working, each waiting for all that the
 * other has to say: a read brings 256 requests, a write their answers. So after a read one
 * write may go early, and the peer works meanwhile. Once a flow is cut in two like that, its
 * batches are too small to be cut again. With a core for each end this is a third more calls
 * a second; where both share one it costs a twentieth.
 */
import type { Connection } from "../../contracts/transport.ts";
import type { Host, Timer } from "../../kernel/host.ts";

/** Where bytes to write come from: the part of the link machine that the writer needs. */
export interface OutputSource {
  /** How many bytes are queued. */
  readonly outputBytes: number;
  /** True if something critical is among them. */
  readonly urgent: boolean;
  /** True if nothing is queued but the end of a frame, which may wait for company. */
  readonly lingers: boolean;
  /** What to write next, as one buffer that is the caller's until given back. */
  takeOutput(): Uint8Array | undefined;
  /** Returns a buffer for reuse. */
  giveBack(buffer: Uint8Array): void;
}

/** When what is queued is written. */
export interface Batch {
  /** Queued bytes at which nothing is waited for, not even the end of the turn. Default 64 KiB. */
  readonly maxBytes: number;
  /** How long less than that waits for company, in ms; 0 for the end of this turn. Default 0. */
  readonly delayMs: number;
}

/** The defaults of {@linkcode Batch}. */
export const defaultBatch: Batch = Object.freeze({ maxBytes: 64 * 1024, delayMs: 0 });

/** Queued bytes at which what a read brought is answered before all of it is. */
const earlyBytes = 12 * 1024;

/** Writes in a row, each a slice, after which everything else has its turn. */
const writesInARow = 8;

/** What a writer is made of. */
export interface WriterSetup {
  readonly source: OutputSource;
  readonly connection: Connection;
  readonly host: Pick<Host, "after" | "barrier">;
  readonly batch?: Partial<Batch>;
  /** Runs after each buffer taken: there is room in the source now. */
  took(): void;
}

/** Writes a link's output to its connection. */
export class LinkWriter {
  readonly #setup: WriterSetup;
  readonly #source: OutputSource;
  readonly #batch: Batch;
  #scheduled = false;
  #delay: Timer | undefined;
  #writing: Uint8Array | undefined;
  #finishing = false;
  #stopped = false;
  #row = 0;
  #lingering = false;
  #mayBeEarly = false;
  readonly #flush = () => {
    this.#scheduled = false;
    this.flush();
  };
  readonly #written = () => {
    const buffer = this.#writing;
    if (buffer === undefined) return;
    this.#writing = undefined;
    this.#source.giveBack(buffer);
    if (this.#source.outputBytes === 0) this.#row = 0;
    else if (++this.#row >= writesInARow) {
      this.#row = 0;
      this.#scheduled = true;
      this.#setup.host.barrier().then(this.#flush);
      return;
    }
    if (this.#source.lingers) this.#linger();
    else if (this.#batch.delayMs === 0 || this.#finishing) this.flush();
    else if (this.#source.outputBytes > 0) this.schedule();
  };
  readonly #lingered = () => {
    this.#lingering = false;
    if (!this.#scheduled) this.flush();
  };

  /** Writes nothing until something is scheduled. */
  constructor(setup: WriterSetup) {
    this.#setup = setup;
    this.#source = setup.source;
    this.#batch = { ...defaultBatch, ...setup.batch };
  }

  /** What is left of the last write goes with what is queued in this turn of the event loop, or after it. */
  #linger(): void {
    if (this.#lingering) return;
    this.#lingering = true;
    this.#setup.host.barrier().then(this.#lingered);
  }

  /** Something was read: what comes of it may go out in two parts, unless it waits for company. */
  heard(): void {
    this.#mayBeEarly = this.#batch.delayMs === 0;
  }

  /** Sees to it that what is queued goes out: by the end of this turn, or after the batch's delay. */
  schedule(): void {
    if (this.#writing !== undefined || this.#stopped) return;
    const { maxBytes } = this.#batch;
    const enough = this.#mayBeEarly ? Math.min(earlyBytes, maxBytes) : maxBytes;
    if (this.#source.outputBytes >= enough) {
      this.#mayBeEarly = false;
      this.flush();
      return;
    }
    if (this.#scheduled) return;
    if (this.#batch.delayMs === 0 || this.#finishing || this.#source.urgent) {
      this.#scheduled = true;
      queueMicrotask(this.#flush);
      return;
    }
    this.#delay ??= this.#setup.host.after(this.#batch.delayMs, () => {
      this.#delay = undefined;
      this.flush();
    });
  }

  /** Writes what is queued now, unless a write is outstanding. */
  flush(): void {
    if (this.#writing !== undefined || this.#stopped) return;
    this.#delay?.[Symbol.dispose]();
    this.#delay = undefined;
    const buffer = this.#source.takeOutput();
    if (buffer !== undefined && buffer.length > 0) {
      this.#writing = buffer;
      this.#setup.connection.write(buffer, this.#written);
      this.#setup.took();
    } else if (this.#finishing) {
      this.#stopped = true;
      this.#setup.connection.close();
    }
  }

  /** Writes the rest, then closes the connection; not within this call, since the machine may still be queuing. */
  finish(): void {
    this.#finishing = true;
    if (this.#scheduled || this.#writing !== undefined || this.#stopped) return;
    this.#scheduled = true;
    queueMicrotask(this.#flush);
  }

  /** The connection is gone: nothing more is written, nothing is given back. */
  stop(): void {
    this.#stopped = true;
    this.#writing = undefined;
    this.#delay?.[Symbol.dispose]();
    this.#delay = undefined;
  }
}

/**
 * The way out of a link: what the machine queued goes to the connection once
 * per turn of the event loop.
 *
 * Everything written within one turn coalesces into the machine's buffer; a
 * microtask takes it and hands it to the connection, which allows one write at
 * a time. Meanwhile the machine fills its other buffer, and gets the first one
 * back when it was written. So a busy link writes large chunks without waiting
 * for them, an idle one writes at once, and two buffers are all it costs.
 *
 * Whether bytes may have left the process is counted, not guessed: `taken`
 * grows with each buffer taken, and whoever remembers the count at which it
 * queued something knows later that it cannot have left.
 */
import type { Connection } from "../../contracts/transport.ts";

/** Where bytes to write come from: the part of the link machine that the writer needs. */
export interface OutputSource {
  /** Everything queued, as one buffer that is the caller's until given back. */
  takeOutput(): Uint8Array | undefined;
  /** Returns a buffer for reuse. */
  giveBack(buffer: Uint8Array): void;
}

/** Writes a link's output to its connection. */
export class LinkWriter {
  readonly #source: OutputSource;
  readonly #connection: Connection;
  readonly #took: () => void;
  #scheduled = false;
  #writing: Uint8Array | undefined;
  #finishing = false;
  #stopped = false;
  #taken = 0;
  readonly #flush = () => {
    this.#scheduled = false;
    this.flush();
  };
  readonly #written = () => {
    const buffer = this.#writing;
    if (buffer === undefined) return;
    this.#writing = undefined;
    this.#source.giveBack(buffer);
    this.flush();
  };

  /** @param took runs after each buffer taken: there is room in the source now. */
  constructor(source: OutputSource, connection: Connection, took: () => void) {
    this.#source = source;
    this.#connection = connection;
    this.#took = took;
  }

  /** How many buffers were handed to the connection. What was queued since the count last grew cannot have left the process. */
  get taken(): number {
    return this.#taken;
  }

  /** Sees to it that what is queued goes out by the end of this turn. */
  schedule(): void {
    if (this.#scheduled || this.#writing !== undefined || this.#stopped) return;
    this.#scheduled = true;
    queueMicrotask(this.#flush);
  }

  /** Writes what is queued now, unless a write is outstanding. */
  flush(): void {
    if (this.#writing !== undefined || this.#stopped) return;
    const buffer = this.#source.takeOutput();
    if (buffer !== undefined && buffer.length > 0) {
      this.#taken++;
      this.#writing = buffer;
      this.#connection.write(buffer, this.#written);
      this.#took();
    } else if (this.#finishing) {
      this.#stopped = true;
      this.#connection.close();
    }
  }

  /** Writes the rest, then closes the connection; not within this call, since the machine may still be queuing. */
  finish(): void {
    this.#finishing = true;
    this.schedule();
  }

  /** The connection is gone: nothing more is written, nothing is given back. */
  stop(): void {
    this.#stopped = true;
    this.#writing = undefined;
  }
}

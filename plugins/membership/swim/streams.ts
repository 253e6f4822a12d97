/**
 * Streams of gossip over connections.
 *
 * The machine says what is said; here bytes go in and out. A stream is dialled
 * (or was accepted), told what arrives, asked for what to write after each call,
 * and closed once it is done and everything is written. One write is under way
 * at a time. At its deadline a stream is told that it timed out and its
 * connection is destroyed, so none outlives it.
 */
import type { SwimStream } from "@mycnet/protocols/swim";
import type { Port } from "../../../core/contracts/sockets.ts";
import type { Connection } from "../../../core/contracts/transport.ts";
import type { Host, Timer } from "../../../core/kernel/host.ts";

/** What streams are driven with. */
export interface StreamParts {
  readonly host: Host;
  readonly port: Pick<Port, "dial">;
  /** Runs something that calls the machine. False: it threw, which it must not, and that was logged. */
  readonly enter: (run: (nowMs: number) => void) => boolean;
}

/** Drives the streams of one machine. */
export class StreamDriver implements Disposable {
  readonly #parts: StreamParts;
  readonly #running = new Set<RunningStream>();
  #ended = false;

  constructor(parts: StreamParts) {
    this.#parts = parts;
  }

  /** Connects and drives a stream of the machine's. */
  open(stream: SwimStream): void {
    if (this.#ended) return;
    const running = this.#start(stream);
    void running.dial();
  }

  /** Drives an accepted stream. */
  accepted(stream: SwimStream, connection: Connection): void {
    if (this.#ended) return connection.destroy();
    this.#start(stream).attach(connection, false);
  }

  /** Ends all of them. */
  [Symbol.dispose](): void {
    this.#ended = true;
    for (const running of [...this.#running]) running.end();
  }

  #start(stream: SwimStream): RunningStream {
    const running = new RunningStream(this.#parts, stream, () => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }
}

class RunningStream {
  readonly #parts: StreamParts;
  readonly #stream: SwimStream;
  readonly #gone: () => void;
  readonly #dialling = new AbortController();
  readonly #timer: Timer;
  #connection: Connection | undefined;
  #writing = false;
  #over = false;

  constructor(parts: StreamParts, stream: SwimStream, gone: () => void) {
    this.#parts = parts;
    this.#stream = stream;
    this.#gone = gone;
    const { host } = parts;
    const leftMs = Math.max(0, stream.deadlineMs - host.now());
    this.#timer = host.after(leftMs, () => this.#fail("timed out"));
  }

  async dial(): Promise<void> {
    const { host, port } = this.#parts;
    const { to, deadlineMs } = this.#stream;
    try {
      const connection = await port.dial(to, {
        signal: this.#dialling.signal,
        timeoutMs: Math.max(1, deadlineMs - host.now()),
      });
      if (this.#over) connection.destroy();
      else this.attach(connection, true);
    } catch (error) {
      this.#fail((error as Error).message);
    }
  }

  attach(connection: Connection, dialled: boolean): void {
    this.#connection = connection;
    connection.open({
      data: (bytes) => {
        if (this.#over) return;
        this.#enter((nowMs) => this.#stream.handleBytes(bytes, nowMs));
        this.#pump();
      },
      closed: (error) => this.#closed(error?.message),
    });
    if (dialled) this.#enter((nowMs) => this.#stream.handleConnected(nowMs));
    this.#pump();
  }

  /** Ends it at once; the machine is not told, since it ends too. */
  end(): void {
    this.#finish();
    this.#connection?.destroy();
  }

  #pump(): void {
    const connection = this.#connection;
    if (this.#over || this.#writing || connection === undefined) return;
    const bytes = this.#stream.takeOutput();
    if (bytes !== undefined && bytes.length > 0) {
      this.#writing = true;
      connection.write(bytes, () => {
        this.#writing = false;
        this.#pump();
      });
    } else if (this.#stream.done) {
      this.#finish();
      connection.close();
    }
  }

  #closed(error: string | undefined): void {
    if (this.#over) return;
    this.#finish();
    this.#enter((nowMs) => this.#stream.handleClosed(error, nowMs));
  }

  #fail(reason: string): void {
    if (this.#over) return;
    this.#closed(reason);
    this.#connection?.destroy();
  }

  #finish(): void {
    this.#over = true;
    this.#timer[Symbol.dispose]();
    this.#dialling.abort();
    this.#gone();
  }

  /** A machine that threw over this stream is done with it. */
  #enter(run: (nowMs: number) => void): void {
    if (!this.#parts.enter(run)) this.end();
  }
}

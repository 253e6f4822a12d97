/** Ends of connections, as transport tests hold them. */
import assert from "node:assert/strict";
import type { Connection } from "../../core/contracts/transport.ts";

/** Records what arrives at one end, and writes in turn. */
export class RecordingEnd {
  readonly connection: Connection;
  /** How often `closed` ran. */
  closedCount = 0;
  /** What `closed` was given. */
  error: Error | undefined;
  /** Resolves at the first `closed`. */
  readonly closed: Promise<void>;
  readonly #chunks: Uint8Array[] = [];
  readonly #onData: ((bytes: Uint8Array) => void) | undefined;
  #length = 0;
  #waiting: { readonly length: number; readonly resolve: () => void } | undefined;

  constructor(connection: Connection, onData?: (bytes: Uint8Array) => void) {
    this.connection = connection;
    this.#onData = onData;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    connection.open({
      data: (bytes) => this.#data(bytes),
      closed: (error) => {
        this.closedCount++;
        this.error = error;
        resolve();
      },
    });
  }

  /** How many bytes arrived. */
  get length(): number {
    return this.#length;
  }

  /** All that arrived. */
  get bytes(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  /** Resolves once `length` bytes have arrived. */
  received(length: number): Promise<void> {
    if (this.#length >= length) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { length, resolve };
    return promise;
  }

  /** Writes, and resolves once the bytes may be reused. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.connection.write(bytes, resolve));
  }

  #data(bytes: Uint8Array): void {
    assert.ok(bytes.length > 0, "data never brings nothing");
    assert.equal(this.closedCount, 0, "nothing follows closed");
    this.#length += bytes.length;
    if (this.#onData === undefined) this.#chunks.push(bytes.slice());
    else this.#onData(bytes);
    if (this.#waiting !== undefined && this.#length >= this.#waiting.length) {
      this.#waiting.resolve();
      this.#waiting = undefined;
    }
  }
}

/** Sends everything back, one write at a time, and does not read while it has much to send. */
export function echo(connection: Connection): RecordingEnd {
  const queue: Uint8Array[] = [];
  let queued = 0;
  let writing = false;
  const next = (): void => {
    const bytes = queue.shift();
    writing = bytes !== undefined;
    if (bytes === undefined) return;
    connection.write(bytes, () => {
      queued -= bytes.length;
      if (queued < 65_536) connection.resume();
      next();
    });
  };
  return new RecordingEnd(connection, (bytes) => {
    queue.push(bytes.slice());
    queued += bytes.length;
    if (queued > 262_144) connection.pause();
    if (!writing) next();
  });
}

/** Bytes that repeat only after a long while, so that a shift or a gap shows. */
export function pattern(length: number, seed: number = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 0xff;
  }
  return bytes;
}

/** Compares long byte arrays without printing them. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    if (actual[i] !== expected[i]) assert.fail(`byte ${i} is ${actual[i]}, not ${expected[i]}`);
  }
}

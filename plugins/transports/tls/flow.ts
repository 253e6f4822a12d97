/**
 * Stops and starts what flows into a TLS socket, at the TCP socket beneath it.
 *
 * A TLS socket of Deno's node:tls that is paused goes on reading: it decrypts and
 * keeps whatever the peer sends, without bound, so a peer could fill our memory.
 * Neither its own `pause` nor that of the TCP socket is heeded. The TCP socket's
 * handle does heed `readStop` and `readStart`, which is what `pause` comes down to
 * on a plain socket. They are not documented, so the conformance suite's test of a
 * paused reader is what holds us to them.
 */
import type { Socket } from "node:net";

interface ReadingHandle {
  readStart?(): number;
  readStop?(): number;
}

/** The inbound flow of one socket. It flows at first. */
export class Flow {
  readonly #socket: Socket;
  #flows = true;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Reads on. */
  start(): void {
    if (this.#flows) return;
    this.#flows = true;
    this.#handle?.readStart?.();
  }

  /** Reads no more; what was read already still comes up. */
  stop(): void {
    if (!this.#flows) return;
    this.#flows = false;
    this.#handle?.readStop?.();
  }

  /** Null once the socket is closed. */
  get #handle(): ReadingHandle | null | undefined {
    return (this.#socket as unknown as { readonly _handle?: ReadingHandle | null })._handle;
  }
}

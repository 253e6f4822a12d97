/**
 * What one end of a link says of the link itself: its control frames on their way out.
 *
 * All go before any message but a goodbye, which stands behind everything queued, in
 * whatever lane. Answers to pings are bounded: a peer that pings and does not read gets no more.
 */
import { type MessageTypeName, messageTypes } from "../frame/types.ts";
import type { FrameWriter } from "../frame/writer.ts";
import { protocolVersion } from "../negotiation/hello.ts";
import { controlFrame, encodeReason, writeControl, writePing } from "./control.ts";
import { LinkError, type LinkLimits } from "./types.ts";

// Pongs queued and not yet taken.
const maxQueuedPongs = 16;
const maxAckBytes = 1024;

/** Queues the control frames of one link. */
export class Announcer {
  /** What frames say: our own version, or the peer's older major. */
  version: number = protocolVersion;
  readonly #writer: FrameWriter;
  readonly #limits: LinkLimits;
  #queuedPongs = 0;

  constructor(writer: FrameWriter, limits: LinkLimits) {
    this.#writer = writer;
    this.#limits = limits;
  }

  /** A frame of the handshake. */
  say(name: MessageTypeName, payload: Uint8Array): void {
    writeControl(this.#writer.control, this.version, messageTypes[name], payload);
  }

  /** The link does not come up. */
  refuse(code: string, message: string): void {
    this.say("link.refuse", encodeReason(code, message));
  }

  /** The link ends, behind everything that is queued. */
  goodbye(code: string, message: string): void {
    const reason = encodeReason(code, message);
    this.#writer.last(controlFrame(this.version, messageTypes["link.goodbye"], reason));
  }

  /** Is the peer there? */
  ping(id: number): void {
    this.#ping("link.ping", id);
  }

  /** We are. */
  pong(id: number): void {
    if (this.#queuedPongs++ < maxQueuedPongs) this.#ping("link.pong", id);
  }

  /** See {@linkcode LinkMachine.ack}. */
  ack(payload: Uint8Array): void {
    if (payload.length > maxAckBytes) {
      throw new LinkError("too_large", `an acknowledgement of ${payload.length} bytes`);
    }
    if (this.#writer.bytes + payload.length > this.#limits.maxOutputBytes) {
      throw new LinkError("overloaded", `${this.#writer.bytes} bytes wait to be written already`);
    }
    this.say("link.ack", payload);
  }

  /** What was queued has been taken. */
  outputTaken(): void {
    this.#queuedPongs = 0;
  }

  #ping(name: "link.ping" | "link.pong", id: number): void {
    writePing(this.#writer.control, this.version, messageTypes[name], id);
  }
}

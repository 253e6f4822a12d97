/**
 * The life of one end of a link, from hello to closed.
 *
 *     handshake ──accept both ways──> up ──goodbye by either──> draining ──> closed
 *         └──────refuse, time-out──────┴──broken rules, silence, lost──────────┘
 *
 * Here arriving bytes become frames and frames go where they belong: to the
 * handshake (handshake.ts), to the checks of liveness (liveness.ts), to the
 * messages and exchanges (streams.ts).
 *
 * A goodbye stands behind everything queued, and is answered by the other
 * side's own, which promises no new exchanges. An end that has said and heard
 * goodbye, and has nothing under way, is closed.
 *
 * A peer that breaks the rules ends this link and no other, and is told why.
 */
import { FrameError, readU32 } from "../frame/header.ts";
import { FrameReader } from "../frame/reader.ts";
import { type MessageTypeName, messageTypeName, messageTypes } from "../frame/types.ts";
import { FrameWriter } from "../frame/writer.ts";
import { protocolVersion } from "../negotiation/hello.ts";
import {
  decodeReason,
  encodeReason,
  needPayload,
  type WireReason,
  writeControl,
  writePing,
} from "./control.ts";
import { Handshake } from "./handshake.ts";
import { Liveness } from "./liveness.ts";
import { Streams } from "./streams.ts";
import {
  type GoodbyeCode,
  type LinkCloseReason,
  type LinkCounters,
  LinkError,
  type LinkHandler,
  type LinkHealth,
  type LinkLimits,
  type LinkOptions,
  type LinkState,
  type Refusal,
} from "./types.ts";

const criticalLane = 0;
const lowLane = 3;
const firstMessageType = 0x0100;
// Pongs queued and not yet taken: a peer that pings and does not read gets no more.
const maxQueuedPongs = 16;
const maxAckBytes = 1024;

/** The state of one end of a link. {@linkcode LinkMachine} documents what its methods promise. */
export class Lifecycle {
  state: LinkState = "handshake";
  health: LinkHealth = "healthy";
  /** Undefined until the link is up; stays when it is closed. */
  live: Liveness | undefined;
  /** Set when messages go out without a time. */
  sentSinceTimer = false;
  readonly handshake: Handshake;
  readonly streams: Streams;
  readonly reader: FrameReader;
  readonly #handler: LinkHandler;
  readonly #limits: LinkLimits;
  readonly #counters: LinkCounters;
  readonly #writer: FrameWriter;
  #version: number = protocolVersion;
  #deadlineMs: number;
  #deadlineGraced = false;
  #nowMs: number;
  #reading = false;
  #traffic = false;
  #queuedPongs = 0;
  #ourGoodbye: WireReason | undefined;
  #peerGoodbye: WireReason | undefined;
  #saidFirst = false;
  // An end that is decided and not yet told: the constructor must not call back.
  #pendingEnd: LinkCloseReason | undefined;

  constructor(
    options: LinkOptions,
    handler: LinkHandler,
    limits: LinkLimits,
    counters: LinkCounters,
    writer: FrameWriter,
    nowMs: number,
  ) {
    this.#handler = handler;
    this.#limits = limits;
    this.#counters = counters;
    this.#writer = writer;
    this.#nowMs = nowMs;
    this.#deadlineMs = nowMs + limits.handshakeTimeoutMs;
    this.streams = new Streams(
      options.role === "dialer" ? 1 : 0,
      writer,
      handler,
      limits,
      counters,
      () => this.#endIfDrained(),
    );
    this.reader = new FrameReader({
      frame: (version, type, bytes, start, end) => this.#frame(version, type, bytes, start, end),
    }, limits.maxHandshakeFrameBytes);
    this.handshake = new Handshake(options, limits);
    if (options.authentication.kind === "rejected") {
      const message = options.authentication.reason;
      this.#control(criticalLane, "link.refuse", encodeReason("unauthenticated", message));
      this.#pendingEnd = { kind: "refused", code: "unauthenticated", message, by: "us" };
      this.#deadlineMs = nowMs;
    } else this.#control(criticalLane, "link.hello", this.handshake.ours);
  }

  get nextTimerMs(): number | undefined {
    if (this.state === "closed") return undefined;
    if (this.live === undefined) return this.#deadlineMs;
    return this.state === "draining"
      ? Math.min(this.#deadlineMs, this.live.nextMs)
      : this.live.nextMs;
  }

  handleBytes(bytes: Uint8Array, nowMs: number): void {
    if (this.#reading) throw new Error("handleBytes was called out of a handler of the same link");
    this.#nowMs = nowMs;
    if (this.#tellPendingEnd() || this.state === "closed") return;
    this.#counters.bytesReceived += bytes.length;
    const revived = this.live?.heard();
    this.#reading = true;
    this.#traffic = false;
    try {
      this.reader.push(bytes);
    } catch (error) {
      if (!(error instanceof FrameError && error.fault === "peer")) {
        // A handler threw. What was read of this chunk is lost, so the link is too.
        this.#end("protocol", "internal", "a handler of this link failed", "us");
        throw error;
      }
      this.#violation(error.message);
    } finally {
      this.#reading = false;
    }
    // Not before the pong that may be among the bytes has had its say.
    if (revived && !this.#isClosed()) this.#tellHealth();
    this.checkOutput();
  }

  handleTimer(nowMs: number): void {
    const due = this.nextTimerMs;
    this.#nowMs = nowMs;
    if (this.#tellPendingEnd() || due === undefined || nowMs < due) return;
    const late = nowMs - due > this.#limits.pingTimeoutMs / 4;
    const live = this.live;
    if (live === undefined) {
      if (late && !this.#deadlineGraced) {
        this.#deadlineGraced = true;
        this.#deadlineMs = nowMs + this.#limits.pingTimeoutMs;
        return;
      }
      const { handshakeTimeoutMs } = this.#limits;
      const message = `the handshake was not done after ${handshakeTimeoutMs} ms`;
      this.#control(criticalLane, "link.refuse", encodeReason("timeout", message));
      this.#end("timeout", "timeout", message, "us");
      return;
    }
    if (this.state === "draining" && nowMs >= this.#deadlineMs) {
      this.#endDrained();
      return;
    }
    if (this.sentSinceTimer) {
      this.sentSinceTimer = false;
      live.traffic(nowMs);
    } else if (live.idle(nowMs)) this.#writer.trim();
    const missed = live.misses;
    const action = live.timer(nowMs, late);
    if (live.misses > missed) {
      this.#counters.missedPings++;
      this.#tellHealth();
    }
    // A handler may have closed the link.
    if (this.#isClosed()) return;
    if (action === "ping") {
      this.#ping("link.ping", live.pingId);
    } else if (action === "dead") {
      const failed = `${live.misses} checks in a row failed`;
      // The peer logs it, and must not read it as a finding of its own.
      const told = `nothing was heard from you: ${failed}`;
      this.#control(lowLane, "link.goodbye", encodeReason("unhealthy", told));
      this.#end("unhealthy", "unhealthy", `nothing heard from the peer: ${failed}`, "us");
    }
  }

  handleTransportClosed(error: string | undefined, nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#tellPendingEnd() || this.state === "closed") return;
    const goodbye = this.#peerGoodbye;
    if (error === undefined && goodbye !== undefined) {
      this.#end("goodbye", goodbye.code, goodbye.message, "peer");
    } else this.#end("transport", "transport", error ?? "the peer closed the connection", "peer");
  }

  goodbye(code: GoodbyeCode, message: string, nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.state === "handshake") this.close(code, message);
    if (this.state !== "up") return;
    this.#saidFirst = true;
    this.#drain(code, message);
    this.#endIfDrained();
  }

  close(code: GoodbyeCode, message: string): void {
    if (this.#tellPendingEnd() || this.state === "closed") return;
    if (this.state === "handshake") {
      this.#control(criticalLane, "link.refuse", encodeReason("shutting_down", message));
    } else if (this.#ourGoodbye === undefined) {
      this.#control(lowLane, "link.goodbye", encodeReason(code, message));
    }
    this.#end("goodbye", code, message, "us");
  }

  ack(payload: Uint8Array): void {
    if (payload.length > maxAckBytes) {
      throw new LinkError("too_large", `an acknowledgement of ${payload.length} bytes`);
    }
    if (this.#writer.bytes + payload.length > this.#limits.maxOutputBytes) {
      throw new LinkError("overloaded", `${this.#writer.bytes} bytes wait to be written already`);
    }
    this.#control(criticalLane, "link.ack", payload);
  }

  /** What was queued has been taken. */
  outputTaken(): void {
    this.#queuedPongs = 0;
  }

  /** Gives a peer up that does not read what it asks for. */
  checkOutput(): void {
    const waiting = this.#writer.bytes;
    if (waiting <= this.#limits.maxOutputBytes || this.#isClosed()) return;
    this.#end("unhealthy", "unhealthy", `the peer does not read: ${waiting} bytes wait`, "us");
  }

  /** One frame. False once the link is closed: what follows is of no interest. */
  #frame(version: number, type: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.live === undefined) this.#handshakeFrame(version, type, bytes.subarray(start, end));
    else {
      if (version >> 8 !== this.#version >> 8) {
        throw new FrameError("peer", `a frame of version ${version >> 8} of the wire`);
      }
      const newer = version > protocolVersion;
      if (type < firstMessageType) this.#controlFrame(type, bytes, start, end, newer);
      else {
        if (!this.#traffic) {
          this.#traffic = true;
          this.live.traffic(this.#nowMs);
        }
        this.streams.handleMessage(type, bytes, start, end, newer);
      }
    }
    return !this.#isClosed();
  }

  #handshakeFrame(version: number, type: number, payload: Uint8Array): void {
    const step = this.handshake.handle(version, type, payload);
    switch (step.kind) {
      case "accept":
        this.#version = this.handshake.frameVersion;
        return this.#control(criticalLane, "link.accept", step.payload);
      case "refuse":
        return this.#refuse(step.refusal);
      case "refused":
        return this.#end("refused", step.code, step.message, "peer");
      case "up":
        this.#up();
    }
  }

  #controlFrame(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    newer: boolean,
  ): void {
    switch (type) {
      case messageTypes["link.ping"]:
        needPayload("ping", start + 4, end);
        if (this.#queuedPongs++ >= maxQueuedPongs) return;
        this.#ping("link.pong", readU32(bytes, start));
        return;
      case messageTypes["link.pong"]:
        needPayload("pong", start + 4, end);
        if (!this.live!.pong(readU32(bytes, start), this.#nowMs)) return;
        this.#handler.roundTrip(this.live!.roundTripMs!);
        this.#tellHealth();
        return;
      case messageTypes["link.credit"]:
        this.streams.handleCredit(bytes, start, end);
        return;
      case messageTypes["link.ack"]:
        this.#handler.ack(bytes.subarray(start, end));
        return;
      case messageTypes["link.reset"]:
        this.streams.handleReset(bytes, start, end);
        return;
      case messageTypes["link.refuse"]: {
        // We were done with the handshake a moment before the peer was.
        const { code, message } = decodeReason("refuse", bytes.subarray(start, end));
        this.#end("refused", code, message, "peer");
        return;
      }
      case messageTypes["link.goodbye"]:
        this.#handleGoodbye(decodeReason("goodbye", bytes.subarray(start, end)));
        return;
      default:
        if (!newer) {
          throw new FrameError("peer", `a ${messageTypeName(type)} frame on a link that is up`);
        }
    }
  }

  #up(): void {
    const { hello, profile } = this.handshake;
    this.live = new Liveness(this.#limits, this.#nowMs);
    this.reader.maxFrameBytes = this.#limits.maxFrameBytes;
    this.streams.start(this.#version, hello!.limits);
    this.state = "up";
    this.#handler.up(hello!.node, profile!, hello!);
  }

  #handleGoodbye(goodbye: WireReason): void {
    if (this.#peerGoodbye !== undefined) return;
    this.#peerGoodbye = goodbye;
    this.streams.closedToPeer = true;
    if (this.state === "up") this.#drain(goodbye.code, "");
    this.#handler.goodbye(goodbye.code, goodbye.message);
    this.#endIfDrained();
  }

  #drain(code: string, message: string): void {
    this.#ourGoodbye = { code, message };
    this.#control(lowLane, "link.goodbye", encodeReason(code, message));
    this.state = "draining";
    this.#deadlineMs = this.#nowMs + this.#limits.drainTimeoutMs;
  }

  #endIfDrained(): void {
    if (
      this.state === "draining" && this.streams.size === 0 && this.#ourGoodbye !== undefined &&
      this.#peerGoodbye !== undefined
    ) this.#endDrained();
  }

  #endDrained(): void {
    const by = this.#saidFirst ? "us" : "peer";
    const { code, message } = (this.#saidFirst ? this.#ourGoodbye : this.#peerGoodbye)!;
    this.#end("goodbye", code, message, by);
  }

  #refuse({ code, message }: Refusal): void {
    this.#control(criticalLane, "link.refuse", encodeReason(code, message));
    this.#end(code === "protocol" ? "protocol" : "refused", code, message, "us");
  }

  /** The peer broke the rules of the link. */
  #violation(message: string): void {
    if (this.#isClosed()) return;
    if (this.live === undefined) this.#refuse({ code: "protocol", message });
    else {
      this.#control(lowLane, "link.goodbye", encodeReason("protocol", message));
      this.#end("protocol", "protocol", message, "us");
    }
  }

  #control(lane: number, name: MessageTypeName, payload: Uint8Array): void {
    writeControl(this.#writer.lanes[lane]!, this.#version, messageTypes[name], payload);
  }

  #ping(name: "link.ping" | "link.pong", id: number): void {
    writePing(this.#writer.lanes[criticalLane]!, this.#version, messageTypes[name], id);
  }

  #tellHealth(): void {
    const { health, reason } = this.live!;
    if (health === this.health) return;
    this.health = health;
    this.#handler.health(health, reason);
  }

  #tellPendingEnd(): boolean {
    const pending = this.#pendingEnd;
    if (pending === undefined) return false;
    this.#pendingEnd = undefined;
    this.#end(pending.kind, pending.code, pending.message, pending.by);
    return true;
  }

  /** A method, since the compiler would otherwise take the state to be what it was before a handler ran. */
  #isClosed(): boolean {
    return this.state === "closed";
  }

  #end(
    kind: LinkCloseReason["kind"],
    code: string,
    message: string,
    by: LinkCloseReason["by"],
  ): void {
    if (this.#isClosed()) return;
    this.state = "closed";
    this.streams.clear();
    this.#handler.closed({ kind, code, message, by });
  }
}

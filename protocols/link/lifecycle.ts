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
import { messageTypeName, messageTypes } from "../frame/types.ts";
import type { FrameWriter } from "../frame/writer.ts";
import { protocolVersion } from "../negotiation/hello.ts";
import { Announcer } from "./announcer.ts";
import { BodyCompression } from "./compression.ts";
import { decodeReason, needPayload, type WireReason } from "./control.ts";
import { type Agreement, Handshake } from "./handshake.ts";
import { Liveness } from "./liveness.ts";
import { Streams } from "./streams.ts";
import {
  type GoodbyeCode,
  type LinkCloseReason,
  type LinkCounters,
  type LinkHandler,
  type LinkHealth,
  type LinkLimits,
  type LinkOptions,
  type LinkState,
  type Refusal,
} from "./types.ts";

const firstMessageType = 0x0100;

/** The state of one end of a link. {@linkcode LinkMachine} documents what its methods promise. */
export class Lifecycle<Owner> {
  state: LinkState = "handshake";
  health: LinkHealth = "healthy";
  /** Undefined until the link is up; stays when it is closed. */
  live: Liveness | undefined;
  /** Set when messages go out without a time. */
  sentSinceTimer = false;
  /** Undefined once the link is up. */
  handshake: Handshake | undefined;
  /** What it came to; undefined until the link is up, and kept when it is closed. */
  agreed: Agreement | undefined;
  readonly streams: Streams<Owner>;
  readonly reader: FrameReader;
  readonly out: Announcer;
  readonly #handler: LinkHandler<Owner>;
  readonly #limits: LinkLimits;
  readonly #counters: LinkCounters;
  readonly #writer: FrameWriter;
  #deadlineMs: number;
  #deadlineGraced = false;
  #nowMs: number;
  #reading = false;
  #traffic = false;
  #ourGoodbye: WireReason | undefined;
  #peerGoodbye: WireReason | undefined;
  #saidFirst = false;
  // An end that is decided and not yet told: the constructor must not call back.
  #pendingEnd: LinkCloseReason | undefined;

  constructor(
    options: LinkOptions,
    handler: LinkHandler<Owner>,
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
    this.out = new Announcer(writer, limits);
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
      this.out.refuse("unauthenticated", message);
      this.#pendingEnd = { kind: "refused", code: "unauthenticated", message, by: "us" };
      this.#deadlineMs = nowMs;
    } else this.out.say("link.hello", this.handshake.ours);
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
      this.out.refuse("timeout", message);
      this.#end("timeout", "timeout", message, "us");
      return;
    }
    if (this.state === "draining" && nowMs >= this.#deadlineMs) {
      return this.#endDrained();
    }
    this.#writer.settle();
    if (this.sentSinceTimer) {
      this.sentSinceTimer = false;
      live.traffic(nowMs);
    } else if (live.idle(nowMs)) {
      this.#writer.trim();
      this.reader.trim();
    }
    const stall = live.progress.stall(nowMs, late);
    if (stall !== undefined) return this.#end("unhealthy", "unhealthy", stall, "us");
    const missed = live.misses;
    const action = live.timer(nowMs, late);
    if (live.misses > missed) {
      this.#counters.missedPings++;
      this.#tellHealth();
    }
    // A handler may have closed the link.
    if (this.#isClosed()) return;
    if (action === "ping") {
      this.out.ping(live.pingId);
    } else if (action === "dead") {
      const failed = `${live.misses} checks in a row failed`;
      // The peer logs it, and must not read it as a finding of its own.
      const told = `nothing was heard from you: ${failed}`;
      this.out.goodbye("unhealthy", told);
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
      this.out.refuse("shutting_down", message);
    } else if (this.#ourGoodbye === undefined) {
      this.out.goodbye(code, message);
    }
    this.#end("goodbye", code, message, "us");
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
      this.live.progress.framed = true;
      if (version >> 8 !== this.out.version >> 8) {
        throw new FrameError("peer", `a frame of version ${version >> 8} of the wire`);
      }
      const newer = version > protocolVersion;
      if (type < firstMessageType) this.#controlFrame(type, bytes, start, end, newer);
      else {
        this.#carriesMessages();
        this.streams.handleMessage(type, bytes, start, end, newer);
      }
    }
    return !this.#isClosed();
  }

  #carriesMessages(): void {
    if (this.#traffic) return;
    this.#traffic = true;
    this.live!.traffic(this.#nowMs);
  }

  #handshakeFrame(version: number, type: number, payload: Uint8Array): void {
    const step = this.handshake!.handle(version, type, payload);
    switch (step.kind) {
      case "accept":
        this.out.version = this.handshake!.frameVersion;
        return this.out.say("link.accept", step.payload);
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
        this.out.pong(readU32(bytes, start));
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
      case messageTypes["link.fragment"]:
        this.#carriesMessages();
        this.streams.handleFragment(bytes, start, end, newer);
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
    const { hello, profile, options, slot } = this.handshake!;
    this.handshake = undefined;
    this.agreed = { peer: hello!.node, profile: profile!, slot };
    this.live = new Liveness(this.#limits, this.#nowMs);
    this.reader.maxFrameBytes = this.#limits.maxFrameBytes;
    const make = options.compression?.bind(options);
    const compression = BodyCompression.of(profile!, this.#limits.compressionThresholdBytes, make);
    this.streams.start(this.out.version, hello!.limits, compression);
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
    this.out.goodbye(code, message);
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
    this.out.refuse(code, message);
    this.#end(code === "protocol" ? "protocol" : "refused", code, message, "us");
  }

  /** The peer broke the rules of the link. */
  #violation(message: string): void {
    if (this.#isClosed()) return;
    if (this.live === undefined) this.#refuse({ code: "protocol", message });
    else {
      this.out.goodbye("protocol", message);
      this.#end("protocol", "protocol", message, "us");
    }
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
    const reason: LinkCloseReason = { kind, code, message, by };
    this.streams.close(reason);
    this.#handler.closed(reason);
  }
}

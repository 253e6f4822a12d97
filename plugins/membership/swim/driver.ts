/**
 * Drives the machines: one timer, one port, streams, and the lag of the event loop.
 *
 * A machine names the time at which it wants to be called. The timer is armed for
 * it, moved when it comes earlier, and when it fires too early (the wish moved to
 * later meanwhile, which every packet may do) merely armed again. Everything that
 * arrives goes straight in; nothing that a machine does may throw into a socket,
 * so what does throw is logged and counted here.
 *
 * The lag meter is a timer of its own that compares when it fires with when it
 * should have. What it finds goes to the machine's local health: a process that
 * is late itself must not be quick to call others dead.
 */
import type { Port } from "../../../core/contracts/sockets.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import { errorFields } from "../../../core/kernel/logger.ts";
import type { Host, Timer } from "../../../core/kernel/host.ts";
import type { Layer } from "./layer.ts";
import { StreamDriver } from "./streams.ts";

/** What a driver works with. */
export interface DriverParts {
  readonly host: Host;
  readonly port: Port;
  /** How often the lag is measured, in ms. */
  readonly lagEveryMs: number;
}

/** Drives one layer. Made before the layer, which sends through it. */
export class GossipDriver implements Disposable {
  /** Packets that could not be sent. */
  dropped = 0;
  readonly #host: Host;
  readonly #port: Port;
  readonly #lagEveryMs: number;
  readonly #streams: StreamDriver;
  readonly #undo = new DisposableStack();
  #layer: Layer | undefined;
  #timer: Timer | undefined;
  #armedMs = Infinity;
  #lagTimer: Timer | undefined;
  #ended = false;

  constructor({ host, port, lagEveryMs }: DriverParts) {
    this.#host = host;
    this.#port = port;
    this.#lagEveryMs = lagEveryMs;
    this.#streams = this.#undo.use(
      new StreamDriver({ host, port, enter: (run) => this.enter(run) }),
    );
  }

  /** Takes traffic from now on. */
  start(layer: Layer): void {
    const { swim } = layer;
    this.#layer = layer;
    this.#undo.use(
      this.#port.receive((bytes, from) =>
        void this.enter((nowMs) => swim.handlePacket(bytes, from, nowMs))
      ),
    );
    this.#undo.use(this.#port.accept((connection) => {
      this.enter((nowMs) => {
        const stream = swim.accept(connection.remoteAddress, nowMs);
        if (stream === undefined) connection.destroy();
        else this.#streams.accepted(stream, connection);
      });
    }));
    this.#meterLag();
    this.rearm();
  }

  /** For the layer's handler: sends a packet. */
  packet(to: string, bytes: Uint8Array): void {
    try {
      if (!this.#port.send(to, bytes)) this.dropped++;
    } catch {
      this.dropped++; // Too large for the socket, or an address that is none.
    }
  }

  /** For the layer's handler: opens a stream. */
  readonly open: StreamDriver["open"] = (stream) => this.#streams.open(stream);

  /**
   * Runs something that calls the machines, and arms the timer anew. What it throws
   * is logged, and the result false.
   */
  enter(run: (nowMs: number) => void): boolean {
    if (this.#ended) return true;
    const now = this.#host.now();
    try {
      this.#layer?.tick(now);
      run(now);
      return true;
    } catch (error) {
      this.#host.log.error("A gossip machine failed.", errorFields(error));
      return false;
    } finally {
      this.rearm();
    }
  }

  /** Runs a command of the machines, which may be refused: what it throws is the caller's. */
  command<T>(run: (layer: Layer, nowMs: number) => T): T {
    if (this.#layer === undefined || this.#ended) {
      throw new MycnetError("closed", "membership has stopped");
    }
    const now = this.#host.now();
    try {
      this.#layer.tick(now);
      return run(this.#layer, now);
    } finally {
      this.rearm();
    }
  }

  /** Arms the timer for what the machines want now. */
  rearm(): void {
    if (this.#ended) return;
    const next = this.#layer?.nextTimerMs;
    if (next === undefined || next >= this.#armedMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#armedMs = next;
    this.#timer = this.#host.after(Math.max(0, next - this.#host.now()), this.#fire);
  }

  readonly #fire = (): void => {
    this.#armedMs = Infinity;
    const next = this.#layer?.nextTimerMs;
    if (next === undefined) return;
    const now = this.#host.now();
    if (now < next) this.rearm();
    else this.enter((nowMs) => this.#layer!.handleTimer(nowMs));
  };

  #meterLag(): void {
    const dueMs = this.#host.now() + this.#lagEveryMs;
    this.#lagTimer = this.#host.after(this.#lagEveryMs, () => {
      const now = this.#host.now();
      const lateMs = now - dueMs;
      if (lateMs >= 1) this.enter((nowMs) => this.#layer!.swim.noteLag(lateMs, nowMs));
      if (!this.#ended) this.#meterLag();
    });
  }

  /** Takes nothing in any more and ends every stream. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
    this.#lagTimer?.[Symbol.dispose]();
    this.#undo.dispose();
  }
}

/**
 * A bare SWIM machine on real sockets: what protocols/swim does for a program that
 * brings nothing else of this runtime, user messages included.
 */
import { createHost } from "../../core/kernel/mod.ts";
import type { Port, Sockets } from "../../core/contracts/sockets.ts";
import type { Connection } from "../../core/contracts/transport.ts";
import {
  parseIp,
  type SwimEvent,
  SwimMachine,
  swimPresets,
  type SwimStream,
} from "@mycnet/protocols/swim";
import socketsPlugin from "../../plugins/transports/sockets.ts";
import { patienceMs } from "../harness/processes.ts";
import { startPlugin } from "../harness/start_plugin.ts";

/** A member of a cluster on bare memberlist. */
export class BareMember implements AsyncDisposable {
  readonly machine: SwimMachine;
  /** User messages that arrived, as text. */
  readonly messages: string[] = [];
  readonly events: SwimEvent[] = [];
  readonly #host = createHost({ log: () => {} });
  readonly #port: Port;
  readonly #undo: AsyncDisposableStack;
  readonly #waiting = new Set<() => void>();
  readonly #broadcasts: Uint8Array[] = [];
  #timer: Disposable | undefined;

  private constructor(name: string, port: Port, undo: AsyncDisposableStack) {
    const [host, number] = port.address.split(":");
    this.#port = port;
    this.#undo = undo;
    this.machine = new SwimMachine(
      {
        self: { name, ip: parseIp(host!)!, port: Number(number) },
        config: swimPresets.local,
        versions: [1, 5, 2, 0, 0, 0],
        random: () => this.#host.random(),
      },
      {
        packet: (to, bytes) => void this.#port.send(to, bytes),
        open: (stream) => void this.#dial(stream),
        event: (event) => this.events.push(event),
      },
      this.#host.now(),
      {
        notifyMsg: (bytes) => this.messages.push(new TextDecoder().decode(bytes)),
        hasBroadcasts: () => this.#broadcasts.length > 0,
        getBroadcasts: () => this.#broadcasts.splice(0),
      },
    );
    undo.use(port.receive((bytes, from) =>
      this.#do((now) => {
        this.machine.handlePacket(bytes, from, now);
      })
    ));
    undo.use(port.accept((connection) => {
      const stream = this.machine.accept(connection.remoteAddress, this.#host.now());
      if (stream === undefined) connection.destroy();
      else this.#drive(stream, connection);
    }));
    this.#do(() => {});
  }

  /** Starts one at a free port of loopback. */
  static async start(name: string): Promise<BareMember> {
    await using undo = new AsyncDisposableStack();
    const { value } = undo.use(await startPlugin<Sockets>(socketsPlugin));
    const port = undo.use(await value.bind({ bindAddress: "127.0.0.1:0" }));
    return new BareMember(name, port, undo.move());
  }

  /** Joins. */
  join(...addresses: readonly string[]): void {
    this.#do((now) => this.machine.join(addresses, now));
  }

  /** A user message to one member, as a packet or over a stream. */
  send(to: string, text: string, how: "packet" | "stream"): void {
    const bytes = new TextEncoder().encode(text);
    this.#do((now) => {
      if (how === "packet") this.machine.sendBestEffort(to, bytes, now);
      else this.machine.sendReliable(to, bytes, now);
    });
  }

  /** A user message for the next whom gossip goes to. */
  broadcast(text: string): void {
    this.#broadcasts.push(new TextEncoder().encode(text));
    this.#do((now) => this.machine.wake(now));
  }

  /** Waits until something holds, looking again whenever anything happened. */
  async until(what: string, wanted: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      const seen = {
        messages: this.messages,
        members: this.machine.members().map((it) => it.name),
      };
      reject(new Error(`in vain: ${what}; ${JSON.stringify(seen)}`));
    }, patienceMs);
    const look = () => wanted() && resolve();
    this.#waiting.add(look);
    look();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.machine.stop();
    this.#timer?.[Symbol.dispose]();
    await this.#undo.disposeAsync();
  }

  #do(run: (nowMs: number) => void): void {
    run(this.#host.now());
    this.#timer?.[Symbol.dispose]();
    const next = this.machine.nextTimerMs;
    this.#timer = next === undefined
      ? undefined
      : this.#host.after(Math.max(0, next - this.#host.now()), () => {
        this.#do((now) => this.machine.handleTimer(now));
      });
    for (const look of [...this.#waiting]) look();
  }

  async #dial(stream: SwimStream): Promise<void> {
    const timeoutMs = Math.max(1, stream.deadlineMs - this.#host.now());
    const { signal } = new AbortController();
    try {
      this.#drive(stream, await this.#port.dial(stream.to, { signal, timeoutMs }), true);
    } catch (error) {
      this.#do((now) => stream.handleClosed((error as Error).message, now));
    }
  }

  #drive(stream: SwimStream, connection: Connection, dialled = false): void {
    const pump = () => {
      const bytes = stream.takeOutput();
      if (bytes !== undefined) connection.write(bytes, pump);
      else if (stream.done) connection.close();
    };
    connection.open({
      data: (bytes) => {
        this.#do((now) => stream.handleBytes(bytes, now));
        pump();
      },
      closed: (error) => this.#do((now) => stream.handleClosed(error?.message, now)),
    });
    if (dialled) this.#do((now) => stream.handleConnected(now));
    pump();
  }
}

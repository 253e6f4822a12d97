/**
 * One member of a simulated cluster of bare SWIM machines, and what can befall it.
 *
 * A site outlives its processes: after a crash the next process has the same name
 * and address, and a higher incarnation, as if the last one had been persisted.
 * A process can stand still in two ways. Stopped, as by SIGSTOP, nothing of it
 * runs: packets wait in the socket's buffer, which is bounded as the kernel's, and
 * timers fire late. Blocked, as in the experiment of the Lifeguard paper (section
 * 5), its timers go on, and only what it sends and receives waits.
 */
import type { Timer } from "../../../core/kernel/host.ts";
import type { Machine } from "../../../core/simulation/machine.ts";
import type { Random } from "../../../core/simulation/random.ts";
import type { SwimMachine } from "@mycnet/protocols/swim";

/** What the socket of a process that stands still holds: the kernel's usual 208 KiB. */
export const socketBufferBytes = 212_992;

/** How a process is: `running`, `stopped` (all of it), `blocked` (its network only), `down` (gone). */
export type SiteState = "running" | "stopped" | "blocked" | "down";

/** One member. */
export class Site {
  state: SiteState = "running";
  machine!: SwimMachine;
  /** Counts processes; whatever belongs to an older one is void. */
  process = 0;
  /** What a disk would keep: the last incarnation that was spoken. */
  persisted = 0;
  /** Added to its clock: jumps of it. Never shrinks, for clocks of machines do not go back. */
  aheadMs = 0;
  /** Bytes written to streams, as the driver sent them. */
  streamBytes = 0;
  /** Packets that did not fit into the socket of a stopped process. */
  overflowed = 0;
  timer: Timer | undefined;
  armedMs = Infinity;
  readonly #inbox: { bytes: Uint8Array; from: string }[] = [];
  readonly #outbox: { bytes: Uint8Array; to: string }[] = [];
  readonly #tasks: (() => void)[] = [];
  #inboxBytes = 0;

  /** @param address `ip:port`. */
  constructor(
    readonly name: string,
    readonly address: string,
    readonly ip: Uint8Array,
    readonly place: Machine,
    readonly random: Random,
  ) {}

  /** True if anything of it runs. */
  get ticking(): boolean {
    return this.state === "running" || this.state === "blocked";
  }

  /** A packet waits in the socket. */
  keep(bytes: Uint8Array, from: string): void {
    if (this.#inboxBytes + bytes.length > socketBufferBytes) return void this.overflowed++;
    this.#inboxBytes += bytes.length;
    this.#inbox.push({ bytes, from });
  }

  /** A packet waits to leave. */
  hold(bytes: Uint8Array, to: string): void {
    this.#outbox.push({ bytes, to });
  }

  /** Something of a stream waits. */
  postpone(task: () => void): void {
    this.#tasks.push(task);
  }

  /** What waited, in order of arrival; nothing waits any more. */
  release(): {
    readonly inbox: readonly { readonly bytes: Uint8Array; readonly from: string }[];
    readonly outbox: readonly { readonly bytes: Uint8Array; readonly to: string }[];
    readonly tasks: readonly (() => void)[];
  } {
    this.#inboxBytes = 0;
    return {
      inbox: this.#inbox.splice(0),
      outbox: this.#outbox.splice(0),
      tasks: this.#tasks.splice(0),
    };
  }
}

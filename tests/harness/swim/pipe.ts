/**
 * The streams of bare SWIM machines: connections that carry one exchange.
 *
 * As TCP does, a pipe retries what is lost or meets a cut, after 200 ms and twice
 * as long each time, until the deadline of the stream. Where nobody listens it is
 * refused after a round trip; where no machine answers it times out.
 */
import type { SwimStream } from "@mycnet/protocols/swim";
import type { Timer } from "../../../core/kernel/host.ts";
import type { Network } from "../../../core/simulation/network.ts";
import type { Scheduler } from "../../../core/simulation/scheduler.ts";
import type { Site } from "./site.ts";

const firstRetryMs = 200;
const segmentBytes = 1460;

/** What a pipe needs of its cluster. */
export interface PipeWorld {
  readonly scheduler: Scheduler;
  readonly network: Network;
  /** What the clock of a site shows. */
  readonly clock: (site: Site) => number;
  /** Who has an address. */
  at(address: string): Site | undefined;
  /** Runs something that a process does, now or when it can. */
  task(site: Site, run: () => void): void;
  /** Arms a site's timer. */
  settle(site: Site): void;
}

/** One connection, seen from the site that dials. */
export class Pipe {
  readonly #cluster: PipeWorld;
  readonly #near: Site;
  readonly #nearProcess: number;
  readonly #stream: SwimStream;
  readonly #deadline: Timer;

  /** Dials. */
  constructor(cluster: PipeWorld, near: Site, stream: SwimStream) {
    this.#cluster = cluster;
    this.#near = near;
    this.#nearProcess = near.process;
    this.#stream = stream;
    const { scheduler } = cluster;
    const leftMs = stream.deadlineMs - cluster.clock(near);
    this.#deadline = scheduler.after(leftMs, () => this.#timeOut());
    const far = cluster.at(stream.to);
    if (far === undefined) return; // Nobody has that address: silence.
    const farProcess = far.process;
    this.#carry(near, far, 0, () => {
      const refused = far.state === "down" || far.process !== farProcess;
      this.#carry(far, near, 0, () => this.#here(() => refused ? this.#refuse() : this.#talk(far)));
    });
  }

  get #over(): boolean {
    return this.#stream.done || this.#near.process !== this.#nearProcess;
  }

  /** Connected: the request goes. */
  #talk(far: Site): void {
    const { clock } = this.#cluster;
    this.#stream.handleConnected(clock(this.#near));
    const request = this.#stream.takeOutput() ?? new Uint8Array();
    this.#near.streamBytes += request.length;
    const { process } = far;
    this.#carry(this.#near, far, request.length, () =>
      this.#cluster.task(far, () => {
        if (far.process !== process) return this.#back(far, undefined);
        const served = far.machine.accept(this.#near.address, clock(far));
        served?.handleBytes(request, clock(far));
        const answer = served?.takeOutput();
        if (served?.done === false) served.handleClosed("closed", clock(far));
        this.#cluster.settle(far);
        this.#back(far, answer);
      }));
  }

  #back(far: Site, answer: Uint8Array | undefined): void {
    const bytes = answer ?? new Uint8Array();
    far.streamBytes += bytes.length;
    this.#carry(far, this.#near, bytes.length, () =>
      this.#here(() => {
        const now = this.#cluster.clock(this.#near);
        if (answer !== undefined) this.#stream.handleBytes(answer, now);
        this.#stream.handleClosed(undefined, now);
      }));
  }

  #refuse(): void {
    this.#stream.handleClosed("connection refused", this.#cluster.clock(this.#near));
  }

  #timeOut(): void {
    this.#here(() => this.#stream.handleClosed("timed out", this.#cluster.clock(this.#near)));
  }

  /** Runs something at the near end, once its process can. */
  #here(run: () => void): void {
    if (this.#over) return;
    this.#cluster.task(this.#near, () => {
      if (this.#over) return;
      run();
      // It would keep alive what the stream has read, whole views of thousands.
      if (this.#stream.done) this.#deadline[Symbol.dispose]();
      this.#cluster.settle(this.#near);
    });
  }

  /** Bytes travel, again and again until they arrive or the stream is over. */
  #carry(from: Site, to: Site, bytes: number, arrived: () => void, retryMs = firstRetryMs): void {
    const { network, scheduler } = this.#cluster;
    const again = () =>
      void scheduler.after(retryMs, () => {
        if (!this.#over) this.#carry(from, to, bytes, arrived, retryMs * 2);
      });
    const packets = Math.max(1, Math.ceil(bytes / segmentBytes));
    if (network.blocked(from.place, to.place) || network.lost(from.place, to.place, packets)) {
      return again();
    }
    scheduler.after(network.transitMs(from.place, to.place), () => {
      if (network.blocked(from.place, to.place)) return again();
      arrived();
    });
  }
}

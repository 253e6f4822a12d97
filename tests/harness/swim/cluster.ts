/**
 * A cluster of bare SWIM machines in virtual time: ten of them for a story, ten
 * thousand for a measurement.
 *
 * Packets and streams cross the simulator's network with its delays, losses and
 * cuts. No asynchronous code runs, so an event costs what the machine costs: a
 * packet is copied once, since the sender reuses its buffer, into a chunk that many
 * packets share and that is used again when the last of them has arrived; a timer that has moved later is left where it is and fires
 * in vain, which is cheaper than moving it after each packet.
 */
import { Network, type NetworkOptions, Random, Scheduler } from "../../../core/simulation/mod.ts";
import {
  CardStore,
  type SwimConfig,
  type SwimDelegate,
  type SwimEvent,
  SwimMachine,
  type SwimOptions,
} from "@mycnet/protocols/swim";
import { Pipe, type PipeWorld } from "./pipe.ts";
import { Site, type SiteState } from "./site.ts";

const port = 7946;
const chunkBytes = 1 << 18;

/** What a cluster is made with. */
export interface SwimClusterOptions {
  readonly seed: number | string;
  readonly config: SwimConfig;
  /** Default: a local network, 0.2 ms and on average 0.3 more. */
  readonly conditions?: NetworkOptions["conditions"];
  /** One store of names and addresses for all: needed to copy views, and for thousands. Default false. */
  readonly shareCards?: boolean;
  /** Told of what the machines tell. Default: nobody, and no events are made. */
  readonly onEvent?: (site: Site, event: SwimEvent) => void;
  /** Told of every packet that is sent, before it meets its fate; false loses it. */
  readonly onPacket?: (from: Site, to: Site | undefined, bytes: Uint8Array) => boolean;
  /** The layer above. */
  readonly delegate?: (site: Site) => SwimDelegate;
}

/** Room for packets under way. */
interface Chunk {
  readonly bytes: Uint8Array;
  used: number;
  /** Arrivals that are still to come. */
  pending: number;
}

interface Packet {
  readonly from: Site;
  readonly to: Site;
  readonly chunk: Chunk;
  readonly bytes: Uint8Array;
}

/** A cluster of bare machines. */
export class SwimCluster implements PipeWorld {
  readonly scheduler: Scheduler = new Scheduler({ maxPending: 1 << 22 });
  readonly network: Network;
  readonly random: Random;
  readonly sites: Site[] = [];
  readonly #options: SwimClusterOptions;
  readonly #byAddress: Map<string, Site> = new Map();
  readonly #byName: Map<string, Site> = new Map();
  readonly #cards: CardStore | undefined;
  readonly #freeChunks: Chunk[] = [];
  #chunk: Chunk = newChunk();

  /** Without members. */
  constructor(options: SwimClusterOptions) {
    const { seed, conditions, shareCards = false } = options;
    this.#options = options;
    this.random = new Random(seed);
    this.network = new Network({
      scheduler: this.scheduler,
      random: this.random.fork("network"),
      ...(conditions !== undefined && { conditions }),
    });
    if (shareCards) this.#cards = new CardStore();
  }

  /** Virtual time, ms. */
  get now(): number {
    return this.scheduler.now;
  }

  /** What the clock of a site shows. Bound, for it is passed around. */
  readonly clock = (site: Site): number => this.scheduler.now + site.aheadMs;

  /** A member by its name. */
  site(name: string): Site {
    const site = this.#byName.get(name);
    if (site === undefined) throw new RangeError(`there is no member ${JSON.stringify(name)}`);
    return site;
  }

  /** A member by its address. */
  at(address: string): Site | undefined {
    return this.#byAddress.get(address);
  }

  /** A new member, alive and alone. */
  add(name: string, options: Partial<SwimOptions> = {}): Site {
    const place = this.network.machine(name);
    const ip = Uint8Array.from(place.ip.split("."), Number);
    const site = new Site(name, `${place.ip}:${port}`, ip, place, this.random.fork(name));
    this.sites.push(site);
    this.#byAddress.set(site.address, site);
    this.#byName.set(name, site);
    this.#boot(site, options);
    return site;
  }

  /** Everybody knows everybody, and there is no news. Needs shared cards. */
  form(): void {
    SwimMachine.form(this.sites.map((site) => site.machine));
    for (const site of this.sites) this.settle(site);
  }

  /** Asks `site` to join through others. */
  join(site: Site, ...seeds: readonly Site[]): void {
    site.machine.join(seeds.map((it) => it.address), this.clock(site));
    this.settle(site);
  }

  /** The process is gone; with `power`, its machine as well, so that nobody refuses connections. */
  crash(site: Site, power = false): void {
    site.machine.stop();
    site.process++;
    site.state = "down";
    site.place.up = !power;
    site.release();
    this.#disarm(site);
  }

  /** A new process of the same name at the same address, above the last incarnation that it persisted. */
  restart(site: Site, options: Partial<SwimOptions> = {}): void {
    if (site.state !== "down") this.crash(site);
    site.place.up = true;
    site.state = "running";
    this.#boot(site, { incarnation: site.persisted + 1, ...options });
  }

  /** The process stands still, or its network does. */
  halt(site: Site, how: "stopped" | "blocked"): void {
    if (site.state === "down") return;
    site.state = how satisfies SiteState;
    if (how === "stopped") this.#disarm(site);
  }

  /** It goes on, and finds all that waited. */
  resume(site: Site): void {
    if (site.state === "down" || site.state === "running") return;
    const wasStopped = site.state === "stopped";
    site.state = "running";
    const { inbox, outbox, tasks } = site.release();
    for (const { bytes, to } of outbox) this.#send(site, to, bytes);
    // What a process sees first when it wakes, its timers or its sockets, is not for us to say.
    const timerFirst = site.random.chance(0.5);
    if (wasStopped && timerFirst) this.#fire(site);
    for (const { bytes, from } of inbox) this.#receive(site, bytes, from);
    for (const task of tasks) task();
    if (wasStopped && !timerFirst) this.#fire(site);
  }

  /** Its clock jumps ahead, as after a suspended virtual machine. */
  jump(site: Site, ms: number): void {
    site.aheadMs += ms;
    this.#disarm(site);
    this.settle(site);
  }

  /** Runs something that a process does, now or when it can. */
  task(site: Site, run: () => void): void {
    const { process } = site;
    if (site.state === "running") run();
    else if (site.state !== "down") site.postpone(() => site.process === process && run());
  }

  /** Virtual time passes. */
  run(ms: number): void {
    this.scheduler.run(ms);
  }

  /** Arms a site's timer. To be called after commands. */
  settle(site: Site): void {
    if (!site.ticking) return;
    const nextMs = (site.machine.nextTimerMs ?? Infinity) - site.aheadMs;
    if (nextMs >= site.armedMs) return;
    site.timer?.[Symbol.dispose]();
    site.armedMs = nextMs;
    site.timer = this.scheduler.at(nextMs, this.#fire, site);
  }

  readonly #fire = (site: Site): void => {
    this.#disarm(site);
    if (!site.ticking) return;
    const now = this.clock(site);
    if (now >= (site.machine.nextTimerMs ?? Infinity)) site.machine.handleTimer(now);
    this.settle(site);
  };

  #disarm(site: Site): void {
    site.timer?.[Symbol.dispose]();
    site.timer = undefined;
    site.armedMs = Infinity;
  }

  #boot(site: Site, options: Partial<SwimOptions>): void {
    const { config, onEvent, delegate } = this.#options;
    const random = site.random.fork(`process ${site.process}`);
    const cards = this.#cards;
    site.machine = new SwimMachine(
      {
        self: { name: site.name, ip: site.ip, port },
        config,
        random: () => random.float(),
        ...(cards !== undefined && { cards }),
        ...options,
      },
      {
        packet: (to, bytes) => this.#send(site, to, bytes),
        open: (stream) => void new Pipe(this, site, stream),
        ...(onEvent !== undefined && {
          event: (event: SwimEvent) => {
            if (event.type === "incarnation") site.persisted = event.incarnation;
            onEvent(site, event);
          },
        }),
      },
      this.clock(site),
      delegate?.(site),
    );
    site.persisted = site.machine.self.incarnation;
    this.settle(site);
  }

  #send(from: Site, to: string, bytes: Uint8Array): void {
    if (from.state === "blocked") return from.hold(bytes.slice(), to);
    const target = this.#byAddress.get(to);
    if (this.#options.onPacket?.(from, target, bytes) === false || target === undefined) return;
    const { network } = this;
    if (network.blocked(from.place, target.place) || network.lost(from.place, target.place)) return;
    const { duplicate } = network.conditions(from.place, target.place);
    const chunk = this.#room(bytes.length);
    chunk.bytes.set(bytes, chunk.used);
    const copy = chunk.bytes.subarray(chunk.used, chunk.used += bytes.length);
    const packet: Packet = { from, to: target, chunk, bytes: copy };
    for (let copies = from.place.random.chance(duplicate) ? 2 : 1; copies > 0; copies--) {
      chunk.pending++;
      this.scheduler.after(network.transitMs(from.place, target.place), this.#arrive, packet);
    }
  }

  readonly #arrive = ({ from, to, bytes, chunk }: Packet): void => {
    if (to.state !== "down" && !this.network.blocked(from.place, to.place)) {
      if (to.state === "running") this.#receive(to, bytes, from.address);
      else to.keep(bytes.slice(), from.address);
    }
    if (--chunk.pending > 0 || chunk === this.#chunk) return;
    chunk.used = 0;
    this.#freeChunks.push(chunk);
  };

  #receive(site: Site, bytes: Uint8Array, from: string): void {
    site.machine.handlePacket(bytes, from, this.clock(site));
    this.settle(site);
  }

  /** A chunk with room for a packet. */
  #room(bytes: number): Chunk {
    if (this.#chunk.used + bytes > chunkBytes) {
      const full = this.#chunk;
      this.#chunk = this.#freeChunks.pop() ?? newChunk();
      if (full.pending === 0) {
        full.used = 0;
        this.#freeChunks.push(full);
      }
    }
    return this.#chunk;
  }
}

function newChunk(): Chunk {
  return { bytes: new Uint8Array(chunkBytes), used: 0, pending: 0 };
}

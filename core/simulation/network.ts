/**
 * A network that delays, loses, duplicates, reorders, splits and heals.
 *
 * It knows machines by name and the conditions of each direction between two
 * of them, and answers three questions: may anything pass now, how long does a
 * packet take, is this one lost. Datagram sockets (datagram.ts) and streams
 * (stream.ts) ask; so do bare protocol machines, which need no more than a
 * scheduler. A pair of machines costs nothing until its conditions differ from
 * the default or it is cut. Draws belong to the machine that sends, so traffic
 * of one sender does not change the fate of another's.
 *
 * Crossing a partition is judged when a packet leaves and again when it
 * arrives: what was under way when the cut came is lost. Traffic within one
 * machine meets no faults.
 */
import { medianOf, sample } from "./delay.ts";
import { type LinkConditions, Machine, type Path } from "./machine.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import { MycnetError } from "../kernel/errors.ts";

/** A fast and faultless local network. */
export const lanConditions: LinkConditions = {
  delay: { kind: "exponential", minMs: 0.2, meanMs: 0.5 },
  loss: 0,
  duplicate: 0,
  reorder: 0,
  reorderMs: 20,
  bytesPerSecond: Infinity,
  queueMs: 200,
};

/** Within one machine. */
const loopback: LinkConditions = { ...lanConditions, delay: { kind: "constant", ms: 0.03 } };

/** What a network is made of. */
export interface NetworkOptions {
  /** Whose time it runs in. */
  readonly scheduler: Scheduler;
  /** Each machine draws from a fork of it. */
  readonly random: Random;
  /** Conditions between any two machines unless set apart. Default {@linkcode lanConditions}. */
  readonly conditions?: Partial<LinkConditions>;
  /** Told what passes, one line each. Default: nobody, which also saves the formatting. */
  readonly trace?: (line: string) => void;
  /** Told of a handler that threw, which handlers must not. Default: it is thrown again. */
  readonly onHandlerError?: (who: string, error: unknown) => void;
}

/** Machines and what lies between them. */
export class Network {
  /** Whose time it runs in. */
  readonly scheduler: Scheduler;
  readonly #random: Random;
  readonly #machines = new Map<string, Machine>();
  readonly #byIp = new Map<string, Machine>();
  readonly #trace: ((line: string) => void) | undefined;
  readonly #onHandlerError: (who: string, error: unknown) => void;
  readonly #cuts = new Set<Cut>();
  #default: LinkConditions;

  /** An empty network. */
  constructor(options: NetworkOptions) {
    this.scheduler = options.scheduler;
    this.#random = options.random;
    this.#default = checked({ ...lanConditions, ...options.conditions });
    this.#trace = options.trace;
    this.#onHandlerError = options.onHandlerError ?? ((_who, error) => {
      throw error;
    });
  }

  /** The machine of that name, which is made if there is none. */
  machine(name: string): Machine {
    let machine = this.#machines.get(name);
    if (machine === undefined) {
      if (!/^[a-z0-9._-]{1,63}$/.test(name)) {
        throw new MycnetError(
          "address_invalid",
          `machine name ${JSON.stringify(name)} must match [a-z0-9._-]{1,63}`,
        );
      }
      const count = this.#machines.size + 1;
      const ip = `10.${count >> 16}.${count >> 8 & 255}.${count & 255}`;
      machine = new Machine(name, this.#random.fork(name), ip);
      this.#machines.set(name, machine);
      this.#byIp.set(ip, machine);
    }
    return machine;
  }

  /** The machine of that name, or with that IP address, if there is one. */
  find(host: string): Machine | undefined {
    return this.#machines.get(host) ?? this.#byIp.get(host);
  }

  /** Changes the conditions between all machines that have none of their own. */
  setDefault(conditions: Partial<LinkConditions>): void {
    this.#default = checked({ ...this.#default, ...conditions });
    this.note(`fault default ${JSON.stringify(conditions)}`);
  }

  /** Changes the conditions in one direction. */
  setConditions(from: string, to: string, conditions: Partial<LinkConditions>): void {
    const path = this.#path(this.machine(from), this.machine(to));
    path.conditions = checked({ ...(path.conditions ?? this.#default), ...conditions });
    this.note(`fault ${from}>${to} ${JSON.stringify(conditions)}`);
  }

  /**
   * Cuts the groups off from each other until the result is disposed or
   * everything is healed. Machines in no group reach all, so that partial
   * partitions are a matter of naming fewer machines.
   */
  partition(groups: readonly (readonly string[])[]): Disposable {
    const pairs: Path[] = [];
    for (const [i, group] of groups.entries()) {
      for (const [j, other] of groups.entries()) {
        if (i !== j) pairs.push(...this.#between(group, other));
      }
    }
    return this.#cut(pairs, groups.map((group) => group.join(",")).join(" | "));
  }

  /** Cuts one direction only: nothing from the first group reaches the second. */
  partitionOneWay(from: readonly string[], to: readonly string[]): Disposable {
    return this.#cut(this.#between(from, to), `${from.join(",")} > ${to.join(",")}`);
  }

  /** Ends every partition. Conditions stay. */
  heal(): void {
    for (const cut of [...this.#cuts]) cut[Symbol.dispose]();
  }

  /** Breaks every connection between two machines: what a firewall that forgets its state does. */
  reset(a: string, b: string): void {
    this.note(`fault reset ${a} ${b}`);
    for (const [near, far] of [[a, b], [b, a]] as const) {
      for (const end of [...this.machine(near).ends]) {
        if (parseAddress(end.remoteAddress).host === far) end.fail("reset by the network");
      }
    }
  }

  /** True if nothing passes in this direction now. */
  blocked(from: Machine, to: Machine): boolean {
    if (!from.up || !to.up) return true;
    if (this.#cuts.size === 0 || from === to) return false;
    return (from.paths.get(to)?.cuts ?? 0) > 0;
  }

  /** The conditions in this direction now. */
  conditions(from: Machine, to: Machine): LinkConditions {
    if (from === to) return loopback;
    return from.paths.get(to)?.conditions ?? this.#default;
  }

  /** Draws how long a packet is under way, without its wait for bandwidth. */
  transitMs(from: Machine, to: Machine): number {
    return sample(this.conditions(from, to).delay, from.random);
  }

  /** What a sender expects a round trip to take. */
  roundTripMs(from: Machine, to: Machine): number {
    return medianOf(this.conditions(from, to).delay) + medianOf(this.conditions(to, from).delay);
  }

  /** Draws whether one of `packets` packets is lost. */
  lost(from: Machine, to: Machine, packets: number = 1): boolean {
    const { loss } = this.conditions(from, to);
    return from.random.chance(packets === 1 ? loss : 1 - (1 - loss) ** packets);
  }

  /** How long `bytes` would wait for their turn under the bandwidth limit, in ms. */
  queueingMs(from: Machine, to: Machine): number {
    if (this.conditions(from, to).bytesPerSecond === Infinity) return 0;
    return Math.max(0, this.#path(from, to).freeAt - this.scheduler.now);
  }

  /** Takes a turn under the bandwidth limit: in how many ms the last of `bytes` has left. */
  departMs(from: Machine, to: Machine, bytes: number): number {
    const { bytesPerSecond } = this.conditions(from, to);
    if (bytesPerSecond === Infinity) return 0;
    const path = this.#path(from, to);
    const now = this.scheduler.now;
    path.freeAt = Math.max(now, path.freeAt) + bytes / bytesPerSecond * 1000;
    return path.freeAt - now;
  }

  /** Whether anybody reads {@linkcode Network.note}. */
  get traced(): boolean {
    return this.#trace !== undefined;
  }

  /** Writes a line to the trace. */
  note(line: string): void {
    this.#trace?.(`${this.scheduler.now.toFixed(3)} net ${line}`);
  }

  /** Runs a handler, which must not throw, and reports it if it does. */
  guard(who: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#onHandlerError(who, error);
    }
  }

  #path(from: Machine, to: Machine): Path {
    let path = from.paths.get(to);
    if (path === undefined) {
      path = { conditions: undefined, cuts: 0, freeAt: 0 };
      from.paths.set(to, path);
    }
    return path;
  }

  #between(from: readonly string[], to: readonly string[]): Path[] {
    return from.flatMap((a) => to.map((b) => this.#path(this.machine(a), this.machine(b))));
  }

  #cut(paths: readonly Path[], text: string): Disposable {
    this.note(`fault cut ${text}`);
    const cut = new Cut(paths, () => {
      this.#cuts.delete(cut);
      this.note(`fault healed ${text}`);
    });
    this.#cuts.add(cut);
    return cut;
  }
}

/** A partition. Several may cut one path; it opens when the last is healed. */
class Cut implements Disposable {
  readonly #paths: readonly Path[];
  readonly #healed: () => void;
  #ended = false;

  constructor(paths: readonly Path[], healed: () => void) {
    this.#paths = paths;
    this.#healed = healed;
    for (const path of paths) path.cuts++;
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const path of this.#paths) path.cuts--;
    this.#healed();
  }
}

function checked(conditions: LinkConditions): LinkConditions {
  for (const name of ["loss", "duplicate", "reorder"] as const) {
    const share = conditions[name];
    if (!(share >= 0 && share <= 1)) {
      throw new RangeError(`${name} must be from 0 to 1, not ${share}`);
    }
  }
  if (!(conditions.bytesPerSecond > 0)) {
    throw new RangeError(`bytesPerSecond must be above 0, not ${conditions.bytesPerSecond}`);
  }
  return conditions;
}

/** Splits `host:port`. @throws with code `address_invalid`. */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const split = address.lastIndexOf(":");
  const port = Number(address.slice(split + 1));
  if (split < 1 || !/^[0-9]{1,5}$/.test(address.slice(split + 1)) || port > 65535) {
    throw new MycnetError("address_invalid", `${JSON.stringify(address)} is not host:port`);
  }
  return { host: address.slice(0, split), port };
}

/**
 * Connecting: TCP's handshake as far as a dialler can tell.
 *
 * A request that meets a cut, a machine without power or a loss is repeated
 * after 1 s, 2 s, 4 s and so on (RFC 6298) until the time is over: `timeout`. A
 * machine that is up answers, one round trip later: with a connection, or, if
 * nothing listens or the backlog is full, with a refusal: `unreachable`.
 */
import { MycnetError } from "../kernel/errors.ts";
import type { Timer } from "../kernel/host.ts";
import type { Loop } from "./loop.ts";
import type { Machine, StreamFacts } from "./machine.ts";
import { type Network, parseAddress } from "./network.ts";
import { backlog, StreamEnd } from "./stream.ts";

const firstRetryMs = 1000;

/** Who dials whom. */
export interface DialOptions {
  readonly network: Network;
  readonly machine: Machine;
  readonly loop: Loop;
  readonly facts: StreamFacts;
  /** `host:port`. */
  readonly address: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Connects. Rejects with code `unreachable`, `timeout`, `aborted` or `address_invalid`. */
export function dial(options: DialOptions): Promise<StreamEnd> {
  return new Promise((resolve, reject) => new Attempt(options, resolve, reject).start());
}

class Attempt {
  readonly #options: DialOptions;
  readonly #resolve: (end: StreamEnd) => void;
  readonly #reject: (error: Error) => void;
  #timer: Timer | undefined;
  #next: Timer | undefined;
  #retryMs = firstRetryMs;
  #over = false;

  constructor(
    options: DialOptions,
    resolve: (end: StreamEnd) => void,
    reject: (error: Error) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { network, address, signal, timeoutMs } = this.#options;
    if (signal.aborted) return this.#aborted();
    signal.addEventListener("abort", this.#aborted, { once: true });
    this.#timer = network.scheduler.after(timeoutMs, () => {
      this.#fail("timeout", `${address} did not answer within ${timeoutMs} ms`);
    });
    const { host, port } = parseAddress(address); // Throws inside the promise: it rejects.
    const target = network.find(host);
    if (target === undefined) {
      this.#next = network.scheduler.after(0, () => {
        this.#fail("unreachable", `${address}: no machine is called ${host}`);
      });
    } else {
      this.#request(target, port);
    }
  }

  readonly #aborted = (): void => {
    this.#fail("aborted", `dialling ${this.#options.address} was aborted`);
  };

  #request(target: Machine, port: number): void {
    const { network, machine } = this.#options;
    const lost = network.blocked(machine, target) || network.lost(machine, target);
    if (lost) return this.#again(target, port);
    const transit = network.transitMs(machine, target);
    this.#next = network.scheduler.after(transit, () => this.#answer(target, port));
  }

  /** The request is at the target. */
  #answer(target: Machine, port: number): void {
    const { network, machine } = this.#options;
    if (network.blocked(machine, target)) return this.#again(target, port);
    if (network.blocked(target, machine) || network.lost(target, machine)) {
      return this.#again(target, port);
    }
    const transit = network.transitMs(target, machine);
    this.#next = network.scheduler.after(transit, () => this.#establish(target, port));
  }

  /** The answer is back. */
  #establish(target: Machine, port: number): void {
    const { network, machine, loop, facts, address } = this.#options;
    const listener = target.up ? target.listeners.get(port) : undefined;
    if (listener === undefined || !listener.loop.alive) {
      return this.#fail("unreachable", `nothing listens at ${address}`);
    }
    if (listener.facts.scheme !== facts.scheme) {
      const { scheme } = listener.facts;
      return this.#fail("unreachable", `${address} speaks ${scheme}, not ${facts.scheme}`);
    }
    const localAddress = `${machine.name}:${machine.freePort()}`;
    const openAt = network.scheduler.now + network.transitMs(machine, target);
    const near = { network, machine, loop, facts, localAddress, remoteAddress: address };
    const far = {
      network,
      machine: target,
      loop: listener.loop,
      facts: listener.facts,
      localAddress: address,
      remoteAddress: localAddress,
    };
    const [mine, theirs] = StreamEnd.pair(near, far, openAt);
    network.scheduler.at(openAt, () => {
      if (theirs.gone) return;
      if (target.listeners.get(port) !== listener || listener.arriving >= backlog) {
        return theirs.reset();
      }
      listener.arriving++;
      listener.loop.enter(() => {
        listener.arriving--;
        if (!theirs.gone && !listener.accept(theirs)) theirs.reset();
      });
    });
    this.#end();
    network.note(`${localAddress}>${address} connected`);
    loop.enter(() => this.#resolve(mine));
  }

  #again(target: Machine, port: number): void {
    this.#next = this.#options.network.scheduler.after(
      this.#retryMs,
      () => this.#request(target, port),
    );
    this.#retryMs *= 2;
  }

  #fail(code: "timeout" | "unreachable" | "aborted", message: string): void {
    if (this.#over) return;
    this.#end();
    this.#options.loop.enter(() => this.#reject(new MycnetError(code, message)));
  }

  #end(): void {
    this.#over = true;
    this.#timer?.[Symbol.dispose]();
    this.#next?.[Symbol.dispose]();
    this.#options.signal.removeEventListener("abort", this.#aborted);
  }
}

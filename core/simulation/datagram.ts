/**
 * Simulated datagram sockets: best effort, like UDP.
 *
 * A datagram is lost, doubled, held back or overtaken as the conditions say.
 * A process that is paused misses what its socket's buffer does not hold. The
 * bytes that a handler sees are overwritten when it returns, so that code which
 * keeps the view instead of a copy is found out.
 */
import { crc32 } from "node:zlib";
import { MycnetError } from "../kernel/errors.ts";
import type { Loop } from "./loop.ts";
import type { DatagramTarget, Machine } from "./machine.ts";
import { type Network, parseAddress } from "./network.ts";

/** Fits into one Ethernet frame, with room for headers: what memberlist also keeps to. */
export const maxDatagramBytes = 1400;
/** How many datagrams a socket holds for a process that is paused or slow. */
export const socketBuffer = 256;

/** Resolved addresses are remembered, up to so many. */
const maxAddresses = 65_536;

/** A bound socket. Disposing it unbinds it. */
export class DatagramSocket implements DatagramTarget, Disposable {
  readonly #network: Network;
  readonly #machine: Machine;
  readonly #port: number;
  readonly #loop: Loop;
  readonly #receive: (bytes: Uint8Array, from: string) => void;
  readonly #targets = new Map<string, { machine: Machine; port: number }>();
  #held = 0;
  /** `host:port`, as others send to it. */
  readonly address: string;

  /**
   * Binds.
   * @param port 0 for any free one.
   * @param receive runs for each datagram that arrives; the bytes are valid during the call only.
   * @param host what others see it come from: the machine's name, or its IP address.
   * @throws with code `address_in_use`.
   */
  constructor(
    network: Network,
    machine: Machine,
    port: number,
    loop: Loop,
    receive: (bytes: Uint8Array, from: string) => void,
    host: string = machine.name,
  ) {
    this.#network = network;
    this.#machine = machine;
    this.#port = port === 0 ? machine.freePort() : port;
    this.#loop = loop;
    this.#receive = receive;
    this.address = `${host}:${this.#port}`;
    if (machine.sockets.has(this.#port)) {
      throw new MycnetError("address_in_use", `a datagram socket is bound to ${this.address}`);
    }
    machine.sockets.set(this.#port, this);
  }

  /**
   * Sends; the bytes may be reused at once. False if it was dropped before it left.
   * @throws with code `too_large`, or `address_invalid`.
   */
  send(to: string, bytes: Uint8Array): boolean {
    if (bytes.length > maxDatagramBytes) {
      throw new MycnetError(
        "too_large",
        `a datagram of ${bytes.length} bytes exceeds the ${maxDatagramBytes} that fit`,
      );
    }
    if (!this.#loop.alive || this.#machine.sockets.get(this.#port) !== this) return false;
    const target = this.#resolve(to);
    if (target === undefined) return false;
    const network = this.#network;
    const from = this.#machine;
    const { machine } = target;
    const conditions = network.conditions(from, machine);
    if (network.queueingMs(from, machine) > conditions.queueMs) {
      this.#note(to, "overflow", bytes);
      return false;
    }
    const departMs = network.departMs(from, machine, bytes.length);
    if (network.blocked(from, machine) || network.lost(from, machine)) {
      this.#note(to, "lost", bytes);
      return true;
    }
    this.#note(to, "sent", bytes);
    const copies = from.random.chance(conditions.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      let transitMs = departMs + network.transitMs(from, machine);
      if (from.random.chance(conditions.reorder)) {
        transitMs += from.random.float() * conditions.reorderMs;
      }
      const packet = { network, source: this.address, from, target, bytes: bytes.slice() };
      network.scheduler.after(transitMs, deliver, packet);
    }
    return true;
  }

  /** Unbinds. What is under way to it is lost. */
  [Symbol.dispose](): void {
    const { sockets } = this.#machine;
    if (sockets.get(this.#port) === this) sockets.delete(this.#port);
  }

  /** A datagram has come this far. */
  arrive(bytes: Uint8Array, from: string): void {
    if (this.#held >= socketBuffer) return this.#note(this.address, "no room", bytes);
    this.#held++;
    this.#loop.enter(() => {
      this.#held--;
      if (this.#machine.sockets.get(this.#port) !== this) return;
      if (this.#network.traced) this.#network.note(`${from}>${this.address} datagram received`);
      this.#network.guard(this.#loop.label, () => this.#receive(bytes, from));
      bytes.fill(0xdb);
    });
  }

  #resolve(to: string): { machine: Machine; port: number } | undefined {
    const known = this.#targets.get(to);
    if (known !== undefined) return known;
    const { host, port } = parseAddress(to);
    const machine = this.#network.find(host);
    if (machine === undefined) return undefined;
    if (this.#targets.size >= maxAddresses) this.#targets.clear();
    const target = { machine, port };
    this.#targets.set(to, target);
    return target;
  }

  #note(to: string, what: string, bytes: Uint8Array): void {
    if (!this.#network.traced) return;
    this.#network.note(
      `${this.address}>${to} datagram ${what} ${bytes.length} ${crc32(bytes).toString(16)}`,
    );
  }
}

interface Packet {
  readonly network: Network;
  readonly source: string;
  readonly from: Machine;
  readonly target: { readonly machine: Machine; readonly port: number };
  readonly bytes: Uint8Array;
}

function deliver({ network, source, from, target, bytes }: Packet): void {
  if (network.blocked(from, target.machine)) return;
  target.machine.sockets.get(target.port)?.arrive(bytes, source);
}

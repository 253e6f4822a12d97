/**
 * Dialling: from addresses to a link that is up.
 *
 * Whoever wants the same address at the same time shares one attempt, whatever
 * made them want it. An attempt runs to its end even if nobody waits any longer:
 * it is short, and a link that nobody uses is closed when idle. An address that
 * turned out to be this node's own is left alone for a while.
 */
import type { Connection, Transport } from "../../contracts/transport.ts";
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import type { LinkCloseReason } from "@mycnet/protocols/link";
import type { Link } from "../links/mod.ts";
import { parseAddress, transportsFor } from "./address.ts";
import type { AddressBook } from "./book.ts";
import { ErrorCounts } from "./error_counts.ts";
import { isPermanent, type RefusalLog, refusalOf, RefusedError } from "./refusals.ts";

/** How long this node's own address is not dialled again, in ms. */
const selfForMs = 600_000;
/** Own addresses remembered. */
const maxSelf = 1000;
/** The least time an address gets, in ms, when a node has many. */
const minAddressMs = 500;

/** What the dialler works with. */
export interface DiallerSetup {
  readonly host: Host;
  readonly book: AddressBook;
  readonly refusals: RefusalLog;
  /** For one address: connecting, and again for the handshake (the link's own bound), in ms. */
  readonly timeoutMs: number;
  /** Aborts when the node stops. */
  readonly signal: AbortSignal;
  transports(): Iterable<Transport>;
  /** Takes a connection over as a link. */
  start(
    connect: () => Promise<Connection>,
    expected: string | undefined,
    slot: number,
  ): Promise<Link>;
}

/** Somebody who waits for the end of a handshake; undefined means that it is up. */
type Settle = (reason: LinkCloseReason | undefined) => void;

/** Dials addresses. */
export class Dialler {
  readonly #setup: DiallerSetup;
  readonly #attempts = new Map<string, Promise<Link>>();
  readonly #handshakes = new Map<Link, Settle>();
  readonly #selfUntilMs = new Map<string, number>();
  /** Dials that failed, by why. */
  readonly errors: ErrorCounts = new ErrorCounts();

  /** Dials nothing by itself. */
  constructor(setup: DiallerSetup) {
    this.#setup = setup;
  }

  /** Attempts that came to nothing. */
  get failures(): number {
    return this.errors.total;
  }

  /** True for an address at which this node listens, or found itself lately. */
  isSelf(address: string): boolean {
    for (const { addresses } of this.#setup.transports()) {
      if (addresses.includes(address)) return true;
    }
    const until = this.#selfUntilMs.get(address);
    return until !== undefined && this.#setup.host.now() < until;
  }

  /**
   * Tries each address once, in order, until a link is up.
   * @param id whom to expect there, where that is known.
   * @param slot which of the links to it this is. Default 0, the first.
   * @throws {MycnetError} the error of the last address, or the first refusal that another try will not change.
   */
  async round(addresses: readonly string[], id: string | undefined, slot = 0): Promise<Link> {
    let failure: unknown;
    const timeoutMs = Math.max(
      Math.min(minAddressMs, this.#setup.timeoutMs),
      this.#setup.timeoutMs / Math.max(1, addresses.length),
    );
    for (const address of addresses) {
      try {
        return await this.dial(address, id, timeoutMs, slot);
      } catch (error) {
        const refusal = refusalOf(error);
        // Why a node said no is worth more than that another address of it is silent.
        if (refusal !== undefined || refusalOf(failure) === undefined) failure = error;
        if (refusal !== undefined && refusal !== "wrong_node" && isPermanent(refusal)) break;
        if (codeOf(error) === "closed" || codeOf(error) === "overloaded") break;
      }
    }
    throw failure ?? new MycnetError("unreachable", "no address of it is known");
  }

  /**
   * Dials one address, or joins whoever does so already.
   * @throws {MycnetError} `unreachable`, `timeout`, `refused`, `overloaded`, `closed` or `address_invalid`.
   */
  async dial(
    address: string,
    id?: string,
    timeoutMs: number = this.#setup.timeoutMs,
    slot = 0,
  ): Promise<Link> {
    if (this.isSelf(address)) {
      throw new RefusedError("self", `${address} is this node itself`, "us");
    }
    const key = slot === 0 ? address : `${address} ${slot}`;
    let attempt = this.#attempts.get(key);
    if (attempt === undefined) {
      attempt = this.#attempt(address, id, timeoutMs, slot);
      this.#attempts.set(key, attempt);
      const done = () => void this.#attempts.delete(key);
      attempt.then(done, done);
    }
    const link = await attempt;
    if (id !== undefined && link.peer.id !== id) {
      throw new RefusedError(
        "wrong_node",
        `node "${link.peer.id}" answers at ${address}, not "${id}"`,
        "us",
      );
    }
    return link;
  }

  /** Resolves when the attempts under way have ended, however they do. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#attempts.values());
  }

  /** A dialled link is up. */
  up(link: Link): void {
    this.#handshakes.get(link)?.(undefined);
  }

  /** A dialled link ended before it was up. */
  down(link: Link, reason: LinkCloseReason): void {
    this.#handshakes.get(link)?.(reason);
  }

  async #attempt(
    address: string,
    id: string | undefined,
    timeoutMs: number,
    slot: number,
  ): Promise<Link> {
    try {
      const link = await this.#connect(address, id, timeoutMs, slot);
      this.#setup.book.answered(address, link.peer.id);
      this.#setup.refusals.forget(address);
      return link;
    } catch (error) {
      this.errors.count(codeOf(error) ?? "internal");
      if (error instanceof RefusedError) {
        const { refusal: code, message, by } = error;
        if (code === "self") this.#rememberSelf(address);
        this.#setup.refusals.tell({ address, direction: "dialled", code, message, by });
      }
      throw error;
    }
  }

  async #connect(
    address: string,
    id: string | undefined,
    timeoutMs: number,
    slot: number,
  ): Promise<Link> {
    const { signal, transports, start } = this.#setup;
    const parsed = parseAddress(address);
    const [transport] = transportsFor(parsed, transports());
    if (transport === undefined) {
      throw new MycnetError(
        "unreachable",
        parsed.scheme === undefined
          ? `no transport is running to dial ${address} with`
          : `no "${parsed.scheme}" transport is running to dial ${address} with`,
      );
    }
    const connect = () => transport.dial(parsed.target, { signal, timeoutMs });
    const link = await start(connect, id, slot);
    if (link.upAtMs === undefined) await this.#handshake(link, address);
    return link;
  }

  #handshake(link: Link, address: string): Promise<void> {
    if (link.ended !== undefined) return Promise.reject(errorOf(link.ended, address));
    return new Promise((resolve, reject) => {
      this.#handshakes.set(link, (reason) => {
        this.#handshakes.delete(link);
        if (reason === undefined) resolve();
        else reject(errorOf(reason, address));
      });
    });
  }

  #rememberSelf(address: string): void {
    this.#selfUntilMs.delete(address);
    this.#selfUntilMs.set(address, this.#setup.host.now() + selfForMs);
    if (this.#selfUntilMs.size > maxSelf) {
      this.#selfUntilMs.delete(this.#selfUntilMs.keys().next().value!);
    }
  }
}

function errorOf(reason: LinkCloseReason, address: string): MycnetError {
  switch (reason.kind) {
    case "refused":
      return new RefusedError(
        reason.code,
        reason.by === "us"
          ? `the node at ${address} was refused: ${reason.message}`
          : `the node at ${address} refused the link: ${reason.message}`,
        reason.by,
      );
    case "timeout":
      return new MycnetError("timeout", `the handshake with ${address} took too long`);
    default:
      return new MycnetError("unreachable", `the link to ${address} broke: ${reason.message}`);
  }
}

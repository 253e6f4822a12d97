/**
 * Exchanges: the requests and streams of a link, by stream number.
 *
 * The machine speaks in stream numbers, its users in objects, which it carries for
 * them. An exchange is
 * over after exactly one of: response, failure, reset, the link's end; from
 * then on its methods do nothing, so that neither side needs to look before it
 * speaks. What a user's callback throws is the link's to log and to answer with
 * a reset: it never reaches the machine.
 */
import type {
  ExchangeHandlers,
  IncomingExchange,
  IncomingHandlers,
  PeerLink,
} from "../../contracts/peers.ts";
import { type MessageFields, noFields } from "@mycnet/protocols/frame";
import type { ResetCode } from "@mycnet/protocols/link";
import { copyOf } from "../slab.ts";

/** What an exchange asks of its link. */
export interface ExchangeOwner {
  /** The link, as handlers see it. */
  readonly link: PeerLink;
  /** Sends an item; false when out of credit or full. */
  item(stream: number, body: Uint8Array, given: boolean): boolean;
  /** Ends this side's items. */
  end(stream: number): void;
  /** Gives credit back. */
  grant(stream: number, bytes: number): void;
  /** Gives more credit than the window. */
  widen(stream: number, bytes: number): void;
  /** Answers; false when the link is full. */
  respond(stream: number, fields: MessageFields, body: Uint8Array): boolean;
  /** Fails. */
  fail(stream: number, fields: MessageFields, body: Uint8Array): void;
  /** Gives up. */
  reset(stream: number, code: ResetCode, message: string): void;
}

/** One exchange, opened by either side. */
export class LinkExchange implements IncomingExchange {
  /** Its number within the link. */
  stream: number;
  /** What answers to it. */
  handlers: ExchangeHandlers | IncomingHandlers | undefined;
  /** Its frame type, where this side opened it. */
  readonly type: number;
  /** Monotonic time in ms of the turn in which this side asked for one answer; -1 where the wait for it means nothing. */
  askedMs: number;
  /** True once it is over. */
  over = false;
  readonly #owner: ExchangeOwner;

  /** Made by the link alone. */
  constructor(owner: ExchangeOwner, stream: number, type = 0, askedMs = -1) {
    this.#owner = owner;
    this.stream = stream;
    this.type = type;
    this.askedMs = askedMs;
  }

  get link(): PeerLink {
    return this.#owner.link;
  }

  item(body: Uint8Array, given = false): boolean {
    return !this.over && this.#owner.item(this.stream, body, given);
  }

  end(): void {
    if (!this.over) this.#owner.end(this.stream);
  }

  grant(bytes: number): void {
    if (!this.over) this.#owner.grant(this.stream, bytes);
  }

  widen(bytes: number): void {
    if (!this.over) this.#owner.widen(this.stream, bytes);
  }

  reset(code: ResetCode, message = ""): void {
    if (this.over) return;
    this.over = true;
    this.#owner.reset(this.stream, code, message);
  }

  respond(body: Uint8Array, fields: MessageFields = noFields): boolean {
    if (this.over) return true;
    this.over = true;
    return this.#owner.respond(this.stream, fields, body);
  }

  fail(body: Uint8Array, fields: MessageFields = noFields): void {
    if (this.over) return;
    this.over = true;
    this.#owner.fail(this.stream, fields, body);
  }
}

/**
 * A body that the machine may refer to for as long as it likes: one of `referencedBytes` and
 * more is copied, unless it was given away. Smaller ones the machine copies itself, at once.
 */
export function kept(body: Uint8Array, given: boolean, referencedBytes: number): Uint8Array {
  return given || body.length < referencedBytes ? body : copyOf(body);
}

/**
 * Exchanges: the requests and streams of a link, by stream number.
 *
 * The machine speaks in stream numbers, its users in objects. An exchange is
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

/** What an exchange asks of its link. */
export interface ExchangeOwner {
  /** The link, as handlers see it. */
  readonly link: PeerLink;
  /** Sends an item; false when out of credit or full. */
  item(stream: number, body: Uint8Array): boolean;
  /** Ends this side's items. */
  end(stream: number): void;
  /** Gives credit back. */
  grant(stream: number, bytes: number): void;
  /** Answers; false when the link is full. */
  respond(stream: number, fields: MessageFields, body: Uint8Array): boolean;
  /** Fails. */
  fail(stream: number, fields: MessageFields, body: Uint8Array): void;
  /** Gives up. */
  reset(stream: number, code: ResetCode, message: string): void;
}

/** In place of a count of buffers taken: the peer opened it, so its bytes have certainly travelled. */
export const openedByPeer = -1;

/** One exchange, opened by either side. */
export class LinkExchange implements IncomingExchange {
  /** Its number within the link. */
  readonly stream: number;
  /** What answers to it. */
  handlers: ExchangeHandlers | IncomingHandlers | undefined;
  /** How many buffers the writer had taken when it was opened, or {@linkcode openedByPeer}. */
  readonly queuedAt: number;
  /** True once it is over. */
  over = false;
  readonly #owner: ExchangeOwner;

  /** Made by the link alone. */
  constructor(owner: ExchangeOwner, stream: number, queuedAt: number) {
    this.#owner = owner;
    this.stream = stream;
    this.queuedAt = queuedAt;
  }

  get link(): PeerLink {
    return this.#owner.link;
  }

  item(body: Uint8Array): boolean {
    return !this.over && this.#owner.item(this.stream, body);
  }

  end(): void {
    if (!this.over) this.#owner.end(this.stream);
  }

  grant(bytes: number): void {
    if (!this.over) this.#owner.grant(this.stream, bytes);
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

/**
 * The guaranteed messages of one sender and one priority, on their way to a handler.
 *
 * They are handled one after the other: the next handler is called when the one before
 * is done, which is what lets one number say how far things are. The number is written
 * in the transaction of the turn (store.ts), with what handlers wrote by
 * `context.transaction`, and acknowledged once it is on disk. So whoever is killed when,
 * a message is either handled and noted or neither, as far as the transaction reaches;
 * without one it may have been handled and not noted, and comes again as redelivered.
 *
 * A message whose handler fails, or that nobody handles yet, is handled again after a
 * wait that doubles; those behind it wait, for order was promised. What is taken and
 * not handled is bounded by messages and bytes for each lane and for all; beyond, it is
 * not taken, and comes again.
 */
import type { SqlDatabase } from "../../contracts/databases.ts";
import type { ArrivedMessage, Taken } from "../../contracts/delivery.ts";
import type { PeerLink } from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host, Timer } from "../../kernel/host.ts";
import { ReceiveLane } from "@mycnet/protocols/delivery";
import { type MessageFields, messageTypeName } from "@mycnet/protocols/frame";
import type { NodeDescription } from "@mycnet/protocols/identity";
import { copyOf } from "../slab.ts";
import type { DeliveryConfig } from "./config.ts";
import type { Counters } from "./counters.ts";
import type { DeliveryStore } from "./store.ts";

/** Taken and not handled: by one lane, and by all together. */
const maxLaneMessages = 2048;
const maxLaneBytes = 8 * 1024 * 1024;
const maxAllMessages = 65_536;
const maxAllBytes = 64 * 1024 * 1024;
/** The first wait before a message is handled again, in ms. */
const firstRetryMs = 100;

/** What all lanes hold together. */
export class Held {
  messages = 0;
  bytes = 0;
}

/** What a lane works with. */
export interface GuaranteedSetup {
  readonly host: Host;
  readonly config: DeliveryConfig;
  readonly counters: Counters;
  readonly store: DeliveryStore;
  readonly held: Held;
  readonly sender: string;
  /** The number of the priority. */
  readonly index: number;
  readonly epoch: bigint;
  /** The sequence to handle first. */
  readonly first: number;
  receive(message: ArrivedMessage): Taken;
  /** Something is to be acknowledged on a link. */
  acknowledge(link: PeerLink): void;
  /** All is handled, and there is no link to say so on. */
  idle(): void;
}

/** A message that was taken. */
interface Waiting {
  readonly from: NodeDescription;
  readonly type: number;
  readonly fields: MessageFields;
  readonly body: Uint8Array;
  /** How often it was handled in vain. */
  failures: number;
}

/** One attempt at a message. */
class Attempt implements ArrivedMessage {
  readonly level = "guaranteed";
  over = false;
  /** Its transaction went through: it is handled, whatever its handler says later. */
  noted = false;
  readonly from: NodeDescription;
  readonly type: number;
  readonly fields: MessageFields;
  readonly body: Uint8Array;
  readonly redelivered: boolean;

  constructor(
    waiting: Waiting,
    readonly transaction: <T>(work: (database: SqlDatabase) => T) => T,
  ) {
    this.from = waiting.from;
    this.type = waiting.type;
    this.fields = waiting.fields;
    this.body = waiting.body;
    this.redelivered = waiting.fields.redelivered === true || waiting.failures > 0;
  }
}

/** See the head of this file. */
export class GuaranteedLane {
  readonly epoch: bigint;
  readonly lane: ReceiveLane;
  closed = false;
  readonly #setup: GuaranteedSetup;
  #queue: (Waiting | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #attempt: Attempt | undefined;
  #running = false;
  #retry: Timer | undefined;
  #link: PeerLink | undefined;
  /** Everything below is handled: what the transaction of this turn will say. */
  #handled: number;
  #committing = false;
  readonly #note = () => {
    const { store, sender, index } = this.#setup;
    store.setHandled(sender, index, this.epoch, this.#handled);
  };

  /** @param generation the latest start of the sender that was heard. */
  constructor(setup: GuaranteedSetup, public generation: number) {
    this.#setup = setup;
    this.epoch = setup.epoch;
    this.lane = new ReceiveLane(setup.first);
    this.#handled = setup.first;
  }

  /** True while there is nothing to handle. */
  get idle(): boolean {
    return this.#size === 0 && !this.#committing;
  }

  get #size(): number {
    return this.#queue.length - this.#head;
  }

  /** The sender says that it sends over this link from now on, and where it begins. */
  announced(link: PeerLink, base: number): void {
    this.#link = link;
    if (base <= this.lane.expected) return;
    // It knows of more than we do: what we remembered is lost.
    this.#clear();
    this.lane.announced(base);
    this.#handled = base;
  }

  /** A link is gone. */
  linkDown(link: PeerLink): void {
    if (link === this.#link) this.#link = undefined;
  }

  /** Takes the next message in. False: there is no room. */
  take(from: NodeDescription, type: number, fields: MessageFields, body: Uint8Array): boolean {
    const { held } = this.#setup;
    const fits = this.#size === 0 ||
      this.#size < maxLaneMessages && this.#bytes + body.length <= maxLaneBytes;
    if (!fits || held.messages >= maxAllMessages || held.bytes + body.length > maxAllBytes) {
      return false;
    }
    this.lane.take();
    this.#bytes += body.length;
    held.messages++;
    held.bytes += body.length;
    this.#queue.push({ from, type, fields, body: copyOf(body), failures: 0 });
    this.#run();
    return true;
  }

  /** Handles now what was put off. */
  retry(): void {
    if (this.#retry === undefined) return;
    this.#retry[Symbol.dispose]();
    this.#retry = undefined;
    this.#run();
  }

  /** Handles no more. What was handled in this turn is still noted. */
  close(): void {
    this.closed = true;
    this.#clear();
    this.#link = undefined;
  }

  /** Handles what waits, until one takes its time or fails. */
  #run(): void {
    if (this.#running || this.#attempt !== undefined) return;
    this.#running = true;
    while (this.#size > 0 && this.#retry === undefined) {
      const waiting = this.#queue[this.#head]!;
      const attempt: Attempt = new Attempt(waiting, (work) => this.#transaction(attempt, work));
      this.#attempt = attempt;
      const taken = this.#setup.receive(attempt);
      if (taken instanceof Promise) {
        taken.then(
          () => this.#ended(attempt, waiting),
          (error) => this.#ended(attempt, waiting, error ?? "nothing"),
        );
        break;
      }
      // Its transaction may have failed, and everything been dropped.
      if (this.#attempt !== attempt) continue;
      this.#attempt = undefined;
      if (taken === "taken") this.#done(attempt);
      else this.#putOff(waiting, attempt, taken);
    }
    this.#running = false;
  }

  #ended(attempt: Attempt, waiting: Waiting, error?: unknown): void {
    if (this.#attempt !== attempt) return;
    this.#attempt = undefined;
    if (error === undefined || attempt.noted) this.#done(attempt);
    else {
      this.#setup.counters.failures++;
      this.#putOff(waiting, attempt, error);
    }
    this.#run();
  }

  /** The first message is handled. */
  #done(attempt: Attempt): void {
    attempt.over = true;
    const { held } = this.#setup;
    const { body } = this.#queue[this.#head]!;
    this.#queue[this.#head++] = undefined;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head === maxLaneMessages) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.#bytes -= body.length;
    held.messages--;
    held.bytes -= body.length;
    if (!attempt.noted) this.#handledOne();
  }

  #putOff(waiting: Waiting, attempt: Attempt, why: unknown): void {
    attempt.over = true;
    const { host, config, sender } = this.#setup;
    const waitMs = Math.min(config.maxBackoff, firstRetryMs * 2 ** Math.min(waiting.failures, 30));
    if (waiting.failures++ === 0) {
      host.log.warn("A guaranteed message is not handled yet; it and those behind it wait", {
        name: messageTypeName(waiting.type, waiting.fields.route),
        from: sender,
        error: why === "unhandled"
          ? "nothing handles its name"
          : why === "busy"
          ? "too many messages are being handled"
          : why instanceof Error
          ? why.stack ?? why.message
          : String(why),
      });
    }
    this.#retry = host.after(waitMs, () => {
      this.#retry = undefined;
      this.#run();
    });
  }

  #transaction<T>(attempt: Attempt, work: (database: SqlDatabase) => T): T {
    if (attempt.over || this.closed) {
      throw new MycnetError("closed", "the message is over: it has been handled or given up");
    }
    if (attempt.noted) {
      throw new MycnetError("invalid_argument", "a message has one transaction; it had it already");
    }
    const result = this.#setup.store.transaction(work);
    attempt.noted = true;
    this.#handledOne();
    return result;
  }

  #handledOne(): void {
    this.#handled++;
    if (this.#committing) return;
    this.#committing = true;
    const { store } = this.#setup;
    const from = this.#handled - 1;
    try {
      store.beforeCommit(this.#note, (error) => this.#committed(from, error));
    } catch (error) {
      this.#committed(from, error as MycnetError);
    }
  }

  #committed(from: number, error: MycnetError | undefined): void {
    this.#committing = false;
    if (error === undefined) {
      while (this.lane.done < this.#handled) this.lane.finish();
      if (this.#link !== undefined) this.#setup.acknowledge(this.#link);
      else if (this.idle) this.#setup.idle();
      return;
    }
    // None of it happened: all that was taken comes again.
    this.#clear();
    this.#handled = from;
    this.lane.forget();
  }

  /** Drops what was taken. */
  #clear(): void {
    const { held } = this.#setup;
    held.messages -= this.#size;
    held.bytes -= this.#bytes;
    this.#queue = [];
    this.#head = this.#bytes = 0;
    if (this.#attempt !== undefined) this.#attempt.over = true;
    this.#attempt = undefined;
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
  }
}

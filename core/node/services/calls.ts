/** The two shapes of a call at the caller: a promise of one answer, and items to iterate over. */
import type { CallParts, CallPlan } from "./attempts.ts";
import type { CallError } from "./errors.ts";
import { Inbox } from "./inbox.ts";
import { OutgoingCall } from "./outgoing_call.ts";
import { decodeBody } from "./wire.ts";

/** A call with one answer. */
export class UnaryCall extends OutgoingCall {
  /** The answer. */
  readonly result: Promise<unknown>;
  #resolve!: (value: unknown) => void;
  #reject!: (error: CallError) => void;

  /** Starts at once. */
  constructor(parts: CallParts, plan: CallPlan) {
    super(parts, plan);
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.begin();
  }

  protected override answered(body: Uint8Array): void {
    let value: unknown;
    try {
      value = decodeBody(body);
    } catch {
      return this.#reject(this.unreadable());
    }
    this.#resolve(value);
  }

  protected override failed(error: CallError): void {
    this.#reject(error);
  }
}

/** A call that is answered by items. It starts when the first is asked for. */
export class StreamCall extends OutgoingCall {
  /** The items. */
  readonly items: Inbox<unknown>;

  /** Does not start yet. */
  constructor(parts: CallParts, plan: CallPlan) {
    super(parts, plan);
    this.items = new Inbox({
      begin: () => this.begin(),
      consumed: (bytes) => this.exchange?.grant(bytes),
      abandoned: () => this.abandon(),
    });
  }

  override item(body: Uint8Array): void {
    if (this.over) return;
    this.flowing();
    try {
      this.items.push(decodeBody(body), body.length);
    } catch {
      this.fail("internal", "an item could not be read");
    }
  }

  protected override answered(): void {
    this.items.end();
  }

  protected override failed(error: CallError): void {
    this.items.fail(error);
  }
}

/** The asking side of a request: from an exchange to a promise. */
import type { Exchange, ExchangeHandlers } from "../../contracts/peers.ts";
import type { Span } from "../../contracts/tracing.ts";
import { type ErrorCode, errorCodes, MycnetError } from "../../kernel/errors.ts";
import { decode, encode } from "@mycnet/protocols/codec";
import type { MessageFields } from "@mycnet/protocols/frame";
import type { ResetCode } from "@mycnet/protocols/link";
import type { Deadline } from "../deadlines.ts";
import { ownOf } from "../slab.ts";

/** The longest failure message that is passed on, in characters. */
const maxMessage = 1000;

/** A request under way; settles its promise exactly once. */
export class PendingRequest implements ExchangeHandlers {
  /** What was asked of whom, for errors; put into words only when one happens. */
  readonly #name: string;
  readonly #node: string;
  readonly #resolve: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly #reject: (error: unknown) => void;
  readonly #failed: () => void;
  readonly #span: Span | undefined;
  #signal: AbortSignal | undefined;
  #deadline: Deadline | undefined;
  #exchange: Exchange | undefined;
  #settled = false;
  #aborted: (() => void) | undefined;

  /**
   * @param failed runs once when it comes to nothing, before `reject`.
   * @param span ends with it.
   */
  constructor(
    name: string,
    node: string,
    resolve: (bytes: Uint8Array<ArrayBuffer>) => void,
    reject: (error: unknown) => void,
    failed: () => void,
    span?: Span,
  ) {
    this.#name = name;
    this.#node = node;
    this.#failed = failed;
    this.#span = span;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get #what(): string {
    return `"${this.#name}" to node "${this.#node}"`;
  }

  /** The exchange is open: from now on the deadline and the signal end it. */
  opened(exchange: Exchange, deadline: Deadline, signal: AbortSignal | undefined): void {
    this.#exchange = exchange;
    this.#deadline = deadline;
    if (signal === undefined) return;
    this.#signal = signal;
    this.#aborted = () => {
      const message = `${this.#what} was aborted`;
      this.#giveUp("cancelled", new MycnetError("aborted", message, { cause: signal.reason }));
    };
    signal.addEventListener("abort", this.#aborted, { once: true });
  }

  /** The deadline passed. */
  expire(): void {
    this.#giveUp(
      "deadline_exceeded",
      new MycnetError("deadline_exceeded", `${this.#what} was not answered in time`),
    );
  }

  item(): void {}
  end(): void {}
  writable(): void {}

  response(_fields: MessageFields, body: Uint8Array): void {
    if (!this.#settle()) return;
    this.#span?.end();
    this.#resolve(ownOf(body));
  }

  failure(_fields: MessageFields, body: Uint8Array): void {
    if (this.#settle()) this.#fail(decodeFailure(body, this.#what));
  }

  closed(
    { code, message }: { readonly code: ResetCode | "link_lost"; readonly message: string },
  ): void {
    if (!this.#settle()) return;
    const because = message === "" ? code : message;
    this.#fail(new MycnetError(errorOfReset(code), `${this.#what} failed: ${because}`));
  }

  #giveUp(code: ResetCode, error: MycnetError): void {
    if (!this.#settle()) return;
    this.#exchange?.reset(code);
    this.#fail(error);
  }

  #fail(error: MycnetError): void {
    this.#failed();
    this.#span?.end(error);
    this.#reject(error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#deadline?.cancel();
    if (this.#aborted !== undefined) this.#signal?.removeEventListener("abort", this.#aborted);
    return true;
  }
}

/** The error code that a reset means to whoever asked. */
function errorOfReset(code: ResetCode | "link_lost"): ErrorCode {
  switch (code) {
    case "shutting_down":
      return "unavailable";
    case "protocol":
      return "internal";
    default:
      return Object.hasOwn(errorCodes, code) ? code as ErrorCode : "internal";
  }
}

/** A failure as it travels. */
export function encodeFailure(code: ErrorCode, message: string): Uint8Array<ArrayBuffer> {
  return encode({ code, message: message.slice(0, maxMessage) });
}

/** Reads a failure. What the other side says is bounded and never throws; an unknown code reads as `internal`. */
function decodeFailure(body: Uint8Array, what: string): MycnetError {
  let code: ErrorCode = "internal";
  let message = "the failure could not be read";
  try {
    const value = decode(body) as { code?: unknown; message?: unknown } | null;
    if (typeof value?.message === "string") message = value.message.slice(0, maxMessage);
    if (typeof value?.code === "string" && Object.hasOwn(errorCodes, value.code)) {
      code = value.code as ErrorCode;
    }
  } catch {
    // Said by `message`.
  }
  return new MycnetError(code, `${what} failed: ${message}`);
}

/** What a served call is made of, apart from the call itself. */
import type { IncomingExchange, PeerLink } from "../../contracts/peers.ts";
import type { Host } from "../../kernel/host.ts";
import type { MessageFields, Priority } from "@mycnet/protocols/frame";
import type { Principal } from "@mycnet/protocols/identity";
import type { Deadlines } from "../deadlines.ts";
import type { TurnClock } from "../turn_clock.ts";
import type { MethodDefinition, ServiceDefinition } from "./define.ts";
import type { MiddlewareCall, MiddlewareChain } from "./middleware.ts";
import type { ParsedUpload } from "./upload.ts";

/** An exchange as the server needs it; a local call has no link. */
export type ServerExchange =
  & Pick<IncomingExchange, "respond" | "fail" | "item" | "grant">
  & {
    readonly link?: Pick<PeerLink, "full" | "writable">;
    /** The handler has finished, whether it answered or not. */
    released?(): void;
  };

/** A method that is served. */
export interface ServedMethod {
  readonly service: ServiceDefinition;
  readonly name: string;
  readonly definition: MethodDefinition;
  readonly streams: boolean;
  readonly uploads: boolean;
  readonly kind: MiddlewareCall["kind"];
  /** True once a call of it may go on after its handler has returned (context.ts). */
  lasting: boolean;
  // deno-lint-ignore no-explicit-any -- the types of handlers were checked where they were passed to serve.
  readonly handler: (input: any, context: any) => unknown;
}

/** What a served call needs of the server. */
export interface ServedCallOwner<Call> {
  readonly host: Host;
  readonly clock: TurnClock;
  readonly deadlines: Deadlines;
  readonly chain: MiddlewareChain;
  /** The handler has finished. */
  released(call: Call, failed: boolean): void;
}

/** What arrived with a call. */
export interface Arrival {
  readonly caller: Principal;
  readonly fields: MessageFields;
  readonly metadata: Readonly<Record<string, string>>;
  readonly depth: number;
}

/** What a handler may learn of its call. */
export interface ServedContext {
  readonly method: ServedMethod;
  readonly caller: Principal;
  readonly signal: AbortSignal;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: Priority;
  /** Only of a method with `upload`. */
  readonly upload: ParsedUpload;
  /** Milliseconds left. */
  deadline(): number;
}

/**
 * Services: typed calls to whichever node serves them. The definitions that a
 * user writes are in core/node/services; here is what other plugins need:
 * the directory, and calls by name for the command line and the HTTP gateway.
 */
import { type Capability, capability } from "../kernel/plugin.ts";
import { type Topic, topic } from "../kernel/host.ts";
import type { JsonSchema } from "../kernel/schema.ts";
import type { Priority } from "@mycnet/protocols/frame";

export type { JsonSchema };

/** One method as the directory describes it. */
export interface MethodDescription {
  /** Unique within the service. */
  readonly name: string;
  /** `unary`: one answer. `stream`: items come back. `upload`: items go out, one answer. `duplex`: both. */
  readonly kind: "unary" | "stream" | "upload" | "duplex";
  /** True: may be run twice, so a failed call is tried elsewhere. */
  readonly idempotent: boolean;
  /** Of the input; absent where anything goes. */
  readonly input?: JsonSchema;
  /** Of the answer. */
  readonly output?: JsonSchema;
  /** Of one item that goes out. */
  readonly uploadItem?: JsonSchema;
  /** Of one item that comes back. */
  readonly streamItem?: JsonSchema;
}

/** One service as a node offers it. */
export interface ServiceDescription {
  /** Unique within the cluster. */
  readonly name: string;
  /** Of the interface, as its author counts. */
  readonly version: number;
  /** In the order in which they were defined. */
  readonly methods: readonly MethodDescription[];
}

/** What a node says of itself: signed, replaced as a whole by a higher version, written by its owner alone. */
export interface ServiceRecord {
  /** Whose record it is. */
  readonly node: string;
  /** The start of the node that wrote it. */
  readonly generation: number;
  /** Grows with each change within a generation. */
  readonly version: number;
  /** Where the node can be dialled, `scheme://host:port`. */
  readonly addresses: readonly string[];
  /** What it serves. */
  readonly services: readonly ServiceDescription[];
}

/** Options of a call. */
export interface CallOptions {
  /** For all attempts together: `"2s"`, `"100ms"` or milliseconds. Default 5 s; for streams, until the first item. */
  readonly timeout?: number | string;
  /** Aborting it cancels the call, at the server too. */
  readonly signal?: AbortSignal;
  /** Its place in queues. Default `normal`. */
  readonly priority?: Priority;
  /** Travels with the call and on to calls made while serving it. At most 64 keys and 8 KiB in all. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Call this node and no other. */
  readonly node?: string;
  /** Attempts in all, for an idempotent method or with `idempotencyKey`. Default 3. */
  readonly attempts?: number;
  /**
   * Names this request: 1 to 64 bytes of UTF-8, of one's own choosing. While the serving node
   * runs, and within its bounds (by default the last 10,000 keys, 16 MiB of answers, 10 minutes),
   * a request of the same caller, method, key and input is not run again but gets the first one's
   * answer, even while that is still under way. So a call whose link broke is made again on the
   * same start of the same node, whether the method is idempotent or not. Another input under the
   * same key is an `invalid_argument`; an answer that is not kept any more is `answer_gone`. Not
   * for methods with items.
   */
  readonly idempotencyKey?: string;
}

/** The service layer as other plugins use it. */
export interface Services {
  /** Every service in the directory, with the nodes that serve it. */
  list(): readonly { readonly service: ServiceDescription; readonly nodes: readonly string[] }[];
  /** Every record that the directory holds, this node's included. */
  records(): readonly ServiceRecord[];
  /**
   * Waits for a service that nobody serves at the moment, as one whose server restarts.
   * @returns true as soon as {@linkcode list} names it; false at the end of the time (in ms), when
   * the signal aborts, or when too many calls wait already.
   */
  appears(
    service: string,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<boolean>;
  /**
   * Calls a unary or an upload method by name; input and answer are plain values. Rejects with a CallError.
   */
  call(
    service: string,
    method: string,
    input: unknown,
    options?: CallOptions & { readonly upload?: AsyncIterable<unknown> },
  ): Promise<unknown>;
  /** Calls a method whose answer is a stream. Breaking out of the loop cancels the call. */
  stream(
    service: string,
    method: string,
    input: unknown,
    options?: CallOptions & { readonly upload?: AsyncIterable<unknown> },
  ): AsyncIterable<unknown>;
}

/** The capability token of {@linkcode Services}. */
export const services: Capability<Services> = capability("services");

/** An attempt failed and the call is tried on another node. */
export const callRetried: Topic<{
  readonly service: string;
  readonly method: string;
  readonly node: string;
  readonly code: string;
}> = topic("services.call_retried");

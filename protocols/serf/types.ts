/** What goes into a Serf machine and what comes out of it, as types. */
import type { MemberState, Versions } from "../swim/types.ts";
import type { SerfConfig } from "./config.ts";
import type { Tags } from "./wire/tags.ts";

/** What Serf calls the states of members. `leaving`: it has announced that, or somebody did for it. */
export type SerfStatus = "alive" | "leaving" | "left" | "failed";

/** A member as this node sees it. A snapshot: it does not change. */
export interface SerfMember {
  /** Unique in the cluster. */
  readonly name: string;
  /** `host:port` of its gossip. */
  readonly address: string;
  /** 4 or 16 bytes. Not to be written to. */
  readonly ip: Uint8Array;
  /** UDP and TCP. */
  readonly port: number;
  /** An object without prototype. */
  readonly tags: Tags;
  /** As Serf says it. */
  readonly status: SerfStatus;
  /** The same with suspicion: a leaving member is alive still, a failed one dead. */
  readonly state: MemberState;
  /** SWIM's, as of its last change that was told. */
  readonly incarnation: number;
  /** What it speaks. */
  readonly versions: Versions;
  /** The Lamport time of the newest intent about it. */
  readonly statusTime: number;
  /** When `state` changed last, in the clock of `nowMs`. */
  readonly sinceMs: number;
}

/** The keys of gossip as Serf's queries change them; a `GossipKeyring` is one. Methods may throw: the message is the answer. */
export interface SerfKeyring {
  /** The primary one first. Empty: gossip is not encrypted. */
  readonly keys: readonly Uint8Array[];
  /** Installs a key. */
  add(key: Uint8Array): boolean;
  /** Makes an installed key the primary one; false if it is not installed. */
  use(key: Uint8Array): boolean;
  /** Removes a key; false if it is not installed or the primary one. */
  remove(key: Uint8Array): boolean;
}

/** What the clocks said when they were persisted; see {@linkcode SerfOptions}. */
export interface SerfClocks {
  /** The newest time of intents. */
  readonly member: number;
  /** The newest time of user events. */
  readonly event: number;
  /** The newest time of queries. */
  readonly query: number;
}

/** What a Serf machine is made with. */
export interface SerfOptions {
  /** This node's name: the same as the SWIM machine's. */
  readonly name: string;
  /** What this node says of itself. @default {} */
  readonly tags?: Tags;
  /** Default: {@linkcode serfDefaults}. */
  readonly config?: SerfConfig;
  /** A number in [0, 1). Need not be fit for secrets. */
  random(): number;
  /** What the key queries change. Absent: they are refused, as without encryption. */
  readonly keyring?: SerfKeyring;
  /** From an earlier life: events and queries that were seen then are not seen again. */
  readonly clocks?: SerfClocks;
}

/** What may happen to a member. */
export type SerfMemberChange =
  | "joined"
  | "left"
  | "failed"
  /** It was suspect or had failed, and is alive. */
  | "recovered"
  | "suspected"
  | "updated"
  | "reaped";

/** What a machine tells. */
export type SerfEvent =
  | { readonly type: SerfMemberChange; readonly member: SerfMember }
  /** Somebody, perhaps this node, sent a user event. */
  | {
    readonly type: "user_event";
    readonly name: string;
    /** Not to be written to: it is remembered. */
    readonly payload: Uint8Array;
    /** Lamport time. */
    readonly time: number;
    readonly coalesce: boolean;
  }
  /** Somebody, perhaps this node, asks. */
  | { readonly type: "query"; readonly query: SerfQuery }
  /** A query changed the keys: persist them. */
  | {
    readonly type: "keyring";
    readonly operation: "install" | "use" | "remove";
    /** The primary one first. */
    readonly keys: readonly Uint8Array[];
  }
  /** Somebody else uses our name at this address. */
  | { readonly type: "conflict"; readonly address: string }
  /**
   * The vote about our name is over. `lost`: most know the other one, so this node
   * should leave without a word; `undecided`: nobody answered.
   */
  | {
    readonly type: "conflict_resolved";
    readonly outcome: "kept" | "lost" | "undecided";
    readonly votes: number;
    readonly forUs: number;
  }
  /** Leaving began, or is complete: the sockets may be closed. */
  | { readonly type: "status"; readonly status: "leaving" | "left" };

/** What became of an answer. */
export type RespondResult =
  | "sent"
  /** The deadline is over. */
  | "late"
  /** There was an answer already. */
  | "twice"
  /** Above `maxResponseBytes`. */
  | "too_large"
  /** Who asks is no member (any more), or too much is asked of us. */
  | "refused";

/** A query that asks this node. */
export interface SerfQuery {
  /** What kind of question it is. */
  readonly name: string;
  /** Not to be written to. */
  readonly payload: Uint8Array;
  /** Lamport time. */
  readonly time: number;
  /** Who asks. */
  readonly from: string;
  /** Until when an answer counts, in the clock of `nowMs`. */
  readonly deadlineMs: number;
  /** Answers, once. */
  respond(payload: Uint8Array, nowMs: number): RespondResult;
}

/** A query to send. */
export interface SerfQueryRequest {
  /** Names that begin with `_serf_` are the cluster's own. */
  readonly name: string;
  /** With all the rest at most `maxQueryBytes`. Default: empty. */
  readonly payload?: Uint8Array;
  /** Only these members. */
  readonly nodes?: readonly string[];
  /** Only members whose tags match these regular expressions; see {@linkcode Regexp}. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Ask for acknowledgements too. Default false. */
  readonly ack?: boolean;
  /** Through how many others each answer is sent once more. 0 to 255. Default 0. */
  readonly relayFactor?: number;
  /** Default: by the size of the cluster, as Serf's. */
  readonly timeoutMs?: number;
}

/** How a query went. */
export interface SerfQuerySummary {
  /** Members that were expected to answer when it was sent. */
  readonly expected: number;
  /** Members that acknowledged. */
  readonly acks: number;
  /** Members that answered. */
  readonly responses: number;
}

/** Who hears the answers. All synchronous, none may throw; the first may come before `query` returns. */
export interface SerfQueryListener {
  /** A member has the query. */
  ack?(from: string): void;
  /** A member answers; the bytes are the listener's to keep. */
  response?(from: string, payload: Uint8Array): void;
  /** All have answered, or the time is up. */
  done?(summary: SerfQuerySummary): void;
}

/** An open query. */
export interface SerfQueryHandle {
  /** Lamport time. */
  readonly time: number;
  /** When it ends, in the clock of `nowMs`. */
  readonly deadlineMs: number;
  /** Ends it early; its listener hears nothing more. */
  close(): void;
}

/** What changing or listing the gossip keys gave. */
export interface SerfKeyReply {
  /** Members that were asked. */
  readonly members: number;
  /** Members that answered. */
  readonly replies: number;
  /** Members that refused or failed, with what they said; Serf's agents may add remarks. */
  readonly failures: Readonly<Record<string, string>>;
  /** Keys (base64) and how many members hold each; for `list` only. */
  readonly keys: Readonly<Record<string, number>>;
  /** Primary keys (base64) and of how many members; for `list` only, newer agents only. */
  readonly primaryKeys: Readonly<Record<string, number>>;
}

/** How a join went. */
export interface SerfJoinReply {
  /** Addresses that answered. */
  readonly contacted: number;
  /** Those that did not, and why. */
  readonly errors: Readonly<Record<string, string>>;
}

/** The outside world of a machine. All synchronous; none may throw. Any may call the machine's commands and getters. */
export interface SerfHandler {
  /** Something happened. */
  event(event: SerfEvent): void;
  /**
   * Somebody is about to count as a member: a reason to refuse it, or undefined. With
   * `merge`, a reason refuses the whole push/pull: so clusters are kept apart.
   */
  admit?(
    member: { readonly name: string; readonly address: string; readonly tags: Tags },
    merge: boolean,
  ): string | undefined;
}

/** What a machine has counted since it was made. */
export interface SerfCounters {
  /** User messages received, push/pulls not counted. */
  messages: number;
  /** User events received that were new. */
  events: number;
  /** Queries received that were new. */
  queries: number;
  /** Acknowledgements and answers to open queries. */
  replies: number;
  /** Acknowledgements and answers to nothing, or twice. */
  strayReplies: number;
  /** Events and queries too old to tell whether they are new. */
  old: number;
  /** Messages that could not be read. */
  malformed: number;
  /** Messages of a kind that is not known. */
  unknown: number;
  /** Lamport times too far ahead to be believed. */
  clockJumps: number;
  /** Queries with filters that were refused: wrong, not supported, too expensive. */
  filtersRefused: number;
  /** Answers and relays to addresses that are no member's. */
  strangers: number;
  /** Answers and relays beyond the rate. */
  limited: number;
  /** Acks with a coordinate or round trip that cannot be. */
  coordinatesRefused: number;
  /** Leave intents about this node that it refuted. */
  refutations: number;
  /** Attempts to reach failed members. */
  reconnects: number;
}

/** A command that cannot be carried out. Nothing has changed. */
export class SerfError extends Error {
  /** Which. */
  readonly code: "leaving" | "too_large" | "bad_filter" | "too_many_queries" | "bad_name";

  /** Makes one. */
  constructor(code: SerfError["code"], message: string) {
    super(message);
    this.name = "SerfError";
    this.code = code;
  }
}

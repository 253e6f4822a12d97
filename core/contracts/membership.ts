/**
 * Membership: the shared, converging view of who is in the cluster and alive.
 *
 * It is gossip, trusted as far as its key: addresses, types and tags learnt
 * here are hints until a certificate confirms them. Only membership decides
 * that a member is dead; a failed link does not.
 */
import { type Capability, capability, type Slot, slot } from "../kernel/plugin.ts";
import { type Topic, topic } from "../kernel/host.ts";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { NodeState } from "./peers.ts";

/** What a member's tags say of it as a node. */
export type MemberNode = Pick<
  NodeDescription,
  "type" | "cluster" | "version" | "datacenter" | "rack" | "capacity"
>;

/** One member as gossip tells of it. */
export interface Member {
  /** Its name, which for nodes of this runtime is their id. */
  readonly id: string;
  /** Where it gossips, `host:port`. */
  readonly address: string;
  /** As this node believes. */
  readonly state: NodeState;
  /** Counts what the member said of itself. */
  readonly incarnation: number;
  /** Serf tags; nodes of this runtime carry type, cluster, datacenter, rack, capacity and link addresses in them. */
  readonly tags: Readonly<Record<string, string>>;
  /** What its tags say of it as a node of this runtime; undefined for other members, such as Serf agents. */
  readonly node: MemberNode | undefined;
  /** Where it takes links, `scheme://host:port`; empty for members that are not nodes of this runtime. */
  readonly linkAddresses: readonly string[];
  /** Wall-clock time in ms of its last change of state. */
  readonly since: number;
  /** The accrual detector's suspicion (Hayashibara 2004); undefined without enough samples. Advisory. */
  readonly phi: number | undefined;
  /** Estimated round trip by network coordinates (Vivaldi), in ms; undefined until both have one. */
  readonly distanceMs: number | undefined;
}

/** What happened to a member, this node itself excepted. */
export interface MemberEvent {
  /** What happened. */
  readonly type: "joined" | "left" | "failed" | "recovered" | "suspected" | "updated" | "reaped";
  /** The member as it is now. */
  readonly member: Member;
}

/** What happened to several members within a while. */
export interface MemberChanges {
  /** What happened to all of them. */
  readonly type: MemberEvent["type"];
  /** As they are now, in the order in which they changed. */
  readonly members: readonly Member[];
}

/** How changes of members are put together. */
export interface CoalesceTimes {
  /** They are told when none came for so long, in ms. Default 1000. */
  readonly quietMs?: number;
  /** And never later than this after the first, in ms. Default 3000. */
  readonly maxMs?: number;
}

/** A user event or a query, as it arrived. */
export interface GossipMessage {
  /** What it was sent under. */
  readonly name: string;
  /** The bytes, the reader's to keep. */
  readonly payload: Uint8Array;
  /** Lamport time. */
  readonly time: number;
}

/** An answer to a query. */
export type QueryReply =
  | { readonly kind: "ack"; readonly from: string }
  | { readonly kind: "response"; readonly from: string; readonly payload: Uint8Array };

/** Options of a query. */
export interface QueryOptions {
  /** Only these members. */
  readonly nodes?: readonly string[];
  /** Only members whose tags match these regular expressions. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Ask for acknowledgements too. Default false. */
  readonly ack?: boolean;
  /** Default: by the size of the cluster, as Serf's. Milliseconds. */
  readonly timeoutMs?: number;
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

/** What changing the gossip keys gave, member by member. */
export interface KeyringReply {
  /** Members that were asked. */
  readonly members: number;
  /** Members that answered. */
  readonly replies: number;
  /** Members that refused or failed, with what they said. */
  readonly failures: Readonly<Record<string, string>>;
  /** Keys (base64) and how many members hold each; for list only. */
  readonly keys: Readonly<Record<string, number>>;
  /** Of those, the ones in use and how many members say so (older agents do not say); for list only. */
  readonly primaryKeys: Readonly<Record<string, number>>;
}

/** The membership of this node. */
export interface Membership {
  /** Every member, this node included, dead and left ones until they are reaped. */
  members(): readonly Member[];
  /** One. */
  member(id: string): Member | undefined;
  /** Joins through any of these gossip addresses; resolves with how many answered. @throws `unreachable` when none did. */
  join(addresses: readonly string[]): Promise<number>;
  /** Tells everybody that this node leaves, and waits until that has spread. */
  leave(): Promise<void>;
  /** Removes a failed member for good, as `serf force-leave` does. */
  forceLeave(id: string, prune?: boolean): Promise<void>;
  /** Adds or changes (undefined: removes) tags of this node. */
  setTags(tags: Readonly<Record<string, string | undefined>>): void;
  /** Sends a user event to every member. At most 512 bytes of name and payload. */
  event(name: string, payload: Uint8Array, coalesce?: boolean): void;
  /** Asks every member; ends when all have answered or the time is up. */
  query(name: string, payload: Uint8Array, options?: QueryOptions): AsyncIterable<QueryReply>;
  /** Hears of everything that happens to members, until disposed. */
  onMember(handler: (event: MemberEvent) => void): Disposable;
  /**
   * Hears of members in company, until disposed: changes that come within a while of each
   * other are told together, by kind; whoever failed and was back by then is not told of.
   */
  onMembers(handler: (changes: MemberChanges) => void, times?: CoalesceTimes): Disposable;
  /** Handles user events of a name until disposed. */
  onEvent(name: string, handler: (message: GossipMessage) => void): Disposable;
  /** Answers queries of a name until disposed. Undefined: no response. */
  onQuery(
    name: string,
    handler: (message: GossipMessage) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
  ): Disposable;
  /** Lists, installs, uses or removes a gossip key (base64, 16, 24 or 32 bytes) on every member; under `interop: "memberlist"` on this node alone. */
  keyring(operation: "list" | "install" | "use" | "remove", key?: string): Promise<KeyringReply>;
  /** Estimated round trip between two members by their coordinates, in ms. */
  distanceMs(a: string, b: string): number | undefined;
}

/** The capability token of {@linkcode Membership}. */
export const membership: Capability<Membership> = capability("membership");

/** Something happened to a member. */
export const memberEvent: Topic<MemberEvent> = topic("membership.event");
/** A user event arrived. */
export const userEvent: Topic<GossipMessage> = topic("membership.user_event");

/** A word of another part of this node that its gossip carries to every member. */
export interface GossipTag {
  /** The tag's name, one of the runtime's own. */
  readonly name: string;
  /** A few bytes; undefined: no tag. Where tags take too much room, it may be left out. */
  value(): string | undefined;
  /** Runs after each change until disposed. Gossip passes on the latest, about once a second. */
  onChange(changed: () => void): Disposable;
}

/** Where parts of the node contribute tags. */
export const gossipTags: Slot<GossipTag> = slot("membership.tags");

/** The tag that holds the hash of what a node serves: see {@linkcode gossipTags}. */
export const servicesTag = "svc";

/**
 * How records travel: anti-entropy over links (Demers et al., "Epidemic
 * Algorithms for Replicated Database Maintenance", 1987).
 *
 * The messages, all of type `service.directory`, are MessagePack maps:
 * - `digest`: stamps [node, generation, version, age] of all records whose id
 *   lies in a range, so that a long digest may come in parts and a gap in it
 *   still means "I do not have this". `ask` wants to be asked for what it is
 *   ahead in.
 * - `want`: ids whose records the other side should send.
 * - `records`: signed records (record.ts).
 * - `mark`: a number, to be sent back as `heard`. The answer travels behind all
 *   that its sender has queued, so it says that what came before the mark was
 *   taken in, and that what was sent in ignorance of it has arrived.
 *
 * When a link comes up both ends send a digest and each answers with what it
 * knows better. A record that is news is passed on to every link but the one it
 * came from. Once in a while one random link gets a digest with `ask`, which
 * mends what a full link or a crash between the two cost. For each link there
 * is one queue of ids, each at most once, sent as the link has room.
 */
import {
  linkDown,
  linkUp,
  type MessageHandler,
  peerDown,
  type PeerLink,
  type Peers,
} from "../../contracts/peers.ts";
import type { Host } from "../../kernel/host.ts";
import { decode, encode } from "@mycnet/protocols/codec";
import { type MessageFields, messageTypes, noFields } from "@mycnet/protocols/frame";
import type { Directory } from "./directory.ts";
import {
  isNewer,
  recordFromWire,
  type RecordStamp,
  recordToWire,
  type SignedRecord,
  wireSize,
} from "./record.ts";

/** Stamps in one message. */
const digestPart = 1000;
/** Ids in one `want`. */
const wantPart = 1000;
/** Records in one message, in bytes, unless one alone is larger. */
const recordsBytes = 128 * 1024;
/** Behind whatever else is queued. */
const lastInLine: MessageFields = Object.freeze({ priority: "low" });
/** Refused records after which a link is not listened to any more. */
const patience = 100;

const directoryType = messageTypes["service.directory"];

/** What {@linkcode DirectorySync} needs. */
export interface SyncParts {
  readonly host: Host;
  readonly peers: Peers;
  readonly directory: Directory;
  /** Between digests to a random link, in milliseconds. */
  readonly intervalMs: number;
}

/** One record, as it is sent. */
interface News {
  readonly signed: SignedRecord;
  readonly ageS: number;
  readonly message: Uint8Array;
}

/** See the head of this file. */
export class DirectorySync implements Disposable {
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #directory: Directory;
  readonly #queues = new Map<PeerLink, LinkQueue>();
  /** Marks that have not been heard yet, by number. */
  readonly #marks = new Map<number, { readonly link: PeerLink; readonly heard: () => void }>();
  #lastMark = 0;
  /** What was sent alone last: news goes to every link, and is encoded for the first. */
  #news: News | undefined;
  readonly #stop = new DisposableStack();
  readonly #ended = new AbortController();

  constructor({ host, peers, directory, intervalMs }: SyncParts) {
    this.#host = host;
    this.#peers = peers;
    this.#directory = directory;
    this.#stop.defer(() => this.#ended.abort());
    this.#stop.use(peers.handle(directoryType, this.#handler()));
    this.#stop.use(host.on(linkUp, (link) => this.#linkUp(link)));
    this.#stop.use(host.on(linkDown, ({ link }) => {
      this.#queues.delete(link);
      this.#unmark(link);
    }));
    this.#stop.use(host.on(peerDown, ({ peer, left }) => {
      if (left) directory.left(peer.id, peer.generation);
    }));
    this.#stop.use(host.every(intervalMs, () => this.#beat()));
    for (const link of peers.links()) this.#linkUp(link);
  }

  [Symbol.dispose](): void {
    this.#stop.dispose();
    this.#queues.clear();
    this.#unmark();
  }

  /**
   * Resolves when all who are linked have taken in what was spread until now, and what they sent
   * before that is here; at the latest after `limitMs`.
   */
  async heard(limitMs: number): Promise<void> {
    const links = this.#peers.links();
    if (links.length === 0 || limitMs <= 0) return;
    const late = Promise.withResolvers<void>();
    using _timer = this.#host.after(limitMs, late.resolve);
    const mine = new Set<number>();
    const all = links.map((link) =>
      new Promise<void>((resolve) => {
        const mark = ++this.#lastMark;
        mine.add(mark);
        this.#marks.set(mark, { link, heard: resolve });
        this.#queue(link).mark(mark);
      })
    );
    await Promise.race([Promise.all(all), late.promise]);
    for (const mark of mine) this.#marks.delete(mark);
  }

  /** Sends a record to every peer but the one it came from. */
  spread(node: string, source?: PeerLink): void {
    for (const link of this.#peers.links()) {
      if (link !== source && link.peer.id !== node) this.#queue(link).send(node);
    }
  }

  /** Asks the other end of a link for the records of these nodes. */
  ask(link: PeerLink, nodes: readonly string[]): void {
    this.#send(link, { want: nodes });
  }

  #linkUp(link: PeerLink): void {
    this.#directory.linked(link.peer.id, link.peer.generation);
    this.#sendDigest(link, false);
  }

  #beat(): void {
    this.#directory.sweep((node) => this.#peers.link(node) !== undefined);
    const links = this.#peers.links();
    if (links.length > 0) {
      this.#sendDigest(links[Math.floor(this.#host.random() * links.length)], true);
    }
  }

  #sendDigest(link: PeerLink, ask: boolean): void {
    const nodes = this.#directory.nodes();
    for (let from = 0; from < nodes.length; from += digestPart) {
      const part = nodes.slice(from, from + digestPart);
      const stamps = part.map((node) => {
        const { generation, version } = this.#directory.stamp(node)!;
        return [node, generation, version, this.#directory.ageS(node)];
      });
      const after = from === 0 ? "" : nodes[from - 1];
      const last = from + digestPart >= nodes.length;
      const upTo = last ? null : part[part.length - 1];
      if (!this.#send(link, { digest: stamps, after, upTo, ask })) return;
    }
  }

  #send(link: PeerLink, message: Record<string, unknown>, fields = noFields): boolean {
    return this.#sendEncoded(link, encode(message), fields);
  }

  #sendEncoded(link: PeerLink, message: Uint8Array, fields = noFields): boolean {
    try {
      link.send(directoryType, fields, message);
      return true;
    } catch (error) {
      // The link is going; whoever comes after it gets everything anew.
      this.#host.log.debug("A directory message was not sent.", { error: String(error) });
      return false;
    }
  }

  #queue(link: PeerLink): LinkQueue {
    let queue = this.#queues.get(link);
    if (queue === undefined) {
      queue = new LinkQueue(link, {
        signal: this.#ended.signal,
        take: (nodes) => this.#take(nodes),
        send: (records) => this.#sendEncoded(link, records),
        mark: (mark) => {
          // A link that takes no more brings nothing more that we would have to wait for.
          if (!this.#send(link, { mark })) this.#heard(link, mark);
        },
      });
      this.#queues.set(link, queue);
    }
    return queue;
  }

  /** Takes as many records as fit one message out of a set of ids: the message, if there is any record. */
  #take(nodes: Set<string>): Uint8Array | undefined {
    if (nodes.size === 1) {
      const [node] = nodes;
      nodes.clear();
      return this.#alone(node);
    }
    const records: unknown[] = [];
    let bytes = 0;
    for (const node of nodes) {
      const signed = this.#directory.signed(node);
      const size = signed === undefined ? 0 : wireSize(signed);
      if (bytes > 0 && bytes + size > recordsBytes) break;
      nodes.delete(node);
      if (signed === undefined) continue;
      records.push(recordToWire(signed, this.#directory.ageS(node)));
      bytes += size;
    }
    return records.length === 0 ? undefined : encode({ records });
  }

  #alone(node: string): Uint8Array | undefined {
    const signed = this.#directory.signed(node);
    if (signed === undefined) return undefined;
    const ageS = this.#directory.ageS(node);
    if (this.#news?.signed !== signed || this.#news.ageS !== ageS) {
      const message = encode({ records: [recordToWire(signed, ageS)] });
      this.#news = { signed, ageS, message };
    }
    return this.#news.message;
  }

  #handler(): MessageHandler {
    return {
      message: (link, _fields, body) => {
        try {
          const message = decode(body) as Record<string, unknown>;
          if (Array.isArray(message.records)) this.#records(link, message.records);
          else if (Array.isArray(message.want)) this.#want(link, message.want);
          else if (Array.isArray(message.digest)) this.#digest(link, message);
          else if (Number.isSafeInteger(message.mark)) {
            this.#send(link, { heard: message.mark }, lastInLine);
          } else if (typeof message.heard === "number") this.#heard(link, message.heard);
        } catch (error) {
          this.#directory.counts.rejected++;
          this.#host.log.debug("A directory message makes no sense.", {
            node: link.peer.id,
            error: String(error),
          });
        }
      },
    };
  }

  #heard(link: PeerLink, mark: number): void {
    const waiting = this.#marks.get(mark);
    if (waiting?.link !== link) return;
    this.#marks.delete(mark);
    waiting.heard();
  }

  /** Nobody will answer any more: on one link, or at all. */
  #unmark(gone?: PeerLink): void {
    for (const [mark, { link }] of this.#marks) {
      if (gone === undefined || gone === link) this.#heard(link, mark);
    }
  }

  #records(link: PeerLink, records: readonly unknown[]): void {
    const queue = this.#queue(link);
    for (const value of records) {
      if (queue.refused >= patience) return;
      const arrived = recordFromWire(value);
      if (arrived === undefined) {
        this.#directory.counts.rejected++;
        queue.refused++;
        continue;
      }
      const outcome = this.#directory.accept(arrived);
      if (outcome === "accepted") this.spread(arrived.node, link);
      else if (outcome === "rejected" && ++queue.refused === patience) {
        this.#host.log.warn("A peer sends bad directory records and is not listened to any more.", {
          node: link.peer.id,
        });
      }
    }
  }

  #want(link: PeerLink, nodes: readonly unknown[]): void {
    const queue = this.#queue(link);
    for (const node of nodes.slice(0, wantPart)) {
      if (typeof node === "string") queue.send(node);
    }
  }

  #digest(link: PeerLink, message: Record<string, unknown>): void {
    const { digest, after, upTo, ask } = message;
    const theirs = new Map<string, RecordStamp>();
    for (const entry of (digest as readonly unknown[]).slice(0, digestPart)) {
      const [node, generation, version, ageS] = entry as [string, number, number, number];
      if (typeof node !== "string" || typeof generation !== "number") continue;
      const stamp = { node, generation, version };
      theirs.set(node, stamp);
      if (ageS >= 0) this.#directory.heard(stamp, ageS);
    }
    const inRange = (node: string) =>
      node > String(after) && (typeof upTo !== "string" || node <= upTo);
    const queue = this.#queue(link);
    for (const node of this.#directory.nodes()) {
      if (!inRange(node)) continue;
      const stamp = theirs.get(node);
      if (stamp === undefined || isNewer(this.#directory.stamp(node)!, stamp)) queue.send(node);
    }
    if (ask !== true) return;
    const want = [...theirs.values()].filter((stamp) => {
      const ours = this.#directory.stamp(stamp.node);
      return ours === undefined || isNewer(stamp, ours);
    }).map((it) => it.node);
    if (want.length > 0) this.#send(link, { want });
  }
}

interface QueueOwner {
  readonly signal: AbortSignal;
  take(nodes: Set<string>): Uint8Array | undefined;
  send(records: Uint8Array): boolean;
  mark(mark: number): void;
}

/** The records that a link is still to get. */
class LinkQueue {
  /** Records of this peer that were refused. */
  refused = 0;
  readonly #link: PeerLink;
  readonly #owner: QueueOwner;
  readonly #nodes = new Set<string>();
  /** To be sent behind the records. One for each service that is leaving at the moment. */
  #marks: number[] = [];
  #running = false;

  constructor(link: PeerLink, owner: QueueOwner) {
    this.#link = link;
    this.#owner = owner;
  }

  /** Sends a node's record, in whatever state it is then. */
  send(node: string): void {
    this.#nodes.add(node);
    this.#start();
  }

  /** Sends a mark when all that is to be sent until now has been. */
  mark(mark: number): void {
    this.#marks.push(mark);
    this.#start();
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => this.#run());
  }

  async #run(): Promise<void> {
    const { signal, take, send, mark } = this.#owner;
    try {
      while (this.#nodes.size + this.#marks.length > 0 && !signal.aborted) {
        await this.#link.writable(signal);
        const records = take(this.#nodes);
        if (records !== undefined && !send(records)) return;
        if (this.#nodes.size === 0) this.#marks.splice(0).forEach(mark);
      }
    } catch {
      // The link closed, or this node stops: there is nobody to send to.
    } finally {
      this.#running = false;
      if (signal.aborted) this.#nodes.clear();
    }
  }
}

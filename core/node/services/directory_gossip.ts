/**
 * Word of records by gossip: who serves something else than this node believes.
 *
 * Records travel over links (directory_sync.ts), so news of a node to which nobody
 * here is linked waits for a comparison, or for ever. Gossip reaches everybody, but
 * has no room for records; so each member carries the hash of its own as a tag. A
 * node that holds another record than the hash says fetches it: after a moment,
 * since over links it is mostly on its way already, it asks a linked node, and if
 * that does not help, dials the owner. What arrives is believed for its signature
 * alone; the hash is a hint that anybody with the gossip key may have written.
 *
 * So a wrong hash must cost little. A value that did not come true is not pursued
 * again, an owner that does not answer is tried a few times, further and further
 * apart, and between two fetches from one node there is a pause that doubles while
 * they bring nothing. All else is left to the comparisons of directory_sync.ts.
 */
import { type GossipTag, type Member, servicesTag } from "../../contracts/membership.ts";
import type { Peers } from "../../contracts/peers.ts";
import type { Host, Timer } from "../../kernel/host.ts";
import type { Directory } from "./directory.ts";
import type { DirectorySync } from "./directory_sync.ts";

/** Fetches under way at a time. */
const maxFetches = 4;
/** Members whose tags are remembered; the directory holds no more nodes by default. */
const maxMembers = 10_000;
/** How long a fetch waits at least, in ms: links bring most news within that. */
const leastDelayMs = 100;
/** By how much fetches are spread for each member, in ms, so that not everybody asks at once. */
const spreadPerMemberMs = 10;
const maxSpreadMs = 10_000;
/** How long an answer may take, in ms. Tags come a second late at the most: then a newer one is here. */
const answerMs = 1500;
/** How long the owner may take to be dialled, in ms. */
const dialMs = 5000;
/** Attempts for one value of a tag. */
const maxAttempts = 4;
/** The pause after a fetch from a node: the first, and the longest, in ms. */
const firstPauseMs = 2000;
const longestPauseMs = 300_000;

/** What {@linkcode DirectoryGossip} needs. */
export interface DirectoryGossipParts {
  readonly host: Host;
  readonly peers: Peers;
  readonly directory: Directory;
  readonly sync: DirectorySync;
  /** Members of other clusters are none of ours. */
  readonly cluster: string;
}

/** One member's word. */
interface Told {
  tag: string;
  /** True when this value has been pursued enough. */
  settled: boolean;
  /** A fetch is under way, waits for its turn, or for its moment. */
  planned: boolean;
  attempts: number;
  pauseMs: number;
  notBeforeMs: number;
}

/** See the head of this file. */
export class DirectoryGossip implements GossipTag, Disposable {
  readonly name = servicesTag;
  /** Fetches begun since the node started. */
  fetches = 0;
  readonly #parts: DirectoryGossipParts;
  readonly #told = new Map<string, Told>();
  /** Nodes that are to be fetched, each once, after its moment. */
  readonly #due = new Map<string, Timer>();
  /** Nodes whose moment has come, while others are fetched. */
  readonly #waiting: string[] = [];
  /** Those who wait for a word to come true. */
  readonly #watchers = new Set<() => void>();
  readonly #listeners = new Set<() => void>();
  readonly #ended = new AbortController();
  #running = 0;
  #lastValue: string | undefined;

  constructor(parts: DirectoryGossipParts) {
    this.#parts = parts;
  }

  value(): string | undefined {
    const { directory } = this.#parts;
    return directory.hash(directory.own.node) || undefined;
  }

  onChange(changed: () => void): Disposable {
    const listener = () => changed();
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** A member came, changed, or went. */
  heard({ id, state, tags, node }: Member): void {
    if (id === this.#parts.directory.own.node || this.#ended.signal.aborted) return;
    if (node?.cluster !== this.#parts.cluster || state === "dead" || state === "left") {
      return this.forget(id);
    }
    const tag = tags[servicesTag] ?? "";
    let told = this.#told.get(id);
    if (told === undefined) {
      if (tag === "" || this.#told.size >= maxMembers) return;
      told = {
        tag,
        settled: false,
        planned: false,
        attempts: 0,
        pauseMs: firstPauseMs,
        notBeforeMs: 0,
      };
      this.#told.set(id, told);
    } else if (told.tag !== tag) {
      told.tag = tag;
      told.settled = false;
      told.attempts = 0;
    }
    this.#look();
    this.#plan(id, told);
  }

  /** A member is none any more. */
  forget(id: string): void {
    this.#told.delete(id);
    this.#due.get(id)?.[Symbol.dispose]();
    this.#due.delete(id);
    const at = this.#waiting.indexOf(id);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#look();
  }

  /** The directory holds another record of a node. */
  recordChanged(node: string): void {
    if (node !== this.#parts.directory.own.node) return this.#look();
    const value = this.value();
    if (value === this.#lastValue) return;
    this.#lastValue = value;
    for (const listener of [...this.#listeners]) listener();
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.#look();
    for (const timer of this.#due.values()) timer[Symbol.dispose]();
    this.#due.clear();
    this.#waiting.length = 0;
    this.#listeners.clear();
  }

  /** True while a node's word is not what the directory holds, and it is worth looking. */
  #wanted(id: string): Told | undefined {
    const told = this.#told.get(id);
    if (told === undefined || told.settled) return undefined;
    return this.#parts.directory.hash(id) === told.tag ? undefined : told;
  }

  #plan(id: string, told: Told): void {
    if (told.planned || this.#wanted(id) === undefined) return;
    told.planned = true;
    const { host } = this.#parts;
    const spreadMs = Math.min(maxSpreadMs, spreadPerMemberMs * this.#told.size);
    const delayMs = leastDelayMs + host.random() * spreadMs;
    const waitMs = Math.max(delayMs, told.notBeforeMs - host.now());
    this.#due.set(
      id,
      host.after(waitMs, () => {
        this.#due.delete(id);
        this.#waiting.push(id);
        this.#next();
      }),
    );
  }

  #next(): void {
    while (this.#running < maxFetches && this.#waiting.length > 0) {
      const id = this.#waiting.shift()!;
      const told = this.#told.get(id);
      if (told === undefined) continue;
      this.#running++;
      void this.#fetch(id, told).finally(() => {
        this.#running--;
        told.planned = false;
        if (this.#told.get(id) === told && !this.#ended.signal.aborted) this.#plan(id, told);
        this.#next();
      });
    }
  }

  /** Fetches one record. Never rejects. */
  async #fetch(id: string, told: Told): Promise<void> {
    if (this.#wanted(id) === undefined) return;
    const { host, directory } = this.#parts;
    const { tag } = told;
    this.fetches++;
    told.attempts++;
    const spoke = await this.#askLinked(id) || await this.#dialOwner(id);
    const came = directory.hash(id) === told.tag;
    told.pauseMs = came ? firstPauseMs : Math.min(2 * told.pauseMs, longestPauseMs);
    told.notBeforeMs = host.now() + told.pauseMs;
    // Where the owner has spoken and says something else, the tag is old, or a lie.
    if (told.tag === tag && !came) told.settled = spoke || told.attempts >= maxAttempts;
  }

  /** Asks the owner if it is linked, else anybody who is. True: nothing is left to be asked. */
  async #askLinked(id: string): Promise<boolean> {
    const { host, peers, sync } = this.#parts;
    const owner = peers.link(id);
    const links = peers.links();
    const link = owner ?? links[Math.floor(host.random() * links.length)];
    if (link === undefined) return false;
    sync.ask(link, [id]);
    return await this.#comes(id) || owner !== undefined;
  }

  /** Dials the owner: both ends of a new link compare what they hold. True: the owner was reached. */
  async #dialOwner(id: string): Promise<boolean> {
    const { host, peers } = this.#parts;
    const { signal } = this.#ended;
    try {
      await peers.connect(id, { signal, timeoutMs: dialMs });
    } catch (error) {
      host.log.debug("A member cannot be asked what it serves.", {
        node: id,
        reason: (error as Error).message,
      });
      return false;
    }
    await this.#comes(id);
    return true;
  }

  /** Resolves with true as soon as a node's word is true or withdrawn; false if that takes too long. */
  #comes(id: string): Promise<boolean> {
    const { host } = this.#parts;
    const fulfilled = () => this.#ended.signal.aborted || this.#wanted(id) === undefined;
    if (fulfilled()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (came: boolean) => {
        timer[Symbol.dispose]();
        this.#watchers.delete(look);
        resolve(came);
      };
      const look = () => {
        if (fulfilled()) finish(true);
      };
      const timer = host.after(answerMs, () => finish(false));
      this.#watchers.add(look);
    });
  }

  #look(): void {
    for (const look of [...this.#watchers]) look();
  }
}

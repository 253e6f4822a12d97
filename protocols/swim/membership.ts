/**
 * What is said about members, and what becomes of it (SWIM section 4.2).
 *
 * A rumour changes something only if it outranks what is known (verdicts.ts), and
 * then it is passed on; so each rumour passes each member about once as news, and
 * echoes die out. An accusation that was refuted already brings the refutation again.
 * Rumours about this node itself go to own_word.ts. They come from packets, from
 * push/pulls and from our own probes; all take the same way through here.
 */
import { type Card, sameBytes, sameVersions } from "./cards.ts";
import type { Context } from "./context.ts";
import type { OwnWord } from "./own_word.ts";
import type { Rumours } from "./rumours.ts";
import { suspicionMaxMs, suspicionMinMs } from "./scaling.ts";
import type { SwimMember } from "./types.ts";
import { maxIncarnationJump, outranks, stateNames, stateOf } from "./verdicts.ts";
import { readVersions, understand } from "./versions.ts";
import { type AliveFields, maxMetaBytes, type Span, type VerdictFields } from "./wire/messages.ts";
import { formatAddress } from "./address.ts";
import { decodeUtf8 } from "../utf8.ts";

/** The rumours that one machine hears. */
export class Membership {
  readonly #c: Context;
  readonly #rumours: Rumours;
  readonly #own: OwnWord;

  /** On the shared context. */
  constructor(context: Context, rumours: Rumours, own: OwnWord) {
    this.#c = context;
    this.#rumours = rumours;
    this.#own = own;
  }

  /** Somebody is said to be alive. */
  hearAlive(fields: AliveFields, bytes: Uint8Array): void {
    const c = this.#c;
    const { table, store, counters } = c;
    const { node, ip, meta, incarnation } = fields;
    const ipBytes = ip.end - ip.start;
    if (node.length === 0 || (ipBytes !== 4 && ipBytes !== 16)) return void counters.malformed++;
    const port = fields.port === 0 ? this.#own.card.port : fields.port;
    const id = store.find(bytes, node.start, node.end);
    const known = table.state(id);
    let refresh = false;
    if (known !== stateOf.unknown) {
      const card = table.card(id);
      const knownIncarnation = table.incarnation(id);
      const moved = port !== card.port || !spanIs(bytes, ip, card.ip);
      if (moved && !this.#mayMove(id, known)) return this.#conflict(id, fields, bytes, port);
      if (id === c.selfId) {
        const versions = readVersions(c.versions, bytes, fields.versions);
        return this.#own.heard(incarnation, spanIs(bytes, meta, card.meta), versions);
      }
      if (!moved && incarnation <= knownIncarnation) {
        // The suspicion came before the word that it is about: the contents are still news.
        refresh = incarnation === knownIncarnation && card.incarnation < incarnation;
        if (!refresh) return;
      }
      if (this.#jumps(incarnation, knownIncarnation)) return;
    } else if (table.size >= c.config.maxMembers) return void counters.refused++;
    const card = this.#hold(fields, bytes, port);
    if (card !== undefined) this.#welcome(card, known, refresh);
  }

  /** Somebody is said to be suspect. */
  hearSuspect({ incarnation, node, from }: VerdictFields, bytes: Uint8Array): void {
    const { store, table } = this.#c;
    const id = store.find(bytes, node.start, node.end);
    // Most of what arrives is an echo; see that first.
    if (table.echoesSuspicion(id, incarnation)) return;
    const source = store.find(bytes, from.start, from.end);
    if (table.echoesAccuser(id, incarnation, source)) return;
    if (table.state(id) === stateOf.unknown) return;
    if (incarnation < table.incarnation(id)) return this.#outdated(id);
    const name = source < 0 ? bytes.subarray(from.start, from.end) : store.nameBytes(source);
    this.suspect(id, incarnation, source, name);
  }

  /** Somebody is said to be dead, or says itself that it leaves. */
  hearDead({ incarnation, node, from }: VerdictFields, bytes: Uint8Array): void {
    const { store, table } = this.#c;
    const id = store.find(bytes, node.start, node.end);
    if (table.echoesDeath(id, incarnation) && !sameSpan(bytes, node, from)) return;
    const known = table.state(id);
    if (known === stateOf.unknown) return;
    if (incarnation < table.incarnation(id)) return this.#outdated(id);
    if (known >= stateOf.dead && incarnation === table.incarnation(id)) {
      // Only its own word, that it left, says more than that it is dead.
      if (known === stateOf.left || !sameSpan(bytes, node, from)) return;
    }
    const source = store.find(bytes, from.start, from.end);
    const name = source < 0 ? bytes.subarray(from.start, from.end) : store.nameBytes(source);
    this.#bury(id, incarnation, source === id ? stateOf.left : stateOf.dead, name);
  }

  /** One member as another one sees it, from a push/pull. */
  hearState(fields: AliveFields, bytes: Uint8Array): void {
    const { store, table, counters, selfId } = this.#c;
    if (fields.state === 0) return this.hearAlive(fields, bytes);
    if (fields.state > 3) return void counters.malformed++;
    const id = store.find(bytes, fields.node.start, fields.node.end);
    if (table.state(id) === stateOf.unknown) return;
    if (id !== selfId) this.#catchUp(id, fields, bytes);
    if (fields.state === 3) {
      return this.#bury(id, fields.incarnation, stateOf.left, store.nameBytes(id));
    }
    // Dead counts as suspect: the other side may be the one that errs.
    this.suspect(id, fields.incarnation, selfId, store.nameBytes(selfId));
  }

  /**
   * An accusation that is overtaken: somebody missed the refutation, and may have
   * lost every copy of it. So what refuted it is passed on once more. Where packets
   * are lost this saves most of those who would be declared dead in spite of it.
   */
  #outdated(id: number): void {
    const { table, queue, selfId } = this.#c;
    if (id === selfId) return this.#own.repeat();
    if (table.state(id) === stateOf.alive && !queue.has(id)) this.#rumours.alive(table.card(id));
  }

  /** Begins or confirms a suspicion. `source` is -1 for a name that is not known. */
  suspect(id: number, incarnation: number, source: number, sourceName: Uint8Array): void {
    const c = this.#c;
    const { table, suspicions } = c;
    const known = table.state(id);
    if (known === stateOf.unknown) return;
    const knownIncarnation = table.incarnation(id);
    if (incarnation < knownIncarnation) return;
    if (id === c.selfId) return this.#own.refute(incarnation);
    if (this.#jumps(incarnation, knownIncarnation)) return;
    if (known === stateOf.suspect && incarnation === knownIncarnation && suspicions.has(id)) {
      // Mostly an echo, for which the accuser need not be looked up.
      if (
        suspicions.wants(id, source) && this.#trusts(source, id) && suspicions.confirm(id, source)
      ) {
        this.#rumours.suspect(id, incarnation, sourceName);
        table.countAccuser(id, source);
        if (suspicions.confirmed(id)) table.settle(id);
      }
      return;
    }
    if (!outranks(incarnation, stateOf.suspect, knownIncarnation, known)) return;
    table.judge(id, incarnation, stateOf.suspect, c.nowMs);
    c.counters.suspectCount++;
    this.#rumours.suspect(id, incarnation, sourceName);
    this.#beginSuspicion(id, this.#trusts(source, id) ? source : -1);
    if (known >= stateOf.dead) return this.#joined(id);
    if (!c.listening || known !== stateOf.alive) return;
    c.emit({ type: "suspected", member: table.snapshot(id), by: readable(sourceName) });
  }

  /**
   * When a suspicion ends next. Who hears nobody at all is more likely to be cut off
   * than alone: its suspicions wait until it hears somebody ({@linkcode heard}), or
   * until it is to be believed that nobody is left. Only where there are enough others
   * that their silence tells something.
   */
  get nextMs(): number {
    const { suspicions, config, table, heardMs } = this.#c;
    const { nextMs } = suspicions;
    if (nextMs === Infinity || !this.#deaf(nextMs)) return nextMs;
    return Math.max(nextMs, heardMs + suspicionMaxMs(config, table.size));
  }

  /** Somebody is heard. If nobody was for long, that time counts against no suspect: refutations may have come to nothing. */
  heard(): void {
    const { suspicions, heardMs, nowMs } = this.#c;
    if (this.#deaf(nowMs)) {
      suspicions.discount(heardMs, nowMs);
      this.#c.missedNews = true;
    }
    this.#c.heardMs = nowMs;
  }

  /** Suspicions whose time is up. */
  expire(): void {
    const { suspicions, table, store, selfId, nowMs, status } = this.#c;
    if (nowMs < this.nextMs) return;
    suspicions.expire(nowMs, (id) => {
      // Who leaves hears no more refutations, and so judges nobody.
      if (status !== "active" || table.state(id) !== stateOf.suspect) return;
      this.#bury(id, table.incarnation(id), stateOf.dead, store.nameBytes(selfId));
    });
  }

  /** Forgets who has been dead or gone for long enough. */
  reap(): void {
    const { table, selfId, nowMs, config } = this.#c;
    for (const id of table.goneFor(config.gossipToTheDeadMs, nowMs)) {
      if (id !== selfId) this.forget(id);
    }
  }

  /** Forgets one that is dead or has left. */
  forget(id: number): void {
    const c = this.#c;
    const member = c.listening ? c.table.snapshot(id) : undefined;
    c.queue.remove(id);
    c.table.remove(id);
    if (member !== undefined) c.emit({ type: "reaped", member });
  }

  /** The card in a message; undefined if we want no such member, which is counted. */
  #hold(fields: AliveFields, bytes: Uint8Array, port: number): Card | undefined {
    const { store, counters, versions: own, delegate } = this.#c;
    const { node, ip, meta, incarnation } = fields;
    const versions = readVersions(own, bytes, fields.versions);
    if (meta.length > maxMetaBytes || !understand(own, versions)) {
      return void counters.refused++;
    }
    let card: Card;
    try {
      const ipBytes = bytes.subarray(ip.start, ip.end);
      const metaBytes = bytes.subarray(meta.start, meta.end);
      card = store.hold(
        bytes,
        node.start,
        node.end,
        ipBytes,
        port,
        metaBytes,
        versions,
        incarnation,
      );
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return void counters.malformed++; // The name is not UTF-8.
    }
    if (delegate.notifyAlive?.(aliveMember(card)) === undefined) return card;
    store.release(card.id);
    return void counters.refused++;
  }

  #welcome(card: Card, known: number, refresh: boolean): void {
    const c = this.#c;
    const { table } = c;
    const id = card.nameId;
    if (known === stateOf.unknown) table.add(card);
    const changed = known !== stateOf.unknown && this.#describe(card);
    if (!refresh) {
      c.suspicions.end(id);
      if (known !== stateOf.unknown) table.judge(id, card.incarnation, stateOf.alive, c.nowMs);
      this.#rumours.alive(card);
      if (known === stateOf.unknown || known >= stateOf.dead) return this.#joined(id);
    }
    if (!c.listening) return;
    const member = table.snapshot(id);
    if (known === stateOf.suspect && !refresh) c.emit({ type: "recovered", member });
    if (changed) c.emit({ type: "updated", member });
  }

  /** Takes a newer card. True if it says something else. */
  #describe(card: Card): boolean {
    const { table } = this.#c;
    const changed = !sameContents(table.card(card.nameId), card);
    table.describe(card);
    return changed;
  }

  #joined(id: number): void {
    const c = this.#c;
    c.counters.topologyChanges++;
    if (c.listening) c.emit({ type: "joined", member: c.table.snapshot(id) });
  }

  #bury(id: number, incarnation: number, state: number, from: Uint8Array): void {
    const c = this.#c;
    const { table } = c;
    const known = table.state(id);
    const knownIncarnation = table.incarnation(id);
    if (id === c.selfId) return this.#own.refute(incarnation);
    if (!outranks(incarnation, state, knownIncarnation, known)) return;
    if (this.#jumps(incarnation, knownIncarnation)) return;
    c.suspicions.end(id);
    table.judge(id, incarnation, state, c.nowMs);
    this.#rumours.dead(id, incarnation, from);
    if (known <= stateOf.suspect) c.counters.topologyChanges++;
    if (!c.listening) return;
    const member = table.snapshot(id);
    if (state === stateOf.left) c.emit({ type: "left", member });
    else c.emit({ type: "failed", member, by: readable(from) });
  }

  #beginSuspicion(id: number, source: number): void {
    const { config, table, suspicions, nowMs } = this.#c;
    const members = table.size;
    const wanted = this.#enoughOthers(members) ? config.suspicionConfirmations : 0;
    const minMs = suspicionMinMs(config, members);
    suspicions.begin(id, source, wanted, minMs, suspicionMaxMs(config, members), nowMs);
    if (wanted === 0) table.settle(id);
    else if (source >= 0) table.countAccuser(id, source);
  }

  /** Nobody will have been heard for long at some time, if nobody is until then. */
  #deaf(atMs: number): boolean {
    const { config, table, heardMs } = this.#c;
    const { deafPeriods, probeIntervalMs } = config;
    return deafPeriods > 0 && atMs - heardMs > deafPeriods * probeIntervalMs &&
      this.#enoughOthers(table.size);
  }

  /** The word of members counts, but not what one says of itself. */
  #trusts(source: number, about: number): boolean {
    return source !== about && this.#c.table.state(source) !== stateOf.unknown;
  }

  /** Enough others, without this node and the accused, must be there to confirm a suspicion. */
  #enoughOthers(members: number): boolean {
    return members - 2 >= this.#c.config.suspicionConfirmations;
  }

  /** Suspect and dead members of a push/pull come with a whole card, perhaps newer than ours. */
  #catchUp(id: number, fields: AliveFields, bytes: Uint8Array): void {
    const { table, listening } = this.#c;
    const card = table.card(id);
    const { incarnation, port, ip } = fields;
    if (incarnation <= card.incarnation || port !== card.port || !spanIs(bytes, ip, card.ip)) {
      return;
    }
    if (incarnation - table.incarnation(id) > maxIncarnationJump) return;
    const newer = this.#hold(fields, bytes, port);
    if (newer === undefined || !this.#describe(newer) || !listening) return;
    this.#c.emit({ type: "updated", member: table.snapshot(id) });
  }

  /** A name may move once its bearer left, or has been dead for as long as the configuration says. */
  #mayMove(id: number, known: number): boolean {
    const { config, table, nowMs, selfId } = this.#c;
    if (known === stateOf.left) return id !== selfId;
    return known === stateOf.dead && config.deadNodeReclaimMs > 0 &&
      nowMs - (table.sinceMs(id) ?? nowMs) > config.deadNodeReclaimMs;
  }

  #conflict(id: number, fields: AliveFields, bytes: Uint8Array, port: number): void {
    const c = this.#c;
    c.counters.refused++;
    if (!c.listening || c.status !== "active") return;
    const member = c.table.snapshot(id);
    const ip = bytes.slice(fields.ip.start, fields.ip.end);
    const meta = bytes.slice(fields.meta.start, fields.meta.end);
    const versions = readVersions(c.versions, bytes, fields.versions);
    const { incarnation } = fields;
    const address = formatAddress(ip, port);
    const { name } = member;
    const other = { name, address, ip, port, meta, state: "alive", incarnation, versions } as const;
    c.emit({ type: "conflict", member, other });
  }

  #jumps(incarnation: number, known: number): boolean {
    if (incarnation - known <= maxIncarnationJump) return false;
    this.#c.counters.incarnationJumps++;
    return true;
  }
}

function spanIs(bytes: Uint8Array, { start, end }: Span, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let i = 0; i < other.length; i++) if (bytes[start + i] !== other[i]) return false;
  return true;
}

function sameSpan(bytes: Uint8Array, a: Span, b: Span): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (bytes[a.start + i] !== bytes[b.start + i]) return false;
  }
  return true;
}

function sameContents(a: Card, b: Card): boolean {
  return a.address === b.address && sameBytes(a.meta, b.meta) &&
    sameVersions(a.versions, b.versions);
}

function aliveMember(card: Card): SwimMember {
  const { name, address, ip, port, meta, incarnation, versions } = card;
  return { name, address, ip, port, meta, incarnation, versions, state: stateNames[1]! };
}

function readable(name: Uint8Array): string {
  try {
    return decodeUtf8(name);
  } catch {
    return "(not readable)";
  }
}

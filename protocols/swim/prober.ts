/**
 * Probing: is the next member in the round still there? (SWIM section 3.1.)
 *
 * Each period one member is pinged. Without an ack in time, some others are asked
 * to ping it for us, and it is pinged over a stream, all until the period ends;
 * then it is suspect. A period is stretched by local health (Lifeguard section
 * 4.1), which those asked inform too: a nack says that they are well and the
 * target does not answer them either, and no word at all hints that it is we who
 * are deaf. A suspect is told so together with its ping (Lifeguard section 4.3,
 * the buddy system), so that it can refute at once.
 *
 * Sequence numbers are random, so an ack cannot be guessed, and it must come from
 * where it can come from. Probes that others ask for are made only between
 * members, and only so many a second.
 */
import type { Context } from "./context.ts";
import type { Membership } from "./membership.ts";
import type { OwnWord } from "./own_word.ts";
import type { Outbox } from "./outbox.ts";
import { stateOf } from "./verdicts.ts";
import { messageType, writeIndirectPing, writePing, writeVerdict } from "./wire/messages.ts";

/** From these protocol versions on a member answers stream pings, and sends nacks. */
const streamPingVersion = 3;
const nackVersion = 4;

interface Probe {
  readonly id: number;
  readonly address: string;
  readonly sequence: number;
  readonly sentMs: number;
  /** When others are asked. */
  readonly timeoutMs: number;
  /** When the period ends. */
  readonly periodMs: number;
  /** When the verdict falls, as late as local health allows. */
  readonly deadlineMs: number;
  /** Who was asked, by address. Undefined: nobody yet. */
  helpers: string[] | undefined;
  /** Of those, who should send nacks and has not yet. */
  silent: Set<string>;
  /** Whether nacks can tell anything. */
  nacksExpected: boolean;
  /** How many of those who were asked have sent one. */
  nacks: number;
  /** An answer came over the stream. */
  streamAnswered: boolean;
}

/** Opens a stream probe; `answered` is called if the right ack comes. */
export type StreamPing = (
  address: string,
  sequence: number,
  name: Uint8Array,
  deadlineMs: number,
  answered: () => void,
) => void;

/** The probes of one machine that it makes on its own account. */
export class Prober {
  readonly #c: Context;
  readonly #membership: Membership;
  readonly #own: OwnWord;
  readonly #outbox: Outbox;
  readonly #streamPing: StreamPing;
  readonly #picked: number[] = [];
  #probe: Probe | undefined;
  #nextProbeMs: number;
  /** Whom to probe next, out of turn. */
  #again = -1;

  /** The first probe comes within a period, at random, so that members are not in step. */
  constructor(
    context: Context,
    membership: Membership,
    own: OwnWord,
    outbox: Outbox,
    streamPing: StreamPing,
    nowMs: number,
  ) {
    this.#c = context;
    this.#membership = membership;
    this.#own = own;
    this.#outbox = outbox;
    this.#streamPing = streamPing;
    this.#nextProbeMs = nowMs + context.random() * context.config.probeIntervalMs;
  }

  /** When to call `timer`. */
  get nextMs(): number {
    const probe = this.#probe;
    if (probe === undefined) return this.#nextProbeMs;
    return probe.helpers === undefined ? probe.timeoutMs : this.#verdictMs(probe);
  }

  /** The time has come, or any other time has. */
  timer(): void {
    const { nowMs } = this.#c;
    const probe = this.#probe;
    if (probe !== undefined) {
      if (probe.helpers === undefined && nowMs >= probe.timeoutMs) this.#askOthers(probe);
      if (nowMs >= this.#verdictMs(probe)) this.#conclude(probe);
    }
    if (this.#probe === undefined && nowMs >= this.#nextProbeMs) this.#begin();
  }

  /** An ack arrived. True if it was for the probe under way. */
  ack(sequence: number, from: string, payload: Uint8Array): boolean {
    const probe = this.#probe;
    if (probe === undefined || probe.sequence !== sequence) return false;
    const { config, counters, table, delegate, nowMs } = this.#c;
    const direct = from === probe.address;
    if (config.checkAckSource && !direct && !probe.helpers?.includes(from)) return false;
    counters.ackCount++;
    this.#probe = undefined;
    this.#c.adjustHealth(-1);
    if (probe.helpers === undefined && table.state(probe.id) !== stateOf.unknown) {
      const { pingComplete } = delegate;
      if (pingComplete !== undefined) {
        const member = table.snapshot(probe.id);
        pingComplete.call(delegate, member, nowMs - probe.sentMs, payload, nowMs);
      }
    }
    return true;
  }

  /** A nack arrived. True if it was for the probe under way, and from somebody who was asked. */
  nack(sequence: number, from: string): boolean {
    const probe = this.#probe;
    if (probe === undefined || probe.sequence !== sequence) return false;
    const sender = this.#c.config.checkAckSource ? from : [...probe.silent][0];
    if (sender === undefined || !probe.silent.delete(sender)) return false;
    probe.nacks++;
    return true;
  }

  /**
   * When the verdict falls. Local health gives the target more time in case that we are
   * the one that is slow; if most of those who were asked could tell us in time that
   * they do not reach it either, we are not.
   */
  #verdictMs(probe: Probe): number {
    const most = probe.helpers !== undefined && 2 * probe.nacks > probe.helpers.length;
    return most ? probe.periodMs : probe.deadlineMs;
  }

  /** This process stood still: what was under way says nothing, and begins anew. */
  paused(): void {
    this.#again = this.#probe?.id ?? -1;
    this.#probe = undefined;
    this.#nextProbeMs = this.#c.nowMs;
  }

  #begin(): void {
    const { config, table, selfId, nowMs, counters, awareness, store, status } = this.#c;
    const { probeIntervalMs } = config;
    // Missed periods are not made up for; the phase stays.
    const late = Math.floor((nowMs - this.#nextProbeMs) / probeIntervalMs);
    this.#nextProbeMs += (late + 1) * probeIntervalMs;
    if (status !== "active") return;
    const wanted = (id: number) => id !== selfId && table.state(id) <= stateOf.suspect;
    const again = this.#again;
    this.#again = -1;
    const id = again >= 0 && table.state(again) !== stateOf.unknown && wanted(again)
      ? again
      : table.next(wanted, () => this.#membership.reap());
    if (id < 0) return;
    const card = table.card(id);
    const sequence = this.newSequence();
    this.#probe = {
      id,
      address: card.address,
      sequence,
      sentMs: nowMs,
      timeoutMs: nowMs + config.probeTimeoutMs,
      periodMs: nowMs + probeIntervalMs,
      deadlineMs: nowMs + awareness.stretch(probeIntervalMs),
      helpers: undefined,
      silent: noneSilent,
      nacksExpected: false,
      nacks: 0,
      streamAnswered: false,
    };
    counters.pingCount++;
    let accusation: Uint8Array | undefined;
    if (config.tellSuspects && table.state(id) === stateOf.suspect) {
      writeVerdict(
        store.bench.second.reset(),
        messageType.suspect,
        table.incarnation(id),
        store.nameBytes(id),
        store.nameBytes(selfId),
      );
      accusation = store.bench.second.view();
    }
    writePing(this.#outbox.message.reset(), sequence, store.nameBytes(id), this.source);
    this.#outbox.send(card.address, card.versions[1], accusation);
  }

  #askOthers(probe: Probe): void {
    const { config, table, store, selfId } = this.#c;
    probe.helpers = [];
    probe.silent = new Set();
    if (table.state(probe.id) === stateOf.unknown) return;
    const { ip, port, versions } = table.card(probe.id);
    const name = store.nameBytes(probe.id);
    const count = table.pick(
      config.indirectChecks,
      (id) => id !== selfId && id !== probe.id && table.state(id) === stateOf.alive,
      this.#picked,
    );
    for (let i = 0; i < count; i++) {
      const helper = table.card(this.#picked[i]!);
      const nack = helper.versions[1] >= nackVersion;
      if (nack) {
        probe.silent.add(helper.address);
        probe.nacksExpected = true;
      }
      probe.helpers.push(helper.address);
      const writer = this.#outbox.message.reset();
      writeIndirectPing(writer, probe.sequence, name, ip, port, nack, this.source);
      this.#outbox.send(helper.address, helper.versions[1]);
    }
    if (config.streamFallback && versions[1] >= streamPingVersion) {
      this.#streamPing(probe.address, probe.sequence, name, probe.deadlineMs, () => {
        probe.streamAnswered = true;
      });
    }
  }

  #conclude(probe: Probe): void {
    const { table, counters, selfId, store } = this.#c;
    this.#probe = undefined;
    const state = table.state(probe.id);
    if (state === stateOf.unknown || state > stateOf.suspect) return;
    // The member came back under another address meanwhile: this probe was not for it.
    if (table.card(probe.id).address !== probe.address) return;
    if (probe.streamAnswered) return this.#c.adjustHealth(-1);
    counters.failedPingCount++;
    this.#c.adjustHealth(probe.nacksExpected ? probe.silent.size : 1);
    this.#membership.suspect(
      probe.id,
      table.incarnation(probe.id),
      selfId,
      store.nameBytes(selfId),
    );
  }

  /** What this node tells with a ping: where to send the ack. */
  get source(): { ip: Uint8Array; port: number; name: Uint8Array } {
    const { ip, port, nameId } = this.#own.card;
    return { ip, port, name: this.#c.store.nameBytes(nameId) };
  }

  /** A sequence number that nobody can guess. */
  newSequence(): number {
    return Math.floor(this.#c.random() * 0x100000000);
  }
}

const noneSilent: Set<string> = new Set();

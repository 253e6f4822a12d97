/**
 * What is done at the request of others, and single pings of our own.
 *
 * Acks for whoever pings us, pings on behalf of a member that cannot reach
 * another, and the answers to those. A packet's sender can be forged, so this is
 * where an attacker would make us attack somebody: only members are pinged, at
 * the address that we know; only members may ask; a stranger gets a bare ack,
 * smaller than its ping; and all that is not for a member's own probe is bounded
 * by a rate.
 */
import type { Context } from "./context.ts";
import type { Outbox } from "./outbox.ts";
import type { Prober } from "./prober.ts";
import { stateOf } from "./verdicts.ts";
import type { AckFields, PingFields } from "./wire/messages.ts";
import { writeAck, writeNack, writePing } from "./wire/messages.ts";
import { empty } from "./wire/msgpack.ts";
import { formatAddress } from "./address.ts";

/** A ping of ours that waits for its ack. */
interface Wait {
  readonly id: number;
  readonly address: string;
  readonly sentMs: number;
  deadlineMs: number;
  /** On whose behalf; undefined for one of our own. */
  readonly favour: {
    readonly sequence: number;
    readonly to: string;
    readonly pmax: number;
    /** A nack is wanted, and has not been sent. */
    nack: boolean;
  } | undefined;
}

const maxPayloadBytes = 512;
/**
 * The share of the probe time-out after which a helper sends its nack (Lifeguard
 * section 4.1). With all of it the nack would arrive when the verdict has fallen,
 * where the time-out is half of the period, as it is by default.
 */
const nackShare = 0.8;
const maxWaits = 4096;

/** What one machine does for others. */
export class Favours {
  readonly #c: Context;
  readonly #outbox: Outbox;
  readonly #prober: Prober;
  readonly #waits: Map<number, Wait> = new Map();
  /** When the first of them is due; perhaps earlier, never later. */
  #nextMs = Infinity;
  #tokens: number;
  #tokensAtMs: number;

  /** On the shared context. */
  constructor(context: Context, outbox: Outbox, prober: Prober, nowMs: number) {
    this.#c = context;
    this.#outbox = outbox;
    this.#prober = prober;
    this.#tokens = context.config.maxFavoursPerSecond;
    this.#tokensAtMs = nowMs;
  }

  /** When to call `timer`. Infinity if nothing waits. */
  get nextMs(): number {
    return this.#nextMs;
  }

  /** Who has an address: the number of a member alive or suspect, or -1. */
  memberAt(address: string): number {
    const { store, table } = this.#c;
    const card = store.atAddress(address, (card) => {
      const state = table.state(card.nameId);
      return (state === stateOf.alive || state === stateOf.suspect) &&
        table.card(card.nameId).address === address;
    });
    return card?.nameId ?? -1;
  }

  /** Somebody pings us. */
  ping(fields: PingFields, bytes: Uint8Array, from: string): void {
    const { store, selfId, table, delegate, counters } = this.#c;
    const { node, sourceIp, sourcePort, sequence } = fields;
    if (node.length > 0 && store.find(bytes, node.start, node.end) !== selfId) {
      return void counters.strangers++;
    }
    const to = this.#requester(from, bytes, sourceIp.start, sourceIp.end, sourcePort);
    if (to === undefined) {
      if (!this.#afford()) return;
      writeAck(this.#outbox.message.reset(), sequence);
      return this.#outbox.sendBare(from);
    }
    const payload: Uint8Array = delegate.ackPayload?.() ?? empty;
    writeAck(
      this.#outbox.message.reset(),
      sequence,
      payload.length <= maxPayloadBytes ? payload : empty,
    );
    const { address, versions } = table.card(to);
    this.#outbox.send(address, versions[1]);
  }

  /** Somebody asks us to ping another. */
  indirectPing(fields: PingFields, bytes: Uint8Array, from: string): void {
    const { store, table, counters, config, nowMs, status } = this.#c;
    const { node, sourceIp, target } = fields;
    const requester = this.#requester(
      from,
      bytes,
      sourceIp.start,
      sourceIp.end,
      fields.sourcePort,
    );
    const id = node.length > 0
      ? store.find(bytes, node.start, node.end)
      : this.memberAt(formatTarget(bytes.subarray(target.start, target.end), fields.port));
    const state = table.state(id);
    if (
      requester === undefined || status !== "active" || id === this.#c.selfId ||
      (state !== stateOf.alive && state !== stateOf.suspect)
    ) return void counters.strangers++;
    if (!this.#afford() || this.#waits.size >= maxWaits) return;
    const to = table.card(requester);
    counters.relays++;
    const waitMs = config.probeTimeoutMs * (fields.nack ? nackShare : 1);
    this.#pingAndWait(id, {
      sequence: fields.sequence,
      to: to.address,
      pmax: to.versions[1],
      nack: fields.nack,
    }, nowMs + waitMs);
  }

  /** Pings a member once, for whoever called the command. */
  pingFor(id: number): boolean {
    const { config, nowMs } = this.#c;
    if (this.#waits.size >= maxWaits) return false;
    this.#pingAndWait(id, undefined, nowMs + config.probeTimeoutMs);
    return true;
  }

  /** An ack arrived that was not for the probe. */
  ack({ sequence, payload }: AckFields, bytes: Uint8Array, from: string): void {
    const c = this.#c;
    const wait = this.#waits.get(sequence);
    if (wait === undefined || (c.config.checkAckSource && from !== wait.address)) {
      return void c.counters.unmatchedAcks++;
    }
    this.#waits.delete(sequence);
    // Left behind, it would look like a time that was slept through.
    if (this.#waits.size === 0) this.#nextMs = Infinity;
    if (wait.favour !== undefined) {
      writeAck(this.#outbox.message.reset(), wait.favour.sequence);
      return this.#outbox.send(wait.favour.to, wait.favour.pmax);
    }
    c.counters.ackCount++;
    if (c.table.state(wait.id) === stateOf.unknown) return;
    const rttMs = c.nowMs - wait.sentMs;
    const member = c.table.snapshot(wait.id);
    c.delegate.pingComplete?.(
      member,
      rttMs,
      bytes.subarray(payload.start, payload.end),
      c.nowMs,
    );
    c.emit({ type: "pinged", name: member.name, rttMs });
  }

  /** Nobody answered in time. */
  timer(): void {
    const c = this.#c;
    if (c.nowMs < this.#nextMs) return;
    this.#nextMs = Infinity;
    for (const [sequence, wait] of this.#waits) {
      if (wait.deadlineMs > c.nowMs) {
        this.#nextMs = Math.min(this.#nextMs, wait.deadlineMs);
        continue;
      }
      const { favour } = wait;
      if (favour?.nack) {
        // An ack that comes after all is still passed on.
        favour.nack = false;
        wait.deadlineMs += c.config.probeTimeoutMs * (1 - nackShare);
        this.#nextMs = Math.min(this.#nextMs, wait.deadlineMs);
        writeNack(this.#outbox.message.reset(), favour.sequence);
        this.#outbox.send(favour.to, favour.pmax);
        continue;
      }
      this.#waits.delete(sequence);
      if (favour === undefined && c.table.state(wait.id) !== stateOf.unknown) {
        c.emit({ type: "pinged", name: c.table.card(wait.id).name });
      }
    }
  }

  /** This process stood still for so long: those who asked have given up; our own pings get more time. */
  paused(ms: number): void {
    for (const [sequence, wait] of this.#waits) {
      if (wait.favour === undefined) wait.deadlineMs += ms;
      else this.#waits.delete(sequence);
    }
    this.#nextMs = this.#waits.size === 0 ? Infinity : this.#nextMs + ms;
  }

  /** Ends all. */
  clear(): void {
    this.#waits.clear();
    this.#nextMs = Infinity;
  }

  #pingAndWait(id: number, favour: Wait["favour"], deadlineMs: number): void {
    const { table, store, nowMs } = this.#c;
    let sequence = this.#prober.newSequence();
    while (this.#waits.has(sequence)) sequence = this.#prober.newSequence();
    const { address, versions } = table.card(id);
    this.#waits.set(sequence, { id, address, sentMs: nowMs, deadlineMs, favour });
    this.#nextMs = Math.min(this.#nextMs, deadlineMs);
    writePing(
      this.#outbox.message.reset(),
      sequence,
      store.nameBytes(id),
      this.#prober.source,
    );
    this.#outbox.send(address, versions[1]);
  }

  /** The member who asks: by where the packet comes from, else by where it says that it comes from. */
  #requester(
    from: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    port: number,
  ): number | undefined {
    let id = this.memberAt(from);
    if (id < 0 && end > start) {
      id = this.memberAt(formatTarget(bytes.subarray(start, end), port));
    }
    return id < 0 ? undefined : id;
  }

  #afford(): boolean {
    const { config, nowMs, counters } = this.#c;
    const rate = config.maxFavoursPerSecond;
    this.#tokens = Math.min(rate, this.#tokens + (nowMs - this.#tokensAtMs) * rate / 1000);
    this.#tokensAtMs = nowMs;
    if (this.#tokens < 1) {
      counters.limited++;
      return false;
    }
    this.#tokens--;
    return true;
  }
}

function formatTarget(ip: Uint8Array, port: number): string {
  return ip.length === 4 || ip.length === 16 ? formatAddress(ip, port) : "";
}

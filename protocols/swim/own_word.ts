/**
 * What this member says of itself (SWIM section 4.2: only it raises its incarnation).
 *
 * Whoever doubts it is answered by the word that it is alive, at an incarnation
 * above the accusation; that costs local health, for there was a reason to doubt.
 * Who accuses it at an earlier one missed that word, and is told it again. Its own
 * departure is a death that it declares itself.
 */
import { type Card, sameVersions } from "./cards.ts";
import type { Context } from "./context.ts";
import type { Versions } from "./versions.ts";
import type { Rumours } from "./rumours.ts";
import { maxIncarnation, maxIncarnationJump, stateOf } from "./verdicts.ts";

/** The own word of one machine. */
export class OwnWord {
  readonly #c: Context;
  readonly #rumours: Rumours;

  /** Announces this node. */
  constructor(context: Context, rumours: Rumours) {
    this.#c = context;
    this.#rumours = rumours;
    rumours.alive(this.card);
  }

  /** This node's own card. */
  get card(): Card {
    return this.#c.table.card(this.#c.selfId);
  }

  /**
   * We are said to be alive, at our own address. An echo, unless somebody started
   * with our name and other contents, or we did, before a crash.
   */
  heard(incarnation: number, sameMeta: boolean, versions: Versions): void {
    if (this.#c.status !== "active" || incarnation < this.card.incarnation) return;
    const echo = incarnation === this.card.incarnation && sameMeta &&
      sameVersions(versions, this.card.versions);
    if (!echo) this.refute(incarnation);
  }

  /** We are said to be suspect, dead or gone, at this incarnation. */
  refute(accused: number): void {
    const c = this.#c;
    const own = this.card.incarnation;
    if (c.status !== "active" || accused < own) return;
    if (accused - own > maxIncarnationJump || accused >= maxIncarnation) {
      c.counters.incarnationJumps++;
      return;
    }
    c.counters.refutations++;
    this.#speak(accused + 1, this.card.meta);
    c.adjustHealth(1);
    c.emit({ type: "incarnation", incarnation: accused + 1, refuting: true });
  }

  /**
   * An accusation from before our last word: whoever says so has not heard that, and
   * may have lost every copy of it. So it is said once more, unless it still is.
   */
  repeat(): void {
    const { status, queue, selfId } = this.#c;
    if (status === "active" && !queue.has(selfId)) this.#rumours.alive(this.card);
  }

  /** New metadata. */
  updateMeta(meta: Uint8Array): void {
    const c = this.#c;
    if (this.card.incarnation >= maxIncarnation) return void c.counters.incarnationJumps++;
    this.#speak(this.card.incarnation + 1, meta);
    c.emit({ type: "incarnation", incarnation: this.card.incarnation, refuting: false });
    if (c.listening) c.emit({ type: "updated", member: c.table.snapshot(c.selfId) });
  }

  /** We leave. `sent` is called when everybody should have heard; perhaps at once. */
  leave(sent: () => void): void {
    const { table, selfId, store, queue, nowMs } = this.#c;
    const incarnation = table.incarnation(selfId);
    table.judge(selfId, incarnation, stateOf.left, nowMs);
    this.#rumours.dead(selfId, incarnation, store.nameBytes(selfId), sent);
    // With nobody to tell, the rumour would wait for ever.
    if (table.live === 0) queue.remove(selfId);
  }

  #speak(incarnation: number, meta: Uint8Array): void {
    const { table, store, selfId, nowMs } = this.#c;
    const { ip, port, versions } = this.card;
    const name = store.nameBytes(selfId);
    const card = store.hold(name, 0, name.length, ip, port, meta, versions, incarnation);
    table.describe(card);
    table.judge(selfId, incarnation, stateOf.alive, nowMs);
    this.#rumours.alive(card);
  }
}

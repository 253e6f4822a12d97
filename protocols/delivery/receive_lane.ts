/**
 * The receiving side: what of a sender was taken, and what comes next.
 *
 * A lane takes exactly the next sequence. One below it was taken before: a
 * duplicate or a replay, counted and acknowledged again, never handed up. One above
 * it follows a message that was not taken: refused, and the sender goes back. So a
 * lane is two numbers, whatever a sender does, and what it hands up is in order.
 *
 * Volatile lanes live in {@linkcode Senders}, one entry a sender, the one heard of
 * longest ago forgotten first. A sender that begins to count anew (another epoch, by
 * a process that is not older) begins anew here.
 */
/** What a sequence is to a lane. */
export type Judgement = "next" | "seen" | "gap";

/** One lane. */
export class ReceiveLane {
  #expected: number;
  #done: number;

  /**
   * Nothing has been taken.
   * @param first the sequence that it takes first.
   */
  constructor(first: number) {
    this.#expected = this.#done = first;
  }

  /** The sequence that it takes next. */
  get expected(): number {
    return this.#expected;
  }

  /** Everything below is done with: what is acknowledged. */
  get done(): number {
    return this.#done;
  }

  /** The sender says that nothing below `base` will come. */
  announced(base: number): void {
    if (base <= this.#expected) return;
    this.#expected = this.#done = base;
  }

  /** What a message that arrived is. */
  judge(sequence: number): Judgement {
    if (sequence === this.#expected) return "next";
    return sequence < this.#expected ? "seen" : "gap";
  }

  /** Takes the next one in, to be finished later. */
  take(): void {
    this.#expected++;
  }

  /** The first that was taken and not finished is done with. */
  finish(): void {
    if (this.#done < this.#expected) this.#done++;
  }

  /** What was taken and not finished is to come again. */
  forget(): void {
    this.#expected = this.#done;
  }
}

/** The lanes of one sender in one epoch. */
export interface SenderLanes {
  /** Which start of the sender counts. */
  readonly generation: number;
  /** What it called this count. */
  readonly epoch: bigint;
  /** By the number of the lane. */
  readonly lanes: (ReceiveLane | undefined)[];
  /** True once it is forgotten or superseded: what is still under way in it is refused. */
  retired: boolean;
}

/** How many senders are looked at for one that may be forgotten. */
const mostLookedAt = 64;

/** The volatile lanes of all senders. */
export class Senders {
  readonly #max: number;
  readonly #inUse: (id: string) => boolean;
  readonly #byId = new Map<string, SenderLanes>();

  /**
   * Knows of nobody.
   * @param max senders remembered; those in use may be more.
   * @param inUse whether a sender can send now: it is not forgotten.
   */
  constructor(max: number, inUse: (id: string) => boolean) {
    this.#max = max;
    this.#inUse = inUse;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#byId.size;
  }

  /**
   * A sender says where a lane begins.
   * @returns its lanes, that one among them; undefined if an older start of it said so: what that sends is not taken.
   */
  announced(
    id: string,
    generation: number,
    epoch: bigint,
    lane: number,
    base: number,
  ): SenderLanes | undefined {
    let known = this.#byId.get(id);
    if (known !== undefined && generation < known.generation) return undefined;
    if (known === undefined || known.epoch !== epoch || known.generation !== generation) {
      if (known !== undefined) known.retired = true;
      known = { generation, epoch, lanes: [], retired: false };
    }
    this.#byId.delete(id);
    this.#byId.set(id, known);
    if (this.#byId.size > this.#max) this.#forgetOne();
    const found = known.lanes[lane];
    if (found === undefined) known.lanes[lane] = new ReceiveLane(base);
    else found.announced(base);
    return known;
  }

  /** A bounded search for one that may go; the list is as long as the links allow otherwise. */
  #forgetOne(): void {
    let looked = 0;
    for (const [id, known] of this.#byId) {
      if (!this.#inUse(id)) {
        known.retired = true;
        this.#byId.delete(id);
        return;
      }
      if (++looked === mostLookedAt) return;
    }
  }
}

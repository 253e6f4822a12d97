/** Joins under way: which addresses each of them waits for. */
import type { Context } from "./context.ts";
import type { SerfJoinReply } from "./types.ts";

/** Joins at a time; beyond, the oldest is over. */
const maxJoins = 64;

interface Join {
  readonly waiting: Set<string>;
  readonly errors: Record<string, string>;
  readonly replay: boolean;
  readonly untilMs: number;
  readonly done: ((reply: SerfJoinReply) => void) | undefined;
  contacted: number;
}

/** The joins of one machine. */
export class Joining {
  readonly #c: Context;
  readonly #joined: () => void;
  #joins: Join[] = [];

  /** `joined` is called for each join by which somebody was reached, before it is told to be done. */
  constructor(context: Context, joined: () => void) {
    this.#c = context;
    this.#joined = joined;
  }

  /** When to call `timer`. Infinity if none is under way. */
  get nextMs(): number {
    return this.#joins.reduce((nextMs, { untilMs }) => Math.min(nextMs, untilMs), Infinity);
  }

  /** True if a join is under way that wants no events of the past. */
  get ignoresPast(): boolean {
    return this.#joins.some(({ replay }) => !replay);
  }

  /** Begins one. */
  begin(
    addresses: readonly string[],
    replay: boolean,
    done: ((reply: SerfJoinReply) => void) | undefined,
  ): void {
    const join: Join = {
      waiting: new Set(addresses),
      errors: Object.create(null),
      replay,
      untilMs: this.#c.nowMs + this.#c.config.joinTimeoutMs,
      done,
      contacted: 0,
    };
    if (join.waiting.size === 0) return this.#end(join);
    if (this.#joins.length >= maxJoins) this.#give(this.#joins[0]!, "too many joins at a time");
    this.#joins.push(join);
    this.#c.swim.join([...join.waiting], this.#c.nowMs);
  }

  /** A push/pull that joins is over. */
  synced(address: string, error: string | undefined): void {
    for (const join of [...this.#joins]) {
      if (!join.waiting.delete(address)) continue;
      if (error === undefined) join.contacted++;
      else join.errors[address] = error;
      if (join.waiting.size === 0) this.#end(join);
    }
  }

  /** Ends joins that nobody answers. */
  timer(): void {
    for (const join of [...this.#joins]) {
      if (join.untilMs <= this.#c.nowMs) this.#give(join, "timed out");
    }
  }

  #give(join: Join, reason: string): void {
    for (const address of join.waiting) join.errors[address] = reason;
    this.#end(join);
  }

  #end(join: Join): void {
    this.#joins = this.#joins.filter((other) => other !== join);
    if (join.contacted > 0) this.#joined();
    join.done?.({ contacted: join.contacted, errors: join.errors });
  }
}

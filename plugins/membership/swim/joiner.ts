/**
 * Finding the others, for as long as it takes.
 *
 * Candidates are the configured addresses, what discovery finds, and everybody
 * who was known before, in this life or an earlier one. While this node is alone
 * all of them are tried, soon and then ever more rarely. In company, one that
 * should be there and is not is tried every so often: a seed that never answered,
 * or a former member that is not alive here. So two halves of a cluster find each
 * other again whichever of them was reachable last, and however long it took.
 * Those who left are not looked for.
 *
 * An address at which somebody should gossip, and nobody does, is trouble while
 * this node is alone. One that was merely guessed is not: it may be of a node that
 * does not gossip. It is tried all the same, and said once.
 */
import type { Host, Timer } from "../../../core/kernel/host.ts";
import type { Candidates } from "./discovered.ts";
import type { Layer } from "./layer.ts";

/** The first pause while alone, in ms; doubled up to the interval. */
const firstRetryMs = 500;
/** Addresses tried at a time while alone. */
const maxAtOnce = 16;
/** In company: former members, and seeds, tried at a time. */
const maxInCompany = 2;

/** What a joiner works with. */
export interface JoinerParts {
  readonly host: Host;
  readonly layer: Layer;
  /** Where this node gossips, `host:port`. */
  readonly address: string;
  /** What the configuration, discovery and links come to. */
  readonly seeds: () => Candidates;
  /** Who was known, by name. */
  readonly known: () => readonly (readonly [name: string, address: string])[];
  readonly intervalMs: number;
  /** False once this node leaves. */
  readonly active: () => boolean;
  /** Runs something that calls the machines. */
  readonly enter: (run: () => void) => void;
}

/** See the head of this file. */
export class Joiner implements Disposable {
  readonly #parts: JoinerParts;
  /** Seeds that answered since this node was last alone. */
  readonly #reached = new Set<string>();
  #timer: Timer | undefined;
  #waitMs = firstRetryMs;
  #busy = false;
  #ended = false;
  #tried: readonly string[] = [];
  /** What was tried, or could have been, on no better ground than a guess. */
  #guesses: ReadonlySet<string> = new Set();
  #guessTold = false;
  #trouble: string | undefined;

  constructor(parts: JoinerParts) {
    this.#parts = parts;
  }

  /** Why this node is alone although it was told where others should be; undefined if it is not. */
  get trouble(): string | undefined {
    return this.#alone ? this.#trouble : undefined;
  }

  /** Begins, or begins anew: something changed that promises success. */
  start(): void {
    if (this.#ended) return;
    this.#waitMs = firstRetryMs;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (!this.#busy) this.#round();
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
  }

  get #alone(): boolean {
    return this.#parts.layer.swim.liveCount <= 1;
  }

  #round(): void {
    const { host, layer, enter, active } = this.#parts;
    this.#timer = undefined;
    if (this.#ended || !active()) return;
    const alone = this.#alone;
    const targets = alone ? this.#everybody() : this.#missing();
    if (targets.length === 0) {
      this.#trouble = undefined;
      return this.#later(alone);
    }
    this.#busy = true;
    this.#tried = targets;
    enter(() =>
      layer.join(targets, host.now(), ({ contacted, errors }) => {
        this.#busy = false;
        if (this.#ended) return;
        for (const address of this.#tried) if (!(address in errors)) this.#reached.add(address);
        this.#trouble = contacted > 0 ? undefined : this.#judge(Object.entries(errors));
        this.#later(this.#alone);
      })
    );
  }

  /** The trouble that failures amount to, if they do. */
  #judge(errors: readonly (readonly [address: string, reason: string])[]): string | undefined {
    const first = errors.find(([address]) => !this.#guesses.has(address));
    if (first !== undefined) return `no member could be joined; ${first[0]}: ${first[1]}`;
    if (errors.length > 0 && this.#alone && !this.#guessTold) {
      this.#guessTold = true;
      this.#parts.host.log.info("Nobody gossips where it was guessed; it is tried again.", {
        address: errors[0]![0],
        reason: errors[0]![1],
        remedy: "If somebody should, name the address in join.",
      });
    }
    return undefined;
  }

  #later(alone: boolean): void {
    const { host, intervalMs } = this.#parts;
    if (!alone) this.#waitMs = firstRetryMs;
    const waitMs = alone ? Math.min(this.#waitMs, intervalMs) : intervalMs;
    if (alone) this.#waitMs = Math.min(this.#waitMs * 2, intervalMs);
    // Spread out, so that a cluster that lost power does not knock in step.
    this.#timer = host.after(waitMs * (0.5 + host.random() / 2), () => this.#round());
  }

  /** While alone: a random choice of all. */
  #everybody(): string[] {
    const { address, seeds, known } = this.#parts;
    this.#reached.clear();
    const { told, guessed } = seeds();
    const sure = new Set([...told, ...known().map(([, at]) => at)]);
    this.#guesses = new Set(guessed).difference(sure);
    const all = sure.union(this.#guesses);
    all.delete(address);
    return this.#choice([...all], maxAtOnce);
  }

  /** In company: some of those who should be there and are not. */
  #missing(): string[] {
    const { address, layer, seeds, known } = this.#parts;
    const { swim } = layer;
    const { told, guessed } = seeds();
    const silent = [...new Set([...told, ...guessed])].filter((it) =>
      it !== address && !this.#reached.has(it) && swim.memberAt(it) === undefined
    );
    const lost = known()
      .filter(([name, at]) => {
        const state = layer.member(name)?.state;
        return state !== "alive" && state !== "suspect" && state !== "left" &&
          swim.memberAt(at) === undefined;
      })
      .map(([, at]) => at);
    const chosen = [...this.#choice(silent, maxInCompany), ...this.#choice(lost, maxInCompany)];
    return [...new Set(chosen)];
  }

  /** At most `count` of them, chosen at random. */
  #choice(from: readonly string[], count: number): string[] {
    const { host } = this.#parts;
    const left = [...from];
    const chosen: string[] = [];
    while (left.length > 0 && chosen.length < count) {
      chosen.push(left.splice(Math.floor(host.random() * left.length), 1)[0]!);
    }
    return chosen;
  }
}

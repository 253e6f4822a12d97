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
 */
import type { Host, Timer } from "../../../core/kernel/host.ts";
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
  /** What the configuration and discovery name. */
  readonly seeds: () => readonly string[];
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
  #trouble: string | undefined;

  constructor(parts: JoinerParts) {
    this.#parts = parts;
  }

  /** Why this node is alone although it knows where others should be; undefined if it is not. */
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
        const [first] = Object.entries(errors);
        this.#trouble = contacted > 0 || first === undefined
          ? undefined
          : `no member could be joined; ${first[0]}: ${first[1]}`;
        this.#later(this.#alone);
      })
    );
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
    const all = new Set([...seeds(), ...known().map(([, at]) => at)]);
    all.delete(address);
    return this.#choice([...all], maxAtOnce);
  }

  /** In company: some of those who should be there and are not. */
  #missing(): string[] {
    const { address, layer, seeds, known } = this.#parts;
    const { swim } = layer;
    const silent = seeds().filter((it) =>
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

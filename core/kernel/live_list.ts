/**
 * The lists that the kernel keeps: what plugins provide and contribute, by the
 * id of the capability or slot.
 *
 * A value arrives when its plugin has started. Each subscription then runs its
 * `attach`, and keeps the undo that this returned. When the value leaves, it is
 * first gone from the list and then undone at every subscription, and
 * `remove` resolves only when all of that has finished: so a provider stops
 * after its consumers have let go. Disposing a subscription undoes all that it
 * attached and waits for undos already under way.
 *
 * An `attach` that throws is the consumer's fault, not the contributor's: it is
 * logged with both names and the value counts as not attached.
 */
import type { LiveEntry, LiveList } from "./plugin.ts";
import { type Disposer, disposerOf } from "./dispose.ts";

/** Learns of an `attach` that threw. Must not throw. */
export type AttachFailed = (error: unknown, consumer: string, contributor: string) => void;

type Attach = (value: unknown, plugin: string) => Disposable | AsyncDisposable | void;

/** One named list. */
export class ContributionList {
  #entries: readonly LiveEntry<unknown>[] = [];
  #subscriptions: readonly Subscription[] = [];
  readonly #attachFailed: AttachFailed;

  constructor(attachFailed: AttachFailed) {
    this.#attachFailed = attachFailed;
  }

  /** Adds a value and attaches it everywhere. The returned function takes it out again; it rejects with what undoing threw. */
  add(plugin: string, value: unknown): () => Promise<void> {
    const entry: LiveEntry<unknown> = { plugin, value };
    this.#entries = [...this.#entries, entry];
    for (const subscription of this.#subscriptions) {
      // An earlier attach may have taken it out again.
      if (this.#entries.includes(entry)) subscription.attach(entry);
    }
    let removal: Promise<void> | undefined;
    return () => removal ??= this.#remove(entry);
  }

  /** The list as a consumer sees it. `opened` is told of each subscription and gives what to call when that one has ended. */
  view(consumer: string, opened: (subscription: AsyncDisposable) => () => void): LiveList<unknown> {
    const entries = () => this.#entries;
    return {
      get size() {
        return entries().length;
      },
      entries,
      *[Symbol.iterator]() {
        for (const { value } of entries()) yield value;
      },
      each: (attach) => {
        const subscription = new Subscription(attach, consumer, this.#attachFailed, () => {
          this.#subscriptions = this.#subscriptions.filter((other) => other !== subscription);
          closed();
        });
        const closed = opened(subscription); // Throws where the consumer has ended.
        this.#subscriptions = [...this.#subscriptions, subscription];
        for (const entry of this.#entries) {
          if (this.#entries.includes(entry)) subscription.attach(entry);
        }
        return subscription;
      },
    };
  }

  async #remove(entry: LiveEntry<unknown>): Promise<void> {
    this.#entries = this.#entries.filter((other) => other !== entry);
    await settleAll(this.#subscriptions.map((subscription) => subscription.detach(entry)));
  }
}

/** One `each`. */
class Subscription implements AsyncDisposable {
  readonly #attach: Attach;
  readonly #consumer: string;
  readonly #failed: AttachFailed;
  readonly #ended: () => void;
  readonly #attached = new Map<LiveEntry<unknown>, Disposer | undefined>();
  readonly #undoing = new Set<Promise<void>>();
  #disposal: Promise<void> | undefined;

  constructor(attach: Attach, consumer: string, failed: AttachFailed, ended: () => void) {
    this.#attach = attach;
    this.#consumer = consumer;
    this.#failed = failed;
    this.#ended = ended;
  }

  attach(entry: LiveEntry<unknown>): void {
    if (this.#disposal !== undefined || this.#attached.has(entry)) return;
    this.#attached.set(entry, undefined); // Before the call, which may re-enter.
    try {
      const undo = disposerOf(this.#attach(entry.value, entry.plugin));
      // The attach itself may have disposed of the subscription or taken the value out.
      if (this.#attached.has(entry)) this.#attached.set(entry, undo);
      else if (undo !== undefined) this.#track(undo).catch((error) => this.#report(error, entry));
    } catch (error) {
      this.#attached.delete(entry);
      this.#report(error, entry);
    }
  }

  async detach(entry: LiveEntry<unknown>): Promise<void> {
    const undo = this.#attached.get(entry);
    this.#attached.delete(entry);
    if (undo === undefined) return;
    try {
      await this.#track(undo);
    } catch (error) {
      throw new Error(`"${this.#consumer}" failed to let go: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    await Promise.resolve(); // So that #disposal stands before anything is undone.
    const undoing = [...this.#undoing]; // Their failures belong to whoever began them.
    const results = [...this.#attached.keys()].reverse().map((entry) => this.detach(entry));
    await Promise.allSettled(undoing);
    this.#ended();
    await settleAll(results);
  }

  /** Runs an undo and remembers it while it runs. */
  #track(undo: Disposer): Promise<void> {
    const running = (async () => await undo())();
    this.#undoing.add(running);
    const done = () => void this.#undoing.delete(running);
    running.then(done, done);
    return running;
  }

  #report(error: unknown, entry: LiveEntry<unknown>): void {
    this.#failed(error, this.#consumer, entry.plugin);
  }
}

/** Awaits all and throws what failed: the one error, or an AggregateError of several. */
async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const errors = results.filter((it) => it.status === "rejected").map((it) => it.reason);
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map(messageOf).join("; "));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * A plugin's scope from the kernel's side. It goes through four phases:
 *
 *   starting     `setup` runs; contributions are noted but nobody sees them yet
 *   running      what it provides and contributes stands on the lists
 *   withdrawing  its values leave the lists, and consumers are waited for
 *   ended        `signal` aborts, then what it owns is undone in reverse order
 *
 * A `setup` that fails or is abandoned goes from starting straight to ended.
 * In `ended`, `own` and `contribute` dispose of what they are given and throw,
 * so a late `setup` cannot leak: that is what makes abandoning one safe.
 */
import type { Host } from "./host.ts";
import type { LiveList, Need, Needs, Scope, Slot } from "./plugin.ts";
import type { ContributionList } from "./live_list.ts";
import { type Disposer, disposerOf } from "./dispose.ts";
import { MycnetError } from "./errors.ts";
import { errorFields } from "./logger.ts";

/** What a scope is made from. */
export interface ScopeOptions {
  /** The instance id. */
  readonly id: string;
  /** The parsed configuration. */
  readonly config: unknown;
  /** The kernel's host; the scope adds the plugin's name to its logger. */
  readonly host: Host;
  /** Aborts when the kernel stops. */
  readonly closing: AbortSignal;
  /** The list of a capability or slot. */
  readonly list: (id: string) => ContributionList;
  /** The value of a `one` or `maybe` need. */
  readonly resolve: (need: Need<unknown>) => unknown;
}

/** A value on its way to a list, on it, or gone. */
interface Contribution {
  readonly list: ContributionList;
  readonly value: unknown;
  /** Set once it stands on the list. */
  remove?: () => Promise<void>;
}

type Phase = "starting" | "running" | "withdrawing" | "ended";

/** One plugin's scope, and the kernel's hold on it. */
export class PluginScope {
  /** What the plugin sees. Its methods may be taken off it: they do not use `this`. */
  readonly scope: Scope<unknown, Needs>;
  readonly #id: string;
  readonly #host: Host;
  readonly #list: (id: string) => ContributionList;
  readonly #abort = new AbortController();
  readonly #contributions = new Set<Contribution>();
  readonly #undos = new Set<Disposer>();
  readonly #acceptors: ((next: unknown) => boolean)[] = [];
  #config: unknown;
  #phase: Phase = "starting";

  constructor(options: ScopeOptions, needs: Needs) {
    this.#id = options.id;
    this.#config = options.config;
    this.#list = options.list;
    this.#host = hostFor(options.id, options.host);
    const config = () => this.#config;
    this.scope = {
      id: options.id,
      get config() {
        return config();
      },
      needs: this.#resolve(needs, options.resolve),
      host: this.#host,
      signal: this.#abort.signal,
      closing: options.closing,
      own: (resource) => this.#own(resource),
      contribute: (slot, value) => this.#contribute(slot, value),
      onReconfigure: (accept) => void this.#acceptors.push(accept),
    };
  }

  /** `setup` has returned: puts what it provides, and what it contributed, on the lists. */
  publish(provides: string, value: unknown): void {
    this.#phase = "running";
    this.#contributions.add({ list: this.#list(provides), value });
    for (const contribution of this.#contributions) this.#put(contribution);
  }

  /** Offers a changed configuration. True if the plugin carries on with it. */
  offer(next: unknown): boolean {
    if (this.#acceptors.length === 0) return false;
    try {
      if (!this.#acceptors.every((accept) => accept(next) === true)) return false;
    } catch (error) {
      this.#host.log.warn("A plugin threw at a new configuration and will restart", {
        ...errorFields(error),
      });
      return false;
    }
    this.#config = next;
    return true;
  }

  /** Takes its values off the lists, the latest first, and waits for their consumers. Gives what failed. */
  async withdraw(): Promise<unknown[]> {
    this.#phase = "withdrawing";
    const errors: unknown[] = [];
    for (const contribution of [...this.#contributions].reverse()) {
      this.#contributions.delete(contribution);
      await contribution.remove?.().catch((error) => errors.push(error));
    }
    return errors;
  }

  /** Aborts the signal and undoes what it owns, the latest first. Gives what failed. */
  async undo(): Promise<unknown[]> {
    this.#phase = "ended";
    this.#contributions.clear();
    this.#abort.abort(this.#ended());
    const errors: unknown[] = [];
    for (const undo of [...this.#undos].reverse()) {
      try {
        await undo();
      } catch (error) {
        errors.push(error);
      }
    }
    this.#undos.clear();
    return errors;
  }

  #own<R extends Disposable | AsyncDisposable>(resource: R): R {
    const dispose = disposerOf(resource);
    if (dispose === undefined) {
      throw new TypeError("own() takes what has [Symbol.dispose] or [Symbol.asyncDispose]");
    }
    if (this.#phase === "ended") {
      this.#disposeLate(dispose);
      throw this.#ended();
    }
    this.#undos.add(dispose);
    return resource;
  }

  #contribute<T>({ id }: Slot<T>, value: NoInfer<T>): AsyncDisposable {
    if (this.#phase === "withdrawing" || this.#phase === "ended") throw this.#ended();
    const contribution: Contribution = { list: this.#list(id), value };
    this.#contributions.add(contribution);
    if (this.#phase === "running") this.#put(contribution);
    return {
      [Symbol.asyncDispose]: async () => {
        // It stays noted until it is gone, so that a stop in between waits for it.
        try {
          await contribution.remove?.();
        } finally {
          this.#contributions.delete(contribution);
        }
      },
    };
  }

  #put(contribution: Contribution): void {
    contribution.remove ??= contribution.list.add(this.#id, contribution.value);
  }

  /** Subscriptions to live lists are owned without being told, so that a stopped plugin hears nothing. */
  #view(id: string): LiveList<unknown> {
    return this.#list(id).view(this.#id, (subscription) => {
      if (this.#phase === "ended") throw this.#ended();
      const undo = () => subscription[Symbol.asyncDispose]();
      this.#undos.add(undo);
      return () => void this.#undos.delete(undo);
    });
  }

  #resolve(needs: Needs, resolve: (need: Need<unknown>) => unknown): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(needs).map((
        [key, need],
      ) => [key, need.arity === "live" ? this.#view(need.id) : resolve(need)]),
    );
  }

  #disposeLate(dispose: Disposer): void {
    (async () => await dispose())().catch((error) => {
      this.#host.log.warn("A resource that came too late could not be disposed of", {
        ...errorFields(error),
      });
    });
  }

  #ended(): MycnetError {
    return new MycnetError("scope_ended", `The plugin "${this.#id}" has stopped`);
  }
}

/** The host as a plugin sees it: the same, with a logger that names the plugin. */
function hostFor(id: string, host: Host): Host {
  return {
    now: () => host.now(),
    wallTime: () => host.wallTime(),
    random: () => host.random(),
    randomBytes: (length) => host.randomBytes(length),
    id: () => host.id(),
    after: (delayMs, run) => host.after(delayMs, run),
    every: (periodMs, run) => host.every(periodMs, run),
    sleep: (ms, signal) => host.sleep(ms, signal),
    barrier: () => host.barrier(),
    log: host.log.with({ plugin: id }),
    emit: (topic, payload) => host.emit(topic, payload),
    on: (topic, handler) => host.on(topic, handler),
  };
}

/**
 * The kernel makes what runs match what is declared. Boot, reload and shutdown
 * are one verb, `apply`:
 *
 *   1. parse every configuration and order the graph; an error changes nothing
 *   2. keep what did not change and rests on nothing that does; offer a plugin
 *      whose configuration alone changed the new one first
 *   3. stop the rest, consumers before providers
 *   4. start what is missing, providers before consumers
 *   5. if a start fails, go back to the previous declaration the same way
 *
 * So `apply` resolves when the wanted declaration runs, and rejects when the
 * previous one does. A stop that fails does not change that: the plugin is gone
 * all the same, the failure is logged and stands in the report. Applies run one
 * at a time, in the order in which they were asked for.
 */
import type { Host } from "./host.ts";
import type { Capability, LiveList, Slot } from "./plugin.ts";
import { type Entry, prepare, type PreparedEntry } from "./entry.ts";
import { MycnetError } from "./errors.ts";
import { hardProviders, soleProvider } from "./graph.ts";
import { Instance, type InstanceContext } from "./instance.ts";
import { ContributionList } from "./live_list.ts";
import { errorFields } from "./logger.ts";

/** How many applies may wait for the one under way. */
const mostWaiting = 16;

/** Options of a {@linkcode Kernel}. */
export interface KernelOptions {
  /** How long a plugin's `setup` may take, in ms. Default 30,000. */
  readonly setupTimeoutMs?: number;
  /** How long consumers of a plugin may take to let go of it, and how long undoing what it owns may take, in ms. Default 30,000 each. */
  readonly stopTimeoutMs?: number;
}

/** A plugin that runs. */
export interface RunningPlugin {
  /** The instance id. */
  readonly id: string;
  /** The plugin's name. */
  readonly plugin: string;
  /** The id of the capability that it provides. */
  readonly provides: string;
  /** How long its `setup` took, in ms. */
  readonly startMs: number;
}

/** A plugin that was stopped. */
export interface StoppedPlugin {
  /** The instance id. */
  readonly id: string;
  /** The plugin's name. */
  readonly plugin: string;
  /** How long it took, in ms. */
  readonly stopMs: number;
}

/** What an `apply` did. */
export interface BootReport {
  /** What started, in that order. */
  readonly started: readonly RunningPlugin[];
  /** What stopped, in that order. */
  readonly stopped: readonly StoppedPlugin[];
  /** The ids of what kept running untouched. */
  readonly kept: readonly string[];
  /** The ids of what kept running with a new configuration. */
  readonly reconfigured: readonly string[];
  /** How long all of it took, in ms. */
  readonly totalMs: number;
  /** All stops that failed, in one error of code `plugin_stop_failed`; its cause is an AggregateError. */
  readonly stopFailure: MycnetError | undefined;
}

/** Runs plugins. */
export class Kernel implements AsyncDisposable {
  readonly #host: Host;
  readonly #context: InstanceContext;
  readonly #lists = new Map<string, ContributionList>();
  readonly #closing = new AbortController();
  /** Providers before consumers. */
  #running: Instance[] = [];
  /** What the last successful apply asked for. */
  #declared: readonly PreparedEntry[] = [];
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #stopped: Promise<void> | undefined;

  /** Makes a kernel that runs nothing yet. */
  constructor(host: Host, options: KernelOptions = {}) {
    this.#host = host;
    this.#context = {
      host,
      setupTimeoutMs: options.setupTimeoutMs ?? 30_000,
      stopTimeoutMs: options.stopTimeoutMs ?? 30_000,
      closing: this.#closing.signal,
      list: (id) => this.#list(id),
    };
  }

  /**
   * Makes what runs match a declaration. Not to be awaited inside a `setup`,
   * which it would wait for.
   *
   * @throws `config_invalid`, `plugin_invalid`, `plugin_missing`,
   * `plugin_ambiguous` or `plugin_cycle` before anything changed;
   * `plugin_setup_failed` or `plugin_setup_timeout` after the previous
   * declaration was restored (or the message says that it could not be);
   * `overloaded` if 16 applies wait already; `closed` once {@linkcode stop} was called.
   */
  async apply(wanted: readonly Entry[]): Promise<BootReport> {
    this.#closing.signal.throwIfAborted();
    const plan = prepare(wanted); // Now: what the caller does to its objects later is another declaration.
    if (this.#waiting >= mostWaiting) {
      throw new MycnetError("overloaded", `${mostWaiting} declarations wait to be applied already`);
    }
    this.#waiting++;
    const result = this.#tail.then(() => {
      this.#waiting--;
      return this.#apply(plan);
    });
    this.#tail = result.catch(() => {});
    return await result;
  }

  /**
   * Stops everything, for good. A set-up under way is abandoned, declarations
   * that wait are refused. Calling it again gives the same promise.
   * @throws `plugin_stop_failed` with all failures, when all has been stopped.
   */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stopAll();
  }

  /** {@linkcode stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** What the one provider of a capability provides. @throws `plugin_missing` or `plugin_ambiguous` */
  get<T>(capability: Capability<T>): T {
    const provider = soleProvider(this.#running, capability.id, "the caller");
    if (provider !== undefined) return provider.value as T;
    throw new MycnetError("plugin_missing", `Nothing that runs provides "${capability.id}"`);
  }

  /** All providers of a capability, or all contributions to a slot, changing in place. Dispose of what `each` gives you. */
  live<T>({ id }: Capability<T> | Slot<T>): LiveList<T> {
    return this.#list(id).view("kernel", () => () => {}) as LiveList<T>;
  }

  /** What runs, providers before consumers. */
  running(): readonly RunningPlugin[] {
    return this.#running.map(describe);
  }

  async #apply(plan: readonly PreparedEntry[]): Promise<BootReport> {
    this.#closing.signal.throwIfAborted();
    const transition = new Transition(this.#host);
    try {
      await this.#transition(plan, transition, (error) => {
        throw error;
      });
    } catch (error) {
      if (this.#closing.signal.aborted) throw error; // stop() takes it from here.
      throw await this.#restore(error);
    }
    this.#declared = plan;
    return transition.report();
  }

  /** Goes back to the previous declaration, as far as that goes, and gives the error to throw. */
  async #restore(error: unknown): Promise<unknown> {
    // Whoever boots learns it from the rejection; only what ran before needs to be told of.
    if (this.#declared.length > 0) {
      this.#host.log.warn("A declaration failed; going back to the previous one", {
        ...errorFields(error),
      });
    }
    const failures: MycnetError[] = [];
    await this.#transition(this.#declared, new Transition(this.#host), (failure) => {
      failures.push(failure as MycnetError);
    });
    if (failures.length === 0 || this.#closing.signal.aborted) return error;
    const { code, message } = error as MycnetError;
    const also = failures.map((failure) => failure.message).join("; ");
    return new MycnetError(code, `${message}; and going back failed too: ${also}`, {
      cause: new AggregateError([error, ...failures]),
    });
  }

  async #transition(
    plan: readonly PreparedEntry[],
    transition: Transition,
    startFailed: (error: unknown) => void,
  ): Promise<void> {
    const kept = this.#survivors(plan, transition);
    for (const instance of this.#running.toReversed()) {
      if (kept.get(instance.id) === instance) continue;
      this.#running = this.#running.filter((other) => other !== instance);
      await transition.stop(instance);
    }
    for (const entry of plan) {
      if (kept.has(entry.id)) continue;
      this.#closing.signal.throwIfAborted();
      try {
        const instance = await Instance.start(entry, this.#providers(entry, plan), this.#context);
        this.#running.push(instance);
        transition.started.push(describe(instance));
        const { id, plugin, startMs } = describe(instance);
        this.#host.log.debug("Plugin started", { plugin: id, name: plugin, startMs });
      } catch (error) {
        startFailed(error);
      }
    }
    // What was kept stands before what was started, yet may read it through a live need:
    // back in the plan's order, consumers stop before providers again.
    const rank = new Map(plan.map(({ id }, at) => [id, at]));
    this.#running.sort((a, b) => rank.get(a.id)! - rank.get(b.id)!);
  }

  /** What keeps running under a plan. Changed configurations are offered here. */
  #survivors(plan: readonly PreparedEntry[], transition: Transition): Map<string, Instance> {
    const kept = new Map<string, Instance>();
    for (const entry of plan) {
      const instance = this.#running.find(({ id }) => id === entry.id);
      if (instance === undefined || instance.plugin !== entry.plugin) continue;
      const providers = hardProviders(entry, plan);
      const restsOnTheSame = providers.length === instance.providers.length &&
        instance.providers.every((provider) =>
          providers.includes(provider.id) && kept.get(provider.id) === provider
        );
      if (!restsOnTheSame) continue;
      if (instance.runs(entry)) transition.kept.push(entry.id);
      else if (instance.reconfigure(entry)) transition.reconfigured.push(entry.id);
      else continue;
      kept.set(entry.id, instance);
    }
    return kept;
  }

  /** The running instances that an entry rests on. */
  #providers(entry: PreparedEntry, plan: readonly PreparedEntry[]): Instance[] {
    return hardProviders(entry, plan).map((id) => {
      const provider = this.#running.find((instance) => instance.id === id);
      if (provider !== undefined) return provider;
      // Only while going back: a provider that ran before does not start again.
      throw new MycnetError("plugin_missing", `"${entry.id}" needs "${id}", which did not start`);
    });
  }

  async #stopAll(): Promise<void> {
    this.#closing.abort(new MycnetError("closed", "The kernel is stopping or has stopped"));
    await this.#tail;
    const transition = new Transition(this.#host);
    await this.#transition([], transition, () => {});
    const { stopFailure } = transition.report();
    if (stopFailure !== undefined) throw stopFailure;
  }

  #list(id: string): ContributionList {
    let list = this.#lists.get(id);
    if (list === undefined) {
      list = new ContributionList((error, consumer, contributor) => {
        this.#host.log.error("A plugin could not take what another contributed", {
          plugin: consumer,
          list: id,
          contributor,
          ...errorFields(error),
        });
      });
      this.#lists.set(id, list);
    }
    return list;
  }
}

/** Notes what one transition does. */
class Transition {
  readonly started: RunningPlugin[] = [];
  readonly stopped: StoppedPlugin[] = [];
  readonly kept: string[] = [];
  readonly reconfigured: string[] = [];
  readonly #failures: Error[] = [];
  readonly #host: Host;
  readonly #began: number;

  constructor(host: Host) {
    this.#host = host;
    this.#began = host.now();
  }

  /** Stops an instance; failures are noted and logged. */
  async stop(instance: Instance): Promise<void> {
    const began = this.#host.now();
    for (const cause of await instance.stop()) {
      const why = cause instanceof Error ? cause.message : String(cause);
      this.#failures.push(new Error(`"${instance.id}": ${why}`, { cause }));
      this.#host.log.error("A plugin failed to stop", {
        plugin: instance.id,
        ...errorFields(cause),
      });
    }
    const stopMs = this.#host.now() - began;
    this.stopped.push({ id: instance.id, plugin: instance.plugin.name, stopMs });
    this.#host.log.debug("Plugin stopped", { plugin: instance.id, stopMs });
  }

  report(): BootReport {
    const { started, stopped, kept, reconfigured } = this;
    const stopFailure = this.#failures.length === 0 ? undefined : new MycnetError(
      "plugin_stop_failed",
      `Failed to stop: ${this.#failures.map(({ message }) => message).join("; ")}`,
      { cause: new AggregateError(this.#failures) },
    );
    const totalMs = this.#host.now() - this.#began;
    return { started, stopped, kept, reconfigured, totalMs, stopFailure };
  }
}

function describe({ id, plugin, startMs }: Instance): RunningPlugin {
  return { id, plugin: plugin.name, provides: plugin.provides.id, startMs };
}

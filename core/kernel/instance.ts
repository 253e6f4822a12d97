/**
 * One running plugin: starting it under a time limit, offering it a changed
 * configuration, and stopping it under a time limit. A set-up that fails, hangs
 * or is interrupted leaves nothing behind: what it owned until then is undone
 * at once, and what it tries to own later is disposed of by its ended scope.
 */
import type { Host } from "./host.ts";
import type { Need, Plugin } from "./plugin.ts";
import type { ContributionList } from "./live_list.ts";
import type { PreparedEntry } from "./entry.ts";
import { within } from "./dispose.ts";
import { MycnetError } from "./errors.ts";
import { errorFields } from "./logger.ts";
import { sameRaw } from "./raw_config.ts";
import { PluginScope } from "./scope.ts";

/** What instances share: their kernel. */
export interface InstanceContext {
  readonly host: Host;
  /** How long a `setup` may take, in ms. */
  readonly setupTimeoutMs: number;
  /** How long each half of a stop (consumers letting go, undoing) may take, in ms. */
  readonly stopTimeoutMs: number;
  /** Aborts when the kernel stops: set-ups are then abandoned. Its reason is the error to throw. */
  readonly closing: AbortSignal;
  /** The list of a capability or slot. */
  readonly list: (id: string) => ContributionList;
}

/** A plugin that runs. */
export class Instance {
  /** What `setup` returned. */
  readonly value: unknown;
  /** How long `setup` took, in ms. */
  readonly startMs: number;
  /** The instances that its `one` and `maybe` needs were resolved to. It restarts when one of them does. */
  readonly providers: readonly Instance[];
  readonly #scope: PluginScope;
  readonly #context: InstanceContext;
  #entry: PreparedEntry;

  private constructor(
    entry: PreparedEntry,
    providers: readonly Instance[],
    scope: PluginScope,
    context: InstanceContext,
    value: unknown,
    startMs: number,
  ) {
    this.#entry = entry;
    this.providers = providers;
    this.#scope = scope;
    this.#context = context;
    this.value = value;
    this.startMs = startMs;
  }

  /**
   * Starts a plugin.
   * @throws `plugin_setup_failed` or `plugin_setup_timeout`, or the reason of `closing`.
   */
  static async start(
    entry: PreparedEntry,
    providers: readonly Instance[],
    context: InstanceContext,
  ): Promise<Instance> {
    const { host, list, closing } = context;
    const { id, config, plugin } = entry;
    const resolve = (need: Need<unknown>) =>
      providers.find((provider) => provider.plugin.provides.id === need.id)?.value;
    const scope = new PluginScope({ id, config, host, list, closing, resolve }, plugin.needs);
    const began = host.now();
    try {
      const value = await runSetup(entry, scope, context);
      const startMs = host.now() - began;
      scope.publish(plugin.provides.id, value);
      return new Instance(entry, providers, scope, context, value, startMs);
    } catch (error) {
      for (const failure of await limited(id, "undo its set-up", scope.undo(), context)) {
        host.log.error("A plugin's set-up could not be undone", {
          plugin: id,
          ...errorFields(failure),
        });
      }
      throw error;
    }
  }

  /** The instance id. */
  get id(): string {
    return this.#entry.id;
  }

  /** What it is an instance of. */
  get plugin(): Plugin<unknown> {
    return this.#entry.plugin;
  }

  /** True if it already runs as an entry asks. */
  runs(entry: PreparedEntry): boolean {
    return sameRaw(this.#entry.raw, entry.raw);
  }

  /** Offers it a changed configuration; true if it carries on with that one. */
  reconfigure(entry: PreparedEntry): boolean {
    if (!this.#scope.offer(entry.config)) return false;
    this.#entry = entry;
    return true;
  }

  /** Stops it: consumers let go, the signal aborts, what it owns is undone. Gives what failed; never throws. */
  async stop(): Promise<unknown[]> {
    return [
      ...await limited(
        this.id,
        "wait for what uses it to let go",
        this.#scope.withdraw(),
        this.#context,
      ),
      ...await limited(this.id, "undo what it owns", this.#scope.undo(), this.#context),
    ];
  }
}

/** Runs `setup` until it is done, its time is over, or the kernel stops. */
async function runSetup(
  { id, plugin }: PreparedEntry,
  scope: PluginScope,
  { host, setupTimeoutMs, closing }: InstanceContext,
): Promise<unknown> {
  let pending = true;
  const setup = (async () => {
    try {
      return await plugin.setup(scope.scope);
    } catch (error) {
      throw setupError(id, error);
    } finally {
      pending = false;
    }
  })();
  const interruption = Promise.withResolvers<never>();
  const interrupt = () => interruption.reject(closing.reason);
  closing.addEventListener("abort", interrupt, { once: true });
  try {
    return await within(
      host,
      setupTimeoutMs,
      Promise.race([setup, interruption.promise]),
      () => {
        throw new MycnetError(
          "plugin_setup_timeout",
          `"${id}" did not start within ${setupTimeoutMs} ms`,
        );
      },
    );
  } catch (error) {
    if (pending) logAbandoned(id, setup, host);
    throw error;
  } finally {
    closing.removeEventListener("abort", interrupt);
  }
}

function logAbandoned(id: string, setup: Promise<unknown>, host: Host): void {
  host.log.warn("A plugin's set-up was abandoned", { plugin: id });
  setup.then(
    () => host.log.warn("An abandoned set-up finished after all", { plugin: id }),
    (error) =>
      host.log.debug("An abandoned set-up ended", { plugin: id, ...errorFields(error.cause) }),
  );
}

/** Says which plugin failed and why; what helps is what the cause says helps. */
function setupError(id: string, cause: unknown): MycnetError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const { remedy } = (cause ?? {}) as { remedy?: unknown };
  return new MycnetError("plugin_setup_failed", `"${id}" failed to start: ${why}`, {
    cause,
    ...(typeof remedy === "string" ? { remedy } : {}),
  });
}

/** What failed in one half of a stop; running out of time is a failure like another. */
async function limited(
  id: string,
  what: string,
  work: Promise<unknown[]>,
  { host, stopTimeoutMs }: InstanceContext,
): Promise<unknown[]> {
  let late = false;
  work.then((errors) => {
    for (const error of late ? errors : []) {
      host.log.error("A stop that took too long failed in the end", {
        plugin: id,
        ...errorFields(error),
      });
    }
  });
  return await within(host, stopTimeoutMs, work, () => {
    late = true;
    return [new Error(`took more than ${stopTimeoutMs} ms to ${what}`)];
  });
}

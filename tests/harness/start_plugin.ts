/** Starts one plugin without a kernel: its needs are given, what it owns is undone at the end. */
import { createHost, type Host, type LogLevel, type Plugin } from "../../core/kernel/mod.ts";
import type { Needs, Scope } from "../../core/kernel/mod.ts";

/** One log line of a plugin under test. */
export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A plugin that runs. Disposing of it stops it. */
export interface StartedPlugin<P> extends AsyncDisposable {
  readonly value: P;
  /** What it contributed, by slot id. */
  readonly contributions: ReadonlyMap<string, readonly unknown[]>;
  /** What it logged. */
  readonly lines: readonly LogLine[];
}

/** What a plugin is started with. */
export interface StartOptions {
  readonly id?: string;
  /** As a user writes it. Default `{}`. */
  readonly config?: unknown;
  /** What its needs resolve to. */
  readonly needs?: Readonly<Record<string, unknown>>;
  /** Laid over the real host, e.g. a clock of the test's own. */
  readonly host?: Partial<Host>;
}

/** Starts a plugin. If its set-up fails, what it owned by then is undone. */
export async function startPlugin<P>(
  plugin: Plugin<P>,
  { id = plugin.name, config = {}, needs = {}, host = {} }: StartOptions = {},
): Promise<StartedPlugin<P>> {
  const parsed = plugin.parse(config);
  if (!parsed.ok) {
    throw new TypeError(
      parsed.issues.map((it) => `${it.path.join(".")}: ${it.message}`).join("; "),
    );
  }
  const lines: LogLine[] = [];
  const real = createHost({
    log: (level, message, fields) => void lines.push({ level, message, fields }),
  });
  const contributions = new Map<string, unknown[]>();
  const owned: (Disposable | AsyncDisposable)[] = [];
  const ending = new AbortController();
  const scope: Scope<unknown, Needs> = {
    id,
    config: parsed.value,
    needs: needs as Scope<unknown, Needs>["needs"],
    host: overlay(real, host),
    signal: ending.signal,
    closing: ending.signal,
    own: (resource) => {
      owned.push(resource);
      return resource;
    },
    contribute: ({ id }, value) => {
      contributions.set(id, [...contributions.get(id) ?? [], value]);
      return { [Symbol.asyncDispose]: () => Promise.resolve() };
    },
    onReconfigure: () => {},
  };
  const stop = async (): Promise<void> => {
    ending.abort();
    for (const resource of owned.splice(0).reverse()) {
      if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
      else resource[Symbol.dispose]();
    }
  };
  try {
    const value = await plugin.setup(scope);
    return { value, contributions, lines, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A host with some of its methods replaced. */
function overlay(host: Host, over: Partial<Host>): Host {
  return new Proxy(host, {
    get: (target, key) => {
      const from = (key in over ? over : target) as unknown as Record<PropertyKey, unknown>;
      const value = from[key];
      return typeof value === "function" ? value.bind(from) : value;
    },
  });
}

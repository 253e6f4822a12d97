/** What the kernel's tests share: a host whose time a test moves by hand, and plugins that note what happens to them. */
import { z } from "zod";
import type { Host, LogFields, LogLevel, Timer } from "./host.ts";
import { type Capability, capability, type Needs, type Plugin, type Scope } from "./plugin.ts";
import { definePlugin } from "./define_plugin.ts";
import { EventHub } from "./events.ts";
import { createLogger } from "./logger.ts";
import { createHost } from "./real_host.ts";

/** A line that was logged. */
export interface LoggedLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** A host over virtual time. */
export interface FakeHost extends Host {
  readonly lines: LoggedLine[];
  /** How many timers are armed. */
  readonly timers: number;
  /** Moves time, firing what falls due in order, the event loop run dry after each. */
  advance(ms: number): Promise<void>;
}

/** Makes one. */
export function fakeHost(): FakeHost {
  const real = createHost();
  const lines: LoggedLine[] = [];
  const log = createLogger((level, message, fields) => lines.push({ level, message, fields }));
  const events = new EventHub((topic, error) => log.error("A subscriber threw", { topic, error }));
  const armed = new Set<{ readonly due: number; readonly run: () => void }>();
  let now = 0;
  const after = (delayMs: number, run: () => void): Timer => {
    const timer = { due: now + delayMs, run };
    armed.add(timer);
    return { [Symbol.dispose]: () => void armed.delete(timer) };
  };
  const every = (periodMs: number, run: () => void): Timer => {
    let timer: Timer;
    const arm = (): void => {
      timer = after(periodMs, () => (arm(), run()));
    };
    arm();
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  };
  return {
    lines,
    get timers() {
      return armed.size;
    },
    async advance(ms) {
      const end = now + ms;
      await real.barrier();
      for (;;) {
        const [next] = [...armed].filter(({ due }) => due <= end).sort((a, b) => a.due - b.due);
        if (next === undefined) break;
        armed.delete(next);
        now = next.due;
        next.run();
        await real.barrier();
      }
      now = end;
    },
    now: () => now,
    wallTime: () => 1_700_000_000_000 + now,
    random: () => 0.5,
    randomBytes: (length) => new Uint8Array(length),
    id: () => "0".repeat(32),
    after,
    every,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const timer = after(ms, resolve);
        signal?.addEventListener("abort", () => {
          timer[Symbol.dispose]();
          reject(signal.reason);
        });
      }),
    barrier: () => real.barrier(),
    log,
    emit: (topic, payload) => events.emit(topic, payload),
    on: (topic, handler) => events.on(topic, handler),
  };
}

/** What a test plugin provides. */
export interface Thing {
  readonly id: string;
}

/** A capability whose value only has a name. */
export const thing = (id: string): Capability<Thing> => capability<Thing>(id);

/** A test plugin's configuration. */
export type ThingConfig = { readonly note?: string | undefined };

/** Options of {@linkcode tracing}. */
export interface TracingOptions<N extends Needs> {
  readonly needs?: N;
  /** Runs in `setup`, after the start was noted. */
  readonly setup?: (scope: Scope<ThingConfig, N>) => void | Promise<void>;
}

/** Plugins that note "+id" when they start and "-id" when their resources are undone. */
export function tracing(trace: string[]) {
  return <N extends Needs = Record<string, never>>(
    provides: Capability<Thing>,
    options: TracingOptions<N> = {},
  ): Plugin<Thing> =>
    definePlugin<Thing, ThingConfig, N>({
      name: `makes-${provides.id}`,
      summary: "Notes what happens to it.",
      provides,
      needs: options.needs ?? {} as N,
      config: z.strictObject({ note: z.string().optional() }),
      async setup(scope) {
        trace.push(`+${scope.id}`);
        scope.own({ [Symbol.dispose]: () => void trace.push(`-${scope.id}`) });
        await options.setup?.(scope);
        return { id: scope.id };
      },
    });
}

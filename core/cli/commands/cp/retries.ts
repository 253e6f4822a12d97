/**
 * Trying again what a broken link or a restarting node interrupted: with growing waits, and a bound
 * on attempts that got nowhere. An attempt that moved bytes begins the count anew.
 */
import { codeOf, MycnetError } from "../../../kernel/errors.ts";
import type { Host } from "../../../kernel/host.ts";
import type { Copying } from "./copied.ts";

/** What passes by itself. */
const passing = new Set([
  "closed",
  "deadline_exceeded",
  "link_lost",
  "node_unreachable",
  "overloaded",
  "timeout",
  "unavailable",
  "undelivered",
  "unreachable",
]);
const firstMs = 100;
const longestMs = 5000;

/** Whether an error is one that passes by itself. */
export function passes(error: unknown): boolean {
  return passing.has(codeOf(error) ?? "");
}

/** How a copy is repeated. */
export interface Retrying {
  readonly host: Host;
  readonly signal: AbortSignal;
  /** Attempts without progress after the first one. */
  readonly retries: number;
  /** How far it is, in bytes. */
  moved(): number;
  /** Told before each wait. */
  again(error: Error, waitMs: number): void;
}

/**
 * Runs `attempt` until it works.
 * @returns what it gave, and how many attempts that took.
 * @throws what cannot pass by itself, and the last failure when the bound is reached.
 */
export async function retrying<T>(
  { host, signal, retries, moved, again }: Retrying,
  attempt: () => Promise<T>,
): Promise<{ readonly value: T; readonly attempts: number }> {
  let idle = 0;
  for (let attempts = 1;; attempts++) {
    const before = moved();
    try {
      return { value: await attempt(), attempts };
    } catch (caught) {
      if (signal.aborted) throw signal.reason;
      const error = broken(caught);
      if (!passes(error)) throw error;
      idle = moved() > before ? 1 : idle + 1;
      if (idle > retries) throw error;
      // Jitter, so that many copies to one node do not come back at once.
      const waitMs = Math.min(longestMs, firstMs * 2 ** (idle - 1)) * (0.5 + host.random() / 2);
      again(error, waitMs);
      await host.sleep(waitMs, signal);
    }
  }
}

/** Asks something small until it is answered. @throws as {@linkcode retrying}. */
export async function patiently<T>(copying: Copying, ask: () => Promise<T>): Promise<T> {
  const { value } = await retrying({
    ...copying,
    moved: () => 0,
    again: (error) => copying.progress.note(`interrupted (${error.message}); trying again`),
  }, ask);
  return value;
}

/** What `fetch` says of a body that broke off is no error of ours, but means a lost connection. */
function broken(error: unknown): Error {
  if (codeOf(error) !== undefined && error instanceof Error) return error;
  const isNetwork = error instanceof TypeError || error instanceof Deno.errors.Http ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
  if (!isNetwork) return error instanceof Error ? error : new Error(String(error));
  return new MycnetError("link_lost", `the connection to the node broke: ${error.message}`, {
    cause: error,
  });
}

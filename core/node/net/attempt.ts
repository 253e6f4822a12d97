/**
 * One attempt to connect: it settles exactly once, by success, failure, the time
 * limit or the caller's signal, and whatever was begun is told to stop unless it
 * succeeded.
 */
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";

/** What limits an attempt. */
export interface AttemptOptions {
  readonly host: Host;
  /** Named in errors. */
  readonly address: string;
  /** The caller's. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** An attempt as seen by whoever makes it. */
export interface Attempt<T> {
  /** Aborts when the attempt has failed, for whatever reason. */
  readonly signal: AbortSignal;
  /** It worked. False: too late, and the value is still the beginner's to dispose of. */
  succeed(value: T): boolean;
  /** It did not. */
  fail(error: unknown): void;
}

/** The codes with which dialling may fail. */
const dialCodes: readonly unknown[] = ["unreachable", "timeout", "aborted", "address_invalid"];

/**
 * Makes an attempt.
 * @throws {MycnetError} `aborted`, `timeout`, or what `fail` was given or `begin` threw: as it
 * is if its code is one of dialling's, else as `unreachable`.
 */
export function attempt<T>(
  { host, address, signal, timeoutMs }: AttemptOptions,
  begin: (attempt: Attempt<T>) => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const failed = new AbortController();
  let settled = false;
  const settle = (): boolean => {
    if (settled) return false;
    settled = true;
    signal.removeEventListener("abort", aborted);
    timer[Symbol.dispose]();
    return true;
  };
  const fail = (error: unknown): void => {
    if (!settle()) return;
    failed.abort();
    reject(asDialError(error, address));
  };
  const succeed = (value: T): boolean => {
    if (!settle()) return false;
    resolve(value);
    return true;
  };
  const aborted = (): void =>
    fail(new MycnetError("aborted", `Dialling ${address} was aborted`, { cause: signal.reason }));
  const timer = host.after(timeoutMs, () =>
    fail(
      new MycnetError(
        "timeout",
        `${address} did not answer within ${timeoutMs} ms: check that the node runs, its address ` +
          `and the firewall in between, or raise node.connectionTimeout`,
      ),
    ));
  signal.addEventListener("abort", aborted, { once: true });
  if (signal.aborted) aborted();
  else {
    try {
      begin({ signal: failed.signal, succeed, fail });
    } catch (error) {
      fail(error);
    }
  }
  return promise;
}

function asDialError(error: unknown, address: string): MycnetError {
  if (error instanceof Error && dialCodes.includes(codeOf(error))) return error as MycnetError;
  const why = error instanceof Error ? error.message : String(error);
  return new MycnetError(
    "unreachable",
    `${address} cannot be reached: ${why}. ` +
      `Check that the node runs, its address, and the firewall in between`,
    { cause: error },
  );
}

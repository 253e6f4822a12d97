/** Disposing of what may be disposed of in either way, and waiting no longer than allowed. */
import type { Host } from "./host.ts";

/** Undoes something. */
export type Disposer = () => void | PromiseLike<void>;

/** How to dispose of a value: asynchronously if it can, else synchronously; undefined if it is no resource. */
export function disposerOf(value: unknown): Disposer | undefined {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return;
  const resource = value as Partial<AsyncDisposable & Disposable>;
  if (typeof resource[Symbol.asyncDispose] === "function") {
    return () => resource[Symbol.asyncDispose]!();
  }
  if (typeof resource[Symbol.dispose] === "function") return () => resource[Symbol.dispose]!();
}

/**
 * What `work` gives, or what `late` gives if that takes longer than `limitMs`.
 * The work goes on by itself then; what becomes of it is the caller's business.
 */
export async function within<T>(
  host: Host,
  limitMs: number,
  work: Promise<T>,
  late: () => T,
): Promise<T> {
  const limit = Promise.withResolvers<T>();
  using _timer = host.after(limitMs, () => {
    try {
      limit.resolve(late());
    } catch (error) {
      limit.reject(error);
    }
  });
  return await Promise.race([work, limit.promise]);
}

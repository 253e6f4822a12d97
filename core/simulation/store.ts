/**
 * The disk of a simulated machine, and the store plugin over it.
 *
 * The disk outlives crashes and restarts of its machine. Operations take
 * virtual time and run one after the other. A crash may lose what was appended
 * and not synced: a random prefix of it survives, so a reader meets torn
 * records; and a replacement that was under way has happened or has not.
 */
import { type Store, store, storeLimits } from "../contracts/store.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { Plugin } from "../kernel/plugin.ts";
import type { Loop } from "./loop.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** How long operations take, in ms. */
const quickMs = 0.05;
const durableMs = 2;
/** All files of a disk together. */
export const maxDiskBytes: number = 256 * 1024 * 1024;
/** Operations that wait at once. */
const maxWaiting = 4096;

interface File {
  bytes: Uint8Array;
  /** How much of it survives any crash. */
  synced: number;
}

interface Operation {
  readonly loop: Loop;
  readonly takesMs: number;
  readonly run: () => void;
  /** What a crash may leave of it. Must not throw. */
  readonly torn: () => void;
}

/** What a machine keeps. */
export class SimDisk {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #files = new Map<string, File>();
  readonly #note: (line: string) => void;
  #waiting: Operation[] = [];

  /** An empty disk. */
  constructor(scheduler: Scheduler, random: Random, note: (line: string) => void) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#note = note;
  }

  /** What is on the disk now, synced or not: for a script's assertions. */
  peek(name: string): Uint8Array | undefined {
    return this.#files.get(name)?.bytes.slice();
  }

  /** The machine's process is gone. `loseUnsynced`: so is what it did not sync. */
  crash(loseUnsynced: boolean): void {
    const [current] = this.#waiting;
    this.#waiting = [];
    if (!loseUnsynced) return;
    if (this.#random.chance(0.5)) current?.torn();
    for (const [name, file] of this.#files) {
      const unsynced = file.bytes.length - file.synced;
      if (unsynced === 0) continue;
      const kept = file.synced + this.#random.below(unsynced + 1);
      this.#note(`disk ${name} keeps ${kept} of ${file.bytes.length} bytes`);
      file.bytes = file.bytes.slice(0, kept);
      file.synced = kept;
    }
  }

  /** The store of one incarnation. */
  open(id: string, loop: Loop, ended: AbortSignal): Store {
    const run = <T>(
      what: string,
      takesMs: number,
      effect: () => T,
      torn: () => void = () => {},
    ): Promise<T> =>
      new Promise((resolve, reject) => {
        ended.throwIfAborted();
        if (this.#waiting.length >= maxWaiting) {
          throw new MycnetError("overloaded", `${maxWaiting} operations wait for the disk`);
        }
        this.#push({
          loop,
          takesMs,
          torn,
          run: () => {
            this.#note(`disk ${what}`);
            try {
              const result = effect();
              loop.enter(() => resolve(result));
            } catch (error) {
              loop.enter(() => reject(error));
            }
          },
        });
      });
    const checked = async <T>(name: string, action: () => Promise<T>): Promise<T> => {
      if (ended.aborted) throw new MycnetError("closed", "the store's plugin has stopped");
      if (!storeLimits.name.test(name)) {
        throw new MycnetError(
          "invalid_argument",
          `name: ${JSON.stringify(name)} must match ${storeLimits.name.source}`,
        );
      }
      return await action();
    };
    return {
      id,
      read: (name) => checked(name, () => run(`read ${name}`, quickMs, () => this.peek(name))),
      write: (name, bytes) =>
        checked(name, () => {
          const copy = bytes.slice(); // The caller may reuse its bytes at once.
          const replace = () => this.#replace(name, copy, copy.length);
          const effect = () => {
            this.#checkSize(name, 0, copy.length);
            replace();
          };
          return run(`write ${name} ${copy.length}`, durableMs, effect, replace);
        }),
      append: (name, bytes) =>
        checked(name, () => {
          const copy = bytes.slice();
          const effect = () => {
            const file = this.#files.get(name) ?? { bytes: new Uint8Array(), synced: 0 };
            this.#checkSize(name, file.bytes.length, copy.length);
            const joined = new Uint8Array(file.bytes.length + copy.length);
            joined.set(file.bytes);
            joined.set(copy, file.bytes.length);
            this.#replace(name, joined, file.synced);
          };
          return run(`append ${name} ${copy.length}`, quickMs, effect);
        }),
      sync: (name) =>
        checked(name, () =>
          run(`sync ${name}`, durableMs, () => {
            const file = this.#files.get(name);
            if (file !== undefined) file.synced = file.bytes.length;
          })),
      remove: (name) =>
        checked(name, () => {
          const effect = () => void this.#files.delete(name);
          return run(`remove ${name}`, durableMs, effect, effect);
        }),
      list: async () => {
        if (ended.aborted) throw new MycnetError("closed", "the store's plugin has stopped");
        return await run("list", quickMs, () => [...this.#files.keys()].sort());
      },
    };
  }

  #push(operation: Operation): void {
    this.#waiting.push(operation);
    if (this.#waiting.length === 1) this.#begin(operation);
  }

  #begin(operation: Operation): void {
    this.#scheduler.after(operation.takesMs, () => {
      if (this.#waiting[0] !== operation) return; // The machine crashed meanwhile.
      operation.run();
      this.#waiting.shift();
      if (this.#waiting.length > 0) this.#begin(this.#waiting[0]!);
    });
  }

  #replace(name: string, bytes: Uint8Array, synced: number): void {
    this.#files.set(name, { bytes, synced });
  }

  #checkSize(name: string, present: number, added: number): void {
    const size = present + added;
    let others = 0;
    for (const [other, { bytes }] of this.#files) if (other !== name) others += bytes.length;
    if (size <= storeLimits.maxFileBytes && others + size <= maxDiskBytes) return;
    throw new MycnetError(
      "too_large",
      `${name} would grow to ${size} bytes, beside ${others} others`,
    );
  }
}

/** The store plugin over a disk. Without an original, it takes no configuration. */
export function simulatedStore(
  disk: SimDisk,
  loop: Loop,
  original?: Plugin<unknown>,
): Plugin<Store> {
  return {
    name: original?.name ?? "simulated-store",
    summary: original?.summary ?? "A simulated disk.",
    provides: store,
    needs: original?.needs ?? {},
    parse: (config) => original?.parse(config) ?? { ok: true, value: config },
    schema: () => original?.schema() ?? { type: "object" },
    permissions: () => ({}),
    setup: (scope) => disk.open(scope.id, loop, scope.signal),
  };
}

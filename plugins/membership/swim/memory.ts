/**
 * What a member must not forget: its incarnation, the Lamport clocks, where others
 * were, and whether it was told to leave. Serf keeps the same in its snapshot.
 *
 * The incarnation has to grow over restarts, or rumours of the old process would
 * outrank the new one; so the first one is durable before anything is sent. Who
 * was known is what lets a member find back after everybody else has restarted
 * at the addresses of old, and what lets a partition heal however long it took. The
 * clocks keep what happened before a restart from being told as news after it. Who
 * was told to leave seeks nobody by itself at its next start; to be stopped is not
 * to be told to leave.
 * Changes are written together, at most one a second; a change of the incarnation
 * at once. A crash in between costs at most what a second taught.
 */
import type { Store } from "../../../core/contracts/store.ts";
import type { Host, Timer } from "../../../core/kernel/host.ts";

/** Lamport clocks of the layer above. */
export interface Clocks {
  readonly member: number;
  readonly event: number;
  readonly query: number;
}

/** Others that are remembered; whoever was heard of longest ago goes first. */
export const maxKnown = 1024;
/** The name of the file. */
export const memoryFile = "gossip.json";
const writeAfterMs = 1000;

interface Written {
  readonly version: 1;
  readonly incarnation: number;
  readonly clocks: Clocks;
  /** It was told to leave, and has not been among others since. Absent: false. */
  readonly left?: boolean;
  /** Names and addresses, the one that was heard of last at the end. */
  readonly known: readonly (readonly [name: string, address: string])[];
}

const noClocks: Clocks = { member: 0, event: 0, query: 0 };
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && value as number >= 0;

/** Reads what was written; undefined if it makes no sense. */
function parse(text: string): Written | undefined {
  let value: Partial<Written> | null;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !isCount(value.incarnation)) return undefined;
  const { member, event, query }: Partial<Clocks> = value.clocks ?? {};
  const clocks = isCount(member) && isCount(event) && isCount(query)
    ? { member, event, query }
    : noClocks;
  const known = Array.isArray(value.known) ? value.known : [];
  return {
    version: 1,
    incarnation: value.incarnation,
    clocks,
    left: value.left === true,
    known: known.filter((it) =>
      Array.isArray(it) && typeof it[0] === "string" && typeof it[1] === "string"
    ).slice(-maxKnown),
  };
}

/** See the head of this file. */
export class GossipMemory implements AsyncDisposable {
  readonly #store: Store;
  readonly #host: Host;
  readonly #known = new Map<string, string>();
  #incarnation: number;
  #clocks: Clocks;
  #left: boolean;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #dirty = false;
  #ended = false;
  #readClocks: () => Clocks = () => this.#clocks;

  private constructor(store: Store, host: Host, written: Written | undefined) {
    this.#store = store;
    this.#host = host;
    this.#incarnation = (written?.incarnation ?? 0) + 1;
    this.#clocks = written?.clocks ?? noClocks;
    this.#left = written?.left ?? false;
    for (const [name, address] of written?.known ?? []) this.#known.set(name, address);
  }

  /** Reads it and makes the new incarnation durable. @throws as the store does. */
  static async load(store: Store, host: Host): Promise<GossipMemory> {
    const bytes = await store.read(memoryFile);
    const written = bytes === undefined ? undefined : parse(new TextDecoder().decode(bytes));
    if (bytes !== undefined && written === undefined) {
      host.log.warn("What was remembered of gossip is damaged and is begun anew.", {
        file: memoryFile,
      });
    }
    const memory = new GossipMemory(store, host, written);
    await memory.#write();
    return memory;
  }

  /** The first incarnation of this process, then what {@linkcode GossipMemory.incarnated} said. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /** The clocks at the last write. */
  get clocks(): Clocks {
    return this.#clocks;
  }

  /** Who was known, the one that was heard of last at the end. */
  get known(): readonly (readonly [name: string, address: string])[] {
    return [...this.#known];
  }

  /** True once this node was told to leave, in this life or an earlier one, until it is among others again. */
  get hasLeft(): boolean {
    return this.#left;
  }

  /** Has the clocks read at each write from now on. */
  followClocks(read: () => Clocks): void {
    this.#readClocks = read;
  }

  /** The incarnation rose. */
  incarnated(incarnation: number): void {
    this.#incarnation = incarnation;
    this.#dirty = true;
    this.#start();
  }

  /** This node was told to leave. */
  left(): void {
    this.#left = this.#dirty = true;
    this.#start();
  }

  /** This node is among others. */
  returned(): void {
    if (!this.#left) return;
    this.#left = false;
    this.#later();
  }

  /** A member is there. */
  saw(name: string, address: string): void {
    // Deleted first, so that the order of the map is the order of the latest news.
    this.#known.delete(name);
    this.#known.set(name, address);
    if (this.#known.size > maxKnown) this.#known.delete(this.#known.keys().next().value!);
    this.#later();
  }

  /** A member is gone for good: it left, or was removed. */
  forget(name: string): void {
    if (this.#known.delete(name)) this.#later();
  }

  /** The clocks went on. */
  ticked(): void {
    this.#later();
  }

  /** Writes what is not written yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#dirty = true; // The clocks, if nothing else.
    this.#start();
    await this.#writing;
  }

  #later(): void {
    this.#dirty = true;
    if (this.#ended) return;
    this.#timer ??= this.#host.after(writeAfterMs, () => {
      this.#timer = undefined;
      this.#start();
    });
  }

  #start(): void {
    this.#writing ??= this.#writeAll().finally(() => this.#writing = undefined);
  }

  async #writeAll(): Promise<void> {
    while (this.#dirty) {
      try {
        await this.#write();
      } catch (error) {
        this.#host.log.warn("What gossip must remember cannot be written; it is tried again.", {
          file: memoryFile,
          error: (error as Error).message,
        });
        if (!this.#ended) this.#later();
        return;
      }
    }
  }

  async #write(): Promise<void> {
    this.#dirty = false;
    this.#clocks = this.#readClocks();
    const written: Written = {
      version: 1,
      incarnation: this.#incarnation,
      clocks: this.#clocks,
      ...(this.#left ? { left: true } : {}),
      known: this.known,
    };
    await this.#store.write(memoryFile, new TextEncoder().encode(`${JSON.stringify(written)}\n`));
  }
}

/**
 * Nodes made known by hand: the seeds that `join` reached, and what `add` said.
 *
 * They are registrations of the program, so they outlive a reload of the plugins
 * that hold them. A seed that cannot be reached is forgotten at once, so that a
 * slip of the pen is not dialled for ever. At most 256 seeds are kept; the oldest
 * goes first.
 */
import type { JoinOutcome } from "../contracts/node.ts";
import { codeOf, MycnetError } from "../kernel/errors.ts";
import { parseAddress } from "./peers/address.ts";
import type { Program } from "./program.ts";

/** Seeds that are kept at a time. */
const maxKept = 256;
/** Seeds that one `join` may name. */
const maxSeeds = 64;
/** Addresses that one node may have; the address book takes no more. */
const maxAddresses = 16;

/** A node as it is made known. */
export interface KnownNode {
  /** Its id, where it is known; without one, the handshake tells. */
  readonly id?: string;
  /** `host:port` or `scheme://host:port`; 1 to 16. */
  readonly addresses: readonly string[];
}

/** A node that was made known, until disposed. */
interface Kept extends AsyncDisposable {
  readonly id: string | undefined;
}

/** Checks addresses. @throws `invalid_argument` or `address_invalid`, naming the one. */
function checkAddresses(field: string, addresses: readonly string[], most: number): void {
  if (addresses.length < 1 || addresses.length > most) {
    throw new MycnetError("invalid_argument", `${field}: name 1 to ${most} addresses`);
  }
  for (const address of addresses) parseAddress(address);
}

/** What was made known by hand to one node. */
export class Joiner {
  readonly #program: Pick<Program, "add" | "layers">;
  /** Seeds that were joined, by address, the oldest first. */
  readonly #joined = new Map<string, Kept>();
  /** What was added and belongs to whoever added it. */
  readonly #added = new Set<Kept>();

  /** Knows of nobody yet. */
  constructor(program: Pick<Program, "add" | "layers">) {
    this.#program = program;
  }

  /**
   * Dials every seed and keeps a link to those that answer, from now on.
   * @throws `invalid_argument` or `address_invalid` before anything is dialled.
   */
  async join(seeds: readonly string[]): Promise<readonly JoinOutcome[]> {
    checkAddresses("seeds", seeds, maxSeeds);
    return await Promise.all([...new Set(seeds)].map((it) => this.#joinOne(it)));
  }

  /**
   * Makes a node known until disposed; it is linked when needed.
   * @throws `invalid_argument` or `address_invalid`; `overloaded` when more than `peers.maxHints` are known.
   */
  add({ id, addresses }: KnownNode): AsyncDisposable {
    checkAddresses("addresses", addresses, maxAddresses);
    const kept = this.#keep(id, addresses, false);
    this.#added.add(kept);
    return {
      [Symbol.asyncDispose]: () => {
        this.#added.delete(kept);
        return kept[Symbol.asyncDispose]();
      },
    };
  }

  /** Forgets what was said of a node. */
  async forget(id: string): Promise<void> {
    const joined = [...this.#joined].filter(([, kept]) => kept.id === id);
    const added = [...this.#added].filter((kept) => kept.id === id);
    for (const [address] of joined) this.#joined.delete(address);
    for (const kept of added) this.#added.delete(kept);
    await Promise.all([...joined.map(([, kept]) => kept), ...added].map(dispose));
  }

  async #joinOne(address: string): Promise<JoinOutcome> {
    try {
      const { peer } = await this.#program.layers.peers.connect(address);
      const before = this.#joined.get(address);
      this.#joined.delete(address);
      this.#joined.set(address, this.#keep(peer.id, [address], true));
      await before?.[Symbol.asyncDispose]();
      if (this.#joined.size > maxKept) {
        const [[oldest, stale]] = this.#joined;
        this.#joined.delete(oldest);
        await stale[Symbol.asyncDispose]();
      }
      return { address, ok: true, node: peer };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { address, ok: false, code: codeOf(error) ?? "internal", message };
    }
  }

  #keep(id: string | undefined, addresses: readonly string[], keep: boolean): Kept {
    const hint = { ...(id === undefined ? {} : { id }), addresses, source: "program", keep };
    const registration = this.#program.add(({ peers }) => peers.learn(hint));
    return { id, [Symbol.asyncDispose]: () => registration[Symbol.asyncDispose]() };
  }
}

const dispose = (kept: Kept): PromiseLike<void> => kept[Symbol.asyncDispose]();

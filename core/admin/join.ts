/**
 * Joining by hand: the seeds that `join` names become hints, kept as long as
 * the endpoint runs. A seed that cannot be reached is forgotten at once, so
 * that a slip of the pen is not dialled for ever.
 */
import { z } from "zod";
import type { Peers } from "../contracts/peers.ts";
import { codeOf } from "../kernel/errors.ts";

/** Seeds that may be kept at a time; the oldest goes first. */
const maxSeeds = 256;

/** The body of `join`. */
export const joinBody: z.ZodType<{ readonly seed_nodes: readonly string[] }> = z.strictObject({
  seed_nodes: z.array(
    z.string().max(300).regex(
      /^([a-z][a-z0-9+.-]*:\/\/)?(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):\d{1,5}$/,
      "must be host:port or scheme://host:port",
    ),
  ).min(1, "name at least one seed").max(64, "at most 64 seeds at once"),
});

/** What came of one seed. */
export type JoinOutcome =
  | { readonly address: string; readonly ok: true; readonly node: string }
  | {
    readonly address: string;
    readonly ok: false;
    readonly code: string;
    readonly message: string;
  };

/** Remembers the seeds that were joined. */
export class Joiner implements Disposable {
  readonly #seeds = new Map<string, Disposable>();

  /** Dials every seed and keeps those that answer. Never rejects. */
  async join(
    peers: Peers,
    seeds: readonly string[],
    timeoutMs: number,
  ): Promise<readonly JoinOutcome[]> {
    return await Promise.all([...new Set(seeds)].map((it) => this.#joinOne(peers, it, timeoutMs)));
  }

  async #joinOne(peers: Peers, address: string, timeoutMs: number): Promise<JoinOutcome> {
    try {
      const { peer } = await peers.connect(address, { timeoutMs });
      this.#keep(address, peers.learn({ addresses: [address], source: "admin", keep: true }));
      return { address, ok: true, node: peer.id };
    } catch (error) {
      return {
        address,
        ok: false,
        code: codeOf(error) ?? "internal",
        message: (error as Error).message,
      };
    }
  }

  #keep(address: string, hint: Disposable): void {
    this.#seeds.get(address)?.[Symbol.dispose]();
    this.#seeds.delete(address);
    this.#seeds.set(address, hint);
    if (this.#seeds.size <= maxSeeds) return;
    const [[oldest, stale]] = this.#seeds;
    this.#seeds.delete(oldest);
    stale[Symbol.dispose]();
  }

  /** Withdraws every hint. */
  [Symbol.dispose](): void {
    for (const hint of this.#seeds.values()) hint[Symbol.dispose]();
    this.#seeds.clear();
  }
}

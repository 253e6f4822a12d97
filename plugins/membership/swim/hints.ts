/**
 * Members as hints to the peers: who is alive, and where it takes links. What
 * gossip says of a node is shown until its handshake tells; a member that is dead
 * or has left is no hint any more.
 */
import type { PeerHint } from "../../../core/contracts/peers.ts";
import type { Logger } from "../../../core/kernel/host.ts";
import type { LayerMember } from "./layer.ts";
import { readTags } from "./tags.ts";

interface Held {
  readonly key: string;
  readonly hint: Disposable;
}

/** Keeps the hints in step with the members. */
export class MemberHints implements Disposable {
  readonly #self: string;
  readonly #cluster: string;
  readonly #learn: (hint: PeerHint) => Disposable;
  readonly #log: Logger;
  readonly #held = new Map<string, Held>();

  /** @param cluster members of another one are no peers. */
  constructor(
    parts: {
      readonly self: string;
      readonly cluster: string;
      readonly learn: (hint: PeerHint) => Disposable;
      readonly log: Logger;
    },
  ) {
    this.#self = parts.self;
    this.#cluster = parts.cluster;
    this.#learn = parts.learn;
    this.#log = parts.log;
  }

  /** A member came, changed or went. */
  update({ name, state, tags }: LayerMember): void {
    if (name === this.#self) return;
    const facts = state === "alive" || state === "suspect" ? readTags(name, tags) : undefined;
    if (facts === undefined || facts.cluster !== this.#cluster) return this.remove(name);
    const { cluster: _, linkAddresses, ...about } = facts;
    const key = JSON.stringify(facts);
    const held = this.#held.get(name);
    if (held?.key === key) return;
    this.remove(name);
    try {
      const hint = this.#learn({
        id: name,
        addresses: linkAddresses,
        about,
        source: "swim",
        keep: false,
      });
      this.#held.set(name, { key, hint });
    } catch (error) {
      this.#log.warn("A member cannot be noted as a peer.", {
        node: name,
        reason: (error as Error).message,
      });
    }
  }

  /** A member is forgotten. */
  remove(name: string): void {
    this.#held.get(name)?.hint[Symbol.dispose]();
    this.#held.delete(name);
  }

  /** Withdraws all. */
  [Symbol.dispose](): void {
    for (const { hint } of this.#held.values()) hint[Symbol.dispose]();
    this.#held.clear();
  }
}

/**
 * Gossip addresses out of discovery. Sources speak of nodes, mostly of where they
 * take links; a source that knows where a node gossips says so in its metadata
 * under `gossip`, and for the others the port is tried at which a node with this
 * one's configuration would gossip: a guess, which is nobody's fault when it is wrong.
 */
import type { DiscoveredNode, Discovery } from "../../../core/contracts/discovery.ts";
import type { Host } from "../../../core/kernel/host.ts";
import { formatHostPort, parseHostPort } from "../../../core/node/net/mod.ts";

/** Addresses of one source that are looked at, of each kind. */
const maxAddresses = 256;
/** How long to wait after a source's watch broke, in ms. */
const retryMs = 30_000;

/** The gossip port of a node that takes links at a port; undefined if there can be none. */
export type GossipPort = (linkPort: number) => number | undefined;

/** Addresses to try, by how it is known that somebody gossips there. */
export interface Candidates {
  /** Somebody says so: a person, a source, or the node itself. */
  readonly told: readonly string[];
  /** By the rule for the port alone. */
  readonly guessed: readonly string[];
}

/** Where a discovered node may gossip. Never throws. */
export function candidatesOf(node: DiscoveredNode, gossipPort: GossipPort): Candidates {
  const told = node.metadata?.gossip;
  return told === undefined
    ? { told: [], guessed: guessedFrom(node.addresses, gossipPort) }
    : { told: [told], guessed: [] };
}

/** Where a node would gossip that takes links at these addresses. Never throws. */
export function guessedFrom(addresses: readonly string[], gossipPort: GossipPort): string[] {
  const found = new Set<string>();
  for (const address of addresses) {
    try {
      const { host, port } = parseHostPort(address.replace(/^[a-z][a-z0-9+.-]*:\/\//, ""));
      const beside = gossipPort(port);
      if (host !== "" && beside) found.add(formatHostPort(host, beside));
    } catch {
      // No address that gossip could use.
    }
  }
  return [...found];
}

/** What following a source needs. */
export interface FollowParts {
  readonly host: Host;
  readonly source: Discovery;
  /** The id of this node, which is left out. */
  readonly self: string;
  /** What is tried where none is told. */
  readonly gossipPort: GossipPort;
  /** Runs with the whole list, now and at every change. */
  readonly found: (candidates: Candidates) => void;
}

/** Follows a source until disposed. */
export function followSource(parts: FollowParts): AsyncDisposable {
  const abort = new AbortController();
  const done = run(parts, abort.signal);
  return {
    async [Symbol.asyncDispose]() {
      abort.abort();
      await done;
    },
  };
}

async function run(parts: FollowParts, signal: AbortSignal): Promise<void> {
  const { host, source, self, gossipPort, found } = parts;
  while (!signal.aborted) {
    try {
      for await (const nodes of source.watch(signal)) {
        if (signal.aborted) return;
        const others = nodes.filter(({ id }) => id !== self);
        const all = others.map((it) => candidatesOf(it, gossipPort));
        const bounded = (addresses: string[]) => [...new Set(addresses)].slice(0, maxAddresses);
        found({
          told: bounded(all.flatMap(({ told }) => told)),
          guessed: bounded(all.flatMap(({ guessed }) => guessed)),
        });
      }
    } catch (error) {
      if (signal.aborted) return;
      host.log.warn("Watching a source of members broke; it is watched again.", {
        source: source.id,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
    await host.sleep(retryMs, signal).catch(() => {});
  }
}

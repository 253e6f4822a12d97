/**
 * Discovery to hints: what a source of addresses says becomes hints, and stops
 * being hints when the source stops saying it.
 */
import type { DiscoveredNode, Discovery } from "../../contracts/discovery.ts";
import type { PeerHint } from "../../contracts/peers.ts";
import type { Host } from "../../kernel/host.ts";

/** What following a source needs. */
export interface FollowSetup {
  readonly host: Host;
  readonly source: Discovery;
  /** The id of this node, which is left out. */
  readonly self: string;
  /** Backoff cap: how long to wait before watching again after the watch broke, in ms. */
  readonly retryMs: number;
  learn(hint: PeerHint): Disposable;
}

/**
 * Follows a source until disposed; then withdraws what it said. A watch that
 * breaks is begun again, and what it said stands meanwhile.
 */
export function follow(setup: FollowSetup): AsyncDisposable {
  const abort = new AbortController();
  const held = new Map<string, Disposable>();
  const done = run(setup, held, abort.signal);
  return {
    async [Symbol.asyncDispose]() {
      abort.abort();
      await done;
      for (const hint of held.values()) hint[Symbol.dispose]();
      held.clear();
    },
  };
}

async function run(
  { host, source, self, retryMs, learn }: FollowSetup,
  held: Map<string, Disposable>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const nodes of source.watch(signal)) {
        if (signal.aborted) return;
        update(nodes.filter(({ id }) => id !== self), held, (hint, key) => {
          try {
            return learn({ ...hint, source: source.id, keep: true });
          } catch (error) {
            host.log.warn("A discovered node is left out.", {
              source: source.id,
              node: key,
              reason: error instanceof Error ? error.message : String(error),
            });
            return undefined;
          }
        });
      }
    } catch (error) {
      if (signal.aborted) return;
      host.log.warn("Watching a source of nodes broke; it is watched again.", {
        source: source.id,
        reason: error instanceof Error ? error.message : String(error),
        retryMs,
      });
    }
    try {
      await host.sleep(retryMs, signal);
    } catch {
      return;
    }
  }
}

/** Makes `held` match the list: new nodes are learnt, missing ones withdrawn, the others untouched. */
function update(
  nodes: readonly DiscoveredNode[],
  held: Map<string, Disposable>,
  learn: (hint: Pick<PeerHint, "id" | "addresses">, key: string) => Disposable | undefined,
): void {
  const wanted = new Set<string>();
  for (const { id, addresses } of nodes) {
    if (addresses.length === 0) continue;
    const key = `${id ?? ""} ${[...addresses].sort().join(" ")}`;
    if (wanted.has(key)) continue;
    wanted.add(key);
    if (held.has(key)) continue;
    const hint = learn({ id, addresses }, key);
    // A node that was refused is not offered again until the source changes its mind about it.
    held.set(key, hint ?? { [Symbol.dispose]: () => {} });
  }
  for (const [key, hint] of held) {
    if (wanted.has(key)) continue;
    held.delete(key);
    hint[Symbol.dispose]();
  }
}

/** Makes this node known to a source until disposed. A source that fails is logged, not fatal. */
export function register(
  host: Host,
  source: Discovery,
  self: DiscoveredNode,
): AsyncDisposable {
  const registration = source.register(self).catch((error) => {
    host.log.warn("This node could not make itself known to a source.", {
      source: source.id,
      reason: error instanceof Error ? error.message : String(error),
    });
    return undefined;
  });
  return {
    async [Symbol.asyncDispose]() {
      await (await registration)?.[Symbol.asyncDispose]();
    },
  };
}

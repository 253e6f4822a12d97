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

/**
 * Makes this node known to sources, and known anew when its addresses change.
 * A source that fails is logged and not fatal: others may find this node.
 */
export class Announcer {
  readonly #host: Host;
  readonly #self: () => DiscoveredNode;
  readonly #announcements = new Set<Announcement>();

  /** @param self this node as it is to be known now; without addresses it stays unknown. */
  constructor(host: Host, self: () => DiscoveredNode) {
    this.#host = host;
    this.#self = self;
  }

  /** Makes this node known to a source until disposed. */
  add(source: Discovery): AsyncDisposable {
    const announcement = new Announcement(this.#host, source);
    this.#announcements.add(announcement);
    announcement.say(this.#self());
    return {
      [Symbol.asyncDispose]: async () => {
        this.#announcements.delete(announcement);
        announcement.say(undefined);
        await announcement.done;
      },
    };
  }

  /** The addresses may have changed. */
  changed(): void {
    for (const announcement of this.#announcements) announcement.say(this.#self());
  }
}

/** What one source has been told. Changes wait for the one before. */
class Announcement {
  done: Promise<void> = Promise.resolve();
  readonly #host: Host;
  readonly #source: Discovery;
  #said = "";
  #registration: AsyncDisposable | undefined;

  constructor(host: Host, source: Discovery) {
    this.#host = host;
    this.#source = source;
  }

  say(self: DiscoveredNode | undefined): void {
    const known = self !== undefined && self.addresses.length > 0 ? self : undefined;
    const text = known === undefined ? "" : known.addresses.join(" ");
    if (text === this.#said) return;
    this.#said = text;
    this.done = this.done.then(() => this.#update(known));
  }

  async #update(self: DiscoveredNode | undefined): Promise<void> {
    const before = this.#registration;
    this.#registration = undefined;
    try {
      await before?.[Symbol.asyncDispose]();
      if (self !== undefined) this.#registration = await this.#source.register(self);
    } catch (error) {
      this.#host.log.warn("This node could not make itself known to a source.", {
        source: this.#source.id,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}

/** Members as the contract shows them, and the clockwork of queries as async iterables. */
import type { SerfQueryHandle, SerfQueryListener } from "@mycnet/protocols/serf";
import type { Member, MemberNode, QueryReply } from "../../../core/contracts/membership.ts";
import type { Host } from "../../../core/kernel/host.ts";
import type { LayerMember } from "./layer.ts";
import { readTags } from "./tags.ts";

/** What is known of a member beside what the machines say. */
export interface MemberExtras {
  readonly phi: number | undefined;
  readonly distanceMs: number | undefined;
}

/** A member as the contract shows it. */
export function shownMember(host: Host, member: LayerMember, extras: MemberExtras): Member {
  const { name, address, state, incarnation, tags, sinceMs } = member;
  const now = host.now();
  const { linkAddresses = [], ...node } = readTags(name, tags) ?? {};
  return {
    id: name,
    address,
    state,
    incarnation,
    tags: { ...tags },
    node: "type" in node ? node as MemberNode : undefined,
    linkAddresses,
    since: host.wallTime() - (now - (sinceMs ?? now)),
    ...extras,
  };
}

/**
 * The replies of one query, in the order of their arrival. The machine bounds how
 * many there can be. Leaving the loop, or the signal, ends the query.
 * @param ask sends it.
 */
export function repliesOf(
  ask: (listener: SerfQueryListener) => SerfQueryHandle,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<QueryReply> {
  const queue: QueryReply[] = [];
  let done = false;
  let wake: (() => void) | undefined;
  const push = (reply: QueryReply) => {
    queue.push(reply);
    wake?.();
  };
  const finish = () => {
    done = true;
    signal?.removeEventListener("abort", end);
    wake?.();
  };
  const end = () => {
    handle?.close();
    finish();
  };
  let handle: SerfQueryHandle | undefined = undefined;
  if (signal?.aborted) done = true;
  else {
    handle = ask({
      ack: (from) => push({ kind: "ack", from }),
      response: (from, payload) => push({ kind: "response", from, payload }),
      done: finish,
    });
    if (!done) signal?.addEventListener("abort", end, { once: true });
  }
  return {
    async next() {
      while (true) {
        const value = queue.shift();
        if (value !== undefined) return { done: false, value };
        if (done) return { done: true, value: undefined };
        await new Promise<void>((resolve) => wake = resolve);
        wake = undefined;
      }
    },
    return() {
      queue.length = 0;
      if (!done) end();
      return Promise.resolve({ done: true, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

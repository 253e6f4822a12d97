/**
 * The trace that work belongs to, where no tracer keeps it.
 *
 * A node that records no spans still passes the context of a call on to the
 * calls that are made for it, so that one node without a tracer does not cut a
 * trace in two. It travels with the work by AsyncLocalStorage. Nodes that never
 * see a trace pay for none of it: until the first arrives, all that is
 * asked here is one look at a boolean.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { TraceContext } from "@mycnet/protocols/frame";

const storage = new AsyncLocalStorage<TraceContext | undefined>();
/** True once there was something to carry. It saves time and means nothing else. */
let used = false;

/** Runs `work` as part of a trace; of none, whatever this runs in itself, if `trace` is undefined. */
export function carryTrace<T>(trace: TraceContext | undefined, work: () => T): T {
  if (trace === undefined && !used) return work();
  used = true;
  return storage.run(trace, work);
}

/** False: no trace was ever carried in this process, so none is now. */
export function carries(): boolean {
  return used;
}

/** The trace that this runs in, if any. */
export function carriedTrace(): TraceContext | undefined {
  return used ? storage.getStore() : undefined;
}

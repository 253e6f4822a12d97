/**
 * A stream of answers as server-sent events (WHATWG HTML, 9.2): `item` for
 * each item, then `end`, or `error` with a problem document. Items are pulled
 * as the client reads, so a slow client slows the stream and nothing piles up.
 * A comment every so often keeps proxies from cutting a quiet stream.
 */
import type { Host, Timer } from "../kernel/host.ts";

/** How often a comment is sent while no item comes, in ms. */
const heartbeatMs = 15_000;

const encoder = new TextEncoder();
const heartbeat = encoder.encode(":\n\n");

/** One event. JSON holds no line break, so one data line is enough. */
export function event(name: string, value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(`event: ${name}\ndata: ${JSON.stringify(value)}\n\n`);
}

/** What an event stream is made of. */
export interface EventSource {
  /** The next item as JSON can hold it, or done. Rejects when the stream fails. */
  next(): Promise<{ readonly done: boolean; readonly value?: unknown }>;
  /** Renders a failure. */
  problem(error: unknown): unknown;
  /** Called once: the stream has ended, or the client is gone. */
  finished(clientGone: boolean): void;
}

/** The body of an event stream. */
export function eventStream(host: Host, source: EventSource): ReadableStream<Uint8Array> {
  let timer: Timer | undefined;
  let over = false;
  const finish = (clientGone: boolean) => {
    if (over) return;
    over = true;
    timer?.[Symbol.dispose]();
    source.finished(clientGone);
  };
  return new ReadableStream<Uint8Array>({
    start(controller) {
      timer = host.every(heartbeatMs, () => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(heartbeat);
      });
    },
    async pull(controller) {
      let last: Uint8Array;
      try {
        const { done, value } = await source.next();
        if (over) return;
        if (!done) return controller.enqueue(event("item", value));
        last = event("end", {});
      } catch (error) {
        if (over) return;
        last = event("error", source.problem(error));
      }
      finish(false);
      controller.enqueue(last);
      controller.close();
    },
    cancel() {
      finish(true);
    },
  });
}

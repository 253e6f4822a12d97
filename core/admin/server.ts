/**
 * The HTTP server under admin.
 *
 * Stopping is in two steps: answers under way get a moment to finish (the
 * answer to `leave` is one of them), then everything that is still open, an
 * endless event stream for one, is cut. Deno's own graceful shutdown would
 * wait for such a stream for ever, and cannot be cut short once begun.
 */
import { MycnetError } from "../kernel/errors.ts";
import type { Host } from "../kernel/host.ts";
import { formatHostPort, type HostPort } from "../node/net/address.ts";
import { problem, problemResponse } from "./problem.ts";

/** How long answers under way may take once the server stops, in ms. */
const graceMs = 1000;

/** A server that runs until disposed. */
export interface Served extends AsyncDisposable {
  /** Where it listens; the port is the real one. */
  readonly bound: HostPort;
}

/**
 * Listens.
 * @throws `address_in_use` or `address_invalid`.
 */
export function serve(
  host: Host,
  bind: HostPort,
  answer: (request: Request) => Promise<Response>,
): Served {
  const cut = new AbortController();
  let underWay = 0;
  let drained: (() => void) | undefined;
  const done = () => {
    if (--underWay === 0) drained?.();
  };

  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({
      hostname: bind.host,
      port: bind.port,
      signal: cut.signal,
      onListen() {},
    }, (request, { completed }) => {
      if (drained !== undefined) {
        return problemResponse(problem("closed", "the node is stopping"), { connection: "close" });
      }
      underWay++;
      completed.then(done, done);
      return answer(request);
    });
  } catch (error) {
    const inUse = error instanceof Deno.errors.AddrInUse;
    throw new MycnetError(
      inUse ? "address_in_use" : "address_invalid",
      `admin cannot listen on ${formatHostPort(bind.host, bind.port)}: ${(error as Error).message}`,
      { cause: error },
    );
  }

  return {
    bound: { host: bind.host, port: server.addr.port },
    async [Symbol.asyncDispose]() {
      const { promise, resolve } = Promise.withResolvers<void>();
      drained = resolve;
      if (underWay > 0) {
        using _limit = host.after(graceMs, resolve);
        await promise;
      }
      cut.abort();
      await server.finished;
    },
  };
}

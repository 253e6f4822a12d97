import assert from "node:assert/strict";
import type { IncomingHandlers, MessageHandler, PeerLink } from "../../contracts/peers.ts";
import { noFields } from "@mycnet/protocols/frame";
import { FakeHost } from "../fakes_test.ts";
import { Exchanges } from "./exchanges.ts";

/** Exchanges over a machine that takes everything, with one handler of requests. */
function exchangesWith(request: NonNullable<MessageHandler["request"]>): Exchanges {
  const nothing = () => {};
  return new Exchanges({
    link: {} as PeerLink,
    machine: {
      item: () => true,
      end: nothing,
      grant: nothing,
      respond: nothing,
      fail: nothing,
      reset: nothing,
    },
    handlers: new Map([[0x0300, { request }]]),
    log: new FakeHost().log,
    wrote: () => true,
  });
}

/** Handlers that note how they end. */
function notingEnds(ends: string[]): IncomingHandlers {
  return {
    item: () => {},
    end: () => {},
    writable: () => {},
    closed: ({ code, sent }) => ends.push(`${code}, sent: ${sent}`),
  };
}

const body = new Uint8Array(0);

Deno.test("a request answered at once is under way no longer than its handler runs", () => {
  const exchanges = exchangesWith((exchange) => {
    exchange.respond(body);
    return undefined;
  });
  exchanges.request(2, 0x0300, noFields, body, false);
  assert.equal(exchanges.size, 0);
});

Deno.test("a request answered later is told once that its link was lost", () => {
  const ends: string[] = [];
  const exchanges = exchangesWith(() => notingEnds(ends));
  exchanges.request(2, 0x0300, noFields, body, false);
  assert.equal(exchanges.size, 1);
  exchanges.lost("cut", 0);
  assert.equal(exchanges.size, 0);
  assert.deepEqual(ends, ["link_lost, sent: true"]);
});

Deno.test("a link lost while a handler takes a request ends that request too", () => {
  const ends: string[] = [];
  const exchanges: Exchanges = exchangesWith(() => {
    exchanges.lost("cut by the handler", 0);
    return notingEnds(ends);
  });
  exchanges.request(2, 0x0300, noFields, body, false);
  assert.equal(exchanges.size, 0);
  assert.deepEqual(ends, ["link_lost, sent: true"]);
});

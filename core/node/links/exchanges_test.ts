import assert from "node:assert/strict";
import type {
  ExchangeHandlers,
  IncomingHandlers,
  MessageHandler,
  PeerLink,
} from "../../contracts/peers.ts";
import { noFields } from "@mycnet/protocols/frame";
import { FakeHost } from "../fakes_test.ts";
import { Exchanges } from "./exchanges.ts";

const nothing = () => {};

/** Exchanges over a machine that takes everything, with one handler of requests. */
function exchangesWith(request: NonNullable<MessageHandler["request"]>): Exchanges {
  return new Exchanges({
    link: {} as PeerLink,
    machine: {
      referencedBytes: 16 * 1024,
      open: () => 1,
      item: () => true,
      end: nothing,
      widen: () => {},
      grant: nothing,
      respond: nothing,
      fail: nothing,
      reset: nothing,
    },
    handlers: new Map([[0x0300, { request }]]),
    log: () => new FakeHost().log,
    wrote: () => true,
    answered: nothing,
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

Deno.test("a request answered at once leaves no object with the machine", () => {
  const exchanges = exchangesWith((exchange) => {
    exchange.respond(body);
    return undefined;
  });
  assert.equal(exchanges.request(2, 0x0300, noFields, body, false), undefined);
});

Deno.test("a request answered later is told once that its link was lost", () => {
  const ends: string[] = [];
  const exchanges = exchangesWith(() => notingEnds(ends));
  const exchange = exchanges.request(2, 0x0300, noFields, body, false)!;
  exchanges.lost(exchange, true, "cut");
  assert.deepEqual(ends, ["link_lost, sent: true"]);
  assert(exchange.over);
});

Deno.test("a link lost while a handler takes a request ends that request too", () => {
  const ends: string[] = [];
  const exchanges: Exchanges = exchangesWith(() => {
    exchanges.lost(undefined, true, "cut by the handler");
    return notingEnds(ends);
  });
  assert.equal(exchanges.request(2, 0x0300, noFields, body, false), undefined);
  assert.deepEqual(ends, ["link_lost, sent: true"]);
});

Deno.test("a request that its own handler overloads is told so when the handler returns", () => {
  const ends: string[] = [];
  const exchanges: Exchanges = exchangesWith((exchange) => {
    exchanges.peerReset(undefined, "overloaded", "too many streams");
    assert.equal(exchange.item(body), false, "it is over");
    return notingEnds(ends);
  });
  assert.equal(exchanges.request(2, 0x0300, noFields, body, false), undefined);
  assert.deepEqual(ends, ["overloaded, sent: true"]);
});

Deno.test("an exchange of this side that is lost knows whether it can have left", () => {
  const ends: string[] = [];
  const handlers = { ...notingEnds(ends), response: nothing, failure: nothing };
  const exchanges = exchangesWith(() => undefined);
  const open = () =>
    exchanges.open(0x0300, noFields, body, false, handlers satisfies ExchangeHandlers, 0);
  const [queued, left] = [open(), open()];
  exchanges.lost(queued, false, "cut");
  exchanges.lost(left, true, "cut");
  assert.deepEqual(ends, ["link_lost, sent: false", "link_lost, sent: true"]);
});

import assert from "node:assert/strict";
import { CardStore } from "./cards.ts";
import { swimPresets } from "./config.ts";
import { KnownStates } from "./known_states.ts";
import { Context } from "./context.ts";
import { encodeUtf8 } from "../utf8.ts";
import { stateOf } from "./verdicts.ts";
import { writeState } from "./wire/messages.ts";
import { MsgpackWriter } from "./wire/msgpack.ts";
import { StreamReader } from "./wire/stream_reader.ts";
import type { Versions } from "./versions.ts";

const names = ["a", "b", "c", "d"];
const versions: Versions = [1, 5, 2, 2, 5, 5];

function context(): Context {
  const ip = Uint8Array.of(10, 0, 0, 1);
  const store = new CardStore();
  const c = new Context(
    {
      self: { name: "a", ip, port: 7946 },
      config: swimPresets.default,
      random: () => 0,
      cards: store,
    },
    { packet: () => {}, open: () => {} },
    {},
  );
  for (const name of names.slice(1)) {
    const bytes = encodeUtf8(name);
    c.table.add(store.hold(bytes, 0, bytes.length, ip, 7946, new Uint8Array(), versions, 1));
  }
  return c;
}

/** How many of these states are read, since they are not known; the message comes in pieces. */
function news(c: Context, states: readonly (readonly [string, number, number])[], piece = 1e6) {
  const writer = new MsgpackWriter().byte(6).map(3).key("Join").bool(false);
  writer.key("Nodes").uint(states.length).key("UserStateLen").uint(0);
  const ip = Uint8Array.of(10, 0, 0, 1);
  for (const [name, incarnation, state] of states) {
    const card = { ip, port: 7946, meta: new Uint8Array(), versions };
    writeState(writer, card, encodeUtf8(name), incarnation, state);
  }
  const reader = new StreamReader(undefined, false, 1 << 20, new KnownStates(c));
  const bytes = writer.copy();
  for (let at = 0; at < bytes.length; at += piece) {
    const message = reader.push(bytes.subarray(at, at + piece));
    if (message?.type === "push_pull") return [message.count, message.news.length];
  }
  return undefined;
}

Deno.test("of a push/pull in our order only what differs is read, in whatever pieces it comes", () => {
  for (const piece of [1e6, 100, 7]) {
    const c = context();
    assert.deepEqual(news(c, names.map((name) => [name, 1, 0]), piece), [4, 0]);
    // A new incarnation, and a suspicion; what follows is recognized again.
    assert.deepEqual(news(c, [["a", 1, 0], ["b", 2, 0], ["c", 1, 1], ["d", 1, 0]], piece), [4, 2]);
    // Somebody whom we do not know, and somebody whom the other side does not.
    assert.deepEqual(news(c, [["a", 1, 0], ["x", 1, 0], ["c", 1, 0], ["d", 1, 0]], piece), [4, 2]);
  }
});

Deno.test("the word that somebody lives is news where it is believed suspect", () => {
  const c = context();
  const id = c.store.findName("c");
  c.table.judge(id, 1, stateOf.suspect, 0);
  assert.deepEqual(news(c, names.map((name) => [name, 1, 0])), [4, 1]);
});

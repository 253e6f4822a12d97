// A wire that breaks at each byte of a conversation of two nodes. Whatever was under way there,
// each exchange is told of once, nothing is handled more often than was promised, what was
// promised arrives over the next wire, and nothing is left behind.
import assert from "node:assert/strict";
import type { Cut, Direction } from "./breaking_net.ts";
import { Conversation } from "./conversation.ts";
import { Lives } from "./speaker.ts";

/** Bytes beyond the end: what was said may vary a little in length from one run to the next. */
const beyond = 40;

interface Sweep {
  readonly large: boolean;
  readonly wires: number;
  readonly silent: boolean;
  /** From one offset to the next. */
  readonly stride: number;
}

/** Has the conversation break at one offset after the other, from 0 to its end. */
async function sweep(direction: Direction, { large, stride, ...how }: Sweep): Promise<void> {
  using lives = new Lives();
  const whole = new Conversation(lives, large, { direction, offset: Infinity, ...how });
  await whole.run();
  whole.check();
  const end = whole.net.passed[0]![direction] + beyond;
  let broken = 0;
  for (let offset = 0; offset < end; offset += stride) {
    const cut: Cut = { direction, offset, ...how };
    try {
      const conversation = new Conversation(lives, large, cut);
      await conversation.run();
      conversation.check();
      broken += Math.min(1, conversation.net.broken);
    } catch (error) {
      throw new Error(`broken at byte ${offset} of the ${direction}'s: ${error}`, { cause: error });
    }
  }
  const runs = Math.ceil(end / stride);
  assert.ok(broken >= runs * 0.9, `only ${broken} of ${runs} conversations were broken`);
}

for (const direction of ["dialer", "acceptor"] as const) {
  Deno.test(`broken at any byte of the ${direction}'s, a conversation keeps its promises`, () =>
    sweep(direction, { large: false, wires: 1, silent: false, stride: 1 }));

  Deno.test(`cut off unnoticed at bytes of the ${direction}'s, it keeps them too`, () =>
    sweep(direction, { large: false, wires: 1, silent: true, stride: 13 }));

  Deno.test(`broken three times over at bytes of the ${direction}'s, it keeps them too`, () =>
    sweep(direction, { large: false, wires: 3, silent: false, stride: 11 }));

  Deno.test(`broken within large messages and transfers of the ${direction}'s, it keeps them too`, () =>
    sweep(direction, { large: true, wires: 1, silent: false, stride: 61 }));
}

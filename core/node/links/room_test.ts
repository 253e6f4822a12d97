import assert from "node:assert/strict";
import { Room } from "./room.ts";

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

Deno.test("who waits is let go in order as there is room, and what all hold is bounded", async () => {
  let full = true;
  const room = new Room(() => full, 100);
  const gone: number[] = [];
  const waits = [60, 40, 0].map((bytes, at) =>
    room.wait(undefined, bytes).then(() => {
      gone.push(at);
      full = at === 0;
    })
  );
  await assert.rejects(room.wait(undefined, 1), hasCode("overloaded"));
  full = false;
  room.made();
  await waits[0];
  for (let i = 0; i < 10; i++) await undefined;
  assert.deepEqual(gone, [0], "the first one filled it again");
  full = false;
  room.made();
  await Promise.all(waits);
  assert.deepEqual(gone, [0, 1, 2]);
});

Deno.test("so many may wait who hold nothing; one more is refused, and there is room again", async () => {
  let full = true;
  const room = new Room(() => full, 100);
  const waits = Array.from({ length: 65_536 }, () => room.wait());
  await assert.rejects(room.wait(), hasCode("overloaded"));
  full = false;
  room.made();
  await Promise.all(waits);
  await room.wait();
  assert.equal(room.size, 0);
});

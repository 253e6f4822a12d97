/**
 * A bare copy: as many bytes as a socket takes, in chunks of 64 KiB.
 *
 * The other side reads them and says one byte for every block of 16 MiB, so that
 * a copy is over when it has arrived and not when it is in some buffer.
 */
import type { BareSocket } from "./sockets.ts";

const blockBytes = 16 * 1024 * 1024;
const chunk = new Uint8Array(64 * 1024).fill(0x5a);
const blockRead = Uint8Array.of(1);
/** For each connection, what it says of blocks. */
const readers = new WeakMap<BareSocket, { read: number; heard: () => void }>();

/** Reads and counts. */
export function takeCopies(socket: BareSocket): void {
  let total = 0;
  let owed = 0;
  let saying = false;
  const say = () => {
    if (saying || owed === 0) return;
    saying = true;
    owed--;
    socket.write(blockRead, () => {
      saying = false;
      say();
    });
  };
  socket.open((bytes) => {
    total += bytes.length;
    while (total >= blockBytes) {
      total -= blockBytes;
      owed++;
    }
    say();
  });
}

/** Copies whole blocks for at least `ms`, so many writes at a time; bytes a second. */
export async function copy(socket: BareSocket, writes: number, ms: number): Promise<number> {
  const state = readers.get(socket) ?? listen(socket);
  state.read = 0;
  const began = performance.now();
  let blocks = 0;
  let left = 0;
  await new Promise<void>((resolve) => {
    let underWay = writes;
    const next = () => {
      if (left === 0 && (blocks === 0 || performance.now() - began < ms)) {
        blocks++;
        left = blockBytes;
      }
      if (left > 0) {
        left -= chunk.length;
        socket.write(chunk, next);
      } else if (--underWay === 0) resolve();
    };
    for (let i = 0; i < writes; i++) next();
  });
  while (state.read < blocks) await new Promise<void>((resolve) => state.heard = resolve);
  return blocks * blockBytes / (performance.now() - began) * 1000;
}

function listen(socket: BareSocket): { read: number; heard: () => void } {
  const state = { read: 0, heard: () => {} };
  readers.set(socket, state);
  socket.open((bytes) => {
    state.read += bytes.length;
    state.heard();
  });
  return state;
}

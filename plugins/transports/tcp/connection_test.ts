import assert from "node:assert/strict";
import type { Host } from "../../../core/kernel/host.ts";
import { TcpConnection } from "./connection.ts";

/** A socket whose bytes are always there already, and a host whose turns are taken when told. */
class Bench {
  readonly connection: TcpConnection;
  readonly reads: number[] = [];
  turns = 0;
  #turn: (() => void) | undefined;
  readonly #closed = Promise.withResolvers<null>();

  /** @param size how much a read into so large a buffer gives. */
  constructor(size: (buffer: number) => number) {
    const address = { transport: "tcp", hostname: "127.0.0.1", port: 1 } as const;
    const socket: Partial<Deno.TcpConn> = {
      localAddr: address,
      remoteAddr: address,
      setNoDelay: () => {},
      read: (buffer) => {
        const count = size(buffer.length);
        this.reads.push(count);
        return Promise.resolve(count);
      },
      close: () => this.#closed.resolve(null),
    };
    const host: Partial<Host> = {
      barrier: () => {
        this.turns++;
        return new Promise((resolve) => this.#turn = resolve);
      },
    };
    this.connection = new TcpConnection({
      host: host as Host,
      transport: "tcp",
      socket: socket as Deno.TcpConn,
      closeTimeoutMs: 1000,
      gone: () => {},
    });
  }

  /** Everybody else had a turn. */
  turn(): void {
    this.#turn?.();
  }
}

/** Microtasks have run, and with them every read that was there. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

for (
  const [how, size] of [
    ["fill the buffer", (buffer: number) => buffer],
    ["fill half of it", (buffer: number) => buffer / 2],
    ["bring little", () => 1000],
  ] as const
) {
  Deno.test(`reads that are there at once and ${how} let others have their turn every 256 KiB`, async () => {
    const bench = new Bench(size);
    let arrived = 0;
    bench.connection.open({
      data: ({ length }) => void (arrived += length),
      closed: () => {},
    });
    for (let turn = 1; turn <= 3; turn++) {
      await settled();
      assert.equal(bench.turns, turn);
      const { length } = bench.reads;
      await settled();
      assert.equal(bench.reads.length, length, "nothing is read before the turn is over");
      assert.ok(
        arrived >= turn * 256 * 1024 && arrived < turn * 320 * 1024,
        `${arrived} bytes within ${turn} turns`,
      );
      bench.turn();
    }
    bench.connection.destroy();
    await settled();
    bench.turn();
    await settled();
  });
}

/** A network in memory whose wires count what passes, and break where they are told. */
import type { Connection, Transport } from "../../core/contracts/transport.ts";
import { FakeNet } from "../../core/node/fake_net_test.ts";
import type { FakeConnection } from "../../core/node/fakes_test.ts";

/** Which end's bytes are counted. */
export type Direction = "dialer" | "acceptor";

/** Where wires break: once so many bytes of one direction have arrived. */
export interface Cut {
  readonly direction: Direction;
  readonly offset: number;
  /** How many wires break there, the first that are made. */
  readonly wires: number;
  /** True: nobody is told, and all that is said from then on is lost. */
  readonly silent: boolean;
}

/** A network whose wires count, and break. */
export class BreakingNet extends FakeNet {
  /** Bytes that passed, wire by wire. */
  readonly passed: Record<Direction, number>[] = [];
  /** Wires that broke. */
  broken = 0;
  readonly #cut: Cut | undefined;

  constructor(cut?: Cut) {
    super();
    this.#cut = cut;
  }

  override transport(node: string, address: string | undefined): Transport {
    const made = super.transport(node, address);
    return {
      ...made,
      accept: (handler) =>
        made.accept((connection) => {
          this.#watch(connection as FakeConnection);
          handler(connection);
        }),
    };
  }

  #watch(acceptor: FakeConnection): void {
    const passed = { dialer: 0, acceptor: 0 };
    this.passed.push(passed);
    const cut = this.#cut;
    const breaks = cut !== undefined && this.passed.length <= cut.wires;
    this.#count(acceptor, passed, "acceptor", breaks ? cut : undefined);
    this.#count(acceptor.other, passed, "dialer", breaks ? cut : undefined);
  }

  #count(
    end: FakeConnection,
    passed: Record<Direction, number>,
    direction: Direction,
    cut: Cut | undefined,
  ): void {
    const write: Connection["write"] = end.write.bind(end);
    const limit = cut?.direction === direction ? cut.offset : Infinity;
    const sever = () => {
      if (end.ended && end.other.ended) return;
      this.broken++;
      if (cut!.silent) end.blackhole();
      else end.cut();
    };
    end.write = (bytes, written) => {
      const room = limit - passed[direction];
      passed[direction] += bytes.length;
      if (bytes.length < room) write(bytes, written);
      else if (room <= 0) sever();
      else write(bytes.subarray(0, room), sever);
    };
  }
}

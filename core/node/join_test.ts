import assert from "node:assert/strict";
import type { PeerHint, Peers } from "../contracts/peers.ts";
import { MycnetError } from "../kernel/errors.ts";
import { Joiner } from "./join.ts";
import type { Program, ProgramLayers } from "./program.ts";

/** A program whose peers answer at every address but `nobody:1`, and remember the hints that stand. */
class FakeProgram implements Pick<Program, "add" | "layers"> {
  readonly hints: PeerHint[] = [];
  readonly dialled: string[] = [];
  readonly layers = {
    peers: {
      connect: (address: string) => {
        this.dialled.push(address);
        return address === "nobody:1"
          ? Promise.reject(new MycnetError("unreachable", `${address} cannot be reached`))
          : Promise.resolve({ peer: { id: address.split(":")[0] } });
      },
      learn: (hint: PeerHint) => {
        this.hints.push(hint);
        return { [Symbol.dispose]: () => void this.hints.splice(this.hints.indexOf(hint), 1) };
      },
    } as unknown as Peers,
  } as ProgramLayers;

  add: Program["add"] = (attach) => {
    const registered = attach(this.layers) as Disposable;
    return {
      [Symbol.asyncDispose]: () => {
        registered[Symbol.dispose]();
        return Promise.resolve();
      },
    };
  };

  /** The addresses that are known. */
  get known(): string[] {
    return this.hints.flatMap(({ addresses }) => addresses);
  }
}

Deno.test("every seed is dialled once, those that answer are kept once, the others say why", async () => {
  const program = new FakeProgram();
  const joiner = new Joiner(program);
  const outcomes = await joiner.join(["a:1", "a:1", "nobody:1"]);
  assert.deepEqual(outcomes, [
    { address: "a:1", ok: true, node: { id: "a" } },
    { address: "nobody:1", ok: false, code: "unreachable", message: "nobody:1 cannot be reached" },
  ]);
  await joiner.join(["a:1"]);
  assert.deepEqual(program.dialled, ["a:1", "nobody:1", "a:1"]);
  assert.deepEqual(program.hints, [{ id: "a", addresses: ["a:1"], source: "program", keep: true }]);
});

Deno.test("seeds that are kept are bounded: the one joined longest ago is forgotten first", async () => {
  const program = new FakeProgram();
  const joiner = new Joiner(program);
  const all = Array.from({ length: 300 }, (_, at) => `h${at}:1`);
  for (const seed of all) await joiner.join([seed]);
  assert.deepEqual(program.known, all.slice(-256));
});

Deno.test("forgetting a node forgets all that was said of it and nothing else", async () => {
  const program = new FakeProgram();
  const joiner = new Joiner(program);
  await joiner.join(["a:1", "a:2", "b:1"]);
  const added = joiner.add({ id: "a", addresses: ["a:3", "a:4"] });
  joiner.add({ addresses: ["c:1"] });
  assert.equal(program.hints.find(({ id }) => id === "a" && program.known.length > 0)?.keep, true);
  await joiner.forget("a");
  assert.deepEqual(program.known, ["b:1", "c:1"]);
  await joiner.forget("nobody");
  assert.deepEqual(program.known, ["b:1", "c:1"]);
  assert.equal(typeof added[Symbol.asyncDispose], "function");
});

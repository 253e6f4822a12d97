import assert from "node:assert/strict";
import fc from "fast-check";
import { codeOf } from "../kernel/errors.ts";
import { DatagramSocket, maxDatagramBytes, socketBuffer } from "./datagram.ts";
import { Loop } from "./loop.ts";
import type { LinkConditions } from "./machine.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";

function world(seed: number, names: readonly string[], conditions: Partial<LinkConditions> = {}) {
  const scheduler = new Scheduler();
  const network = new Network({ scheduler, random: new Random(seed), conditions });
  const sockets: Record<string, DatagramSocket> = {};
  const loops: Record<string, Loop> = {};
  const received: string[] = [];
  for (const name of names) {
    const loop = loops[name] = new Loop(scheduler, name);
    sockets[name] = new DatagramSocket(network, network.machine(name), 1, loop, (bytes, from) => {
      received.push(`${from.split(":")[0]}>${name} ${bytes[0]}`);
    });
  }
  const send = (from: string, to: string, number = 0) =>
    sockets[from]!.send(`${to}:1`, new Uint8Array([number]));
  const flush = (ms = 1000) => {
    scheduler.run(ms);
    return received.splice(0);
  };
  return { scheduler, network, sockets, loops, send, flush };
}

Deno.test("a datagram arrives once, after its delay, in a buffer that is the receiver's for the call only", () => {
  const scheduler = new Scheduler();
  const network = new Network({
    scheduler,
    random: new Random(1),
    conditions: { delay: { kind: "constant", ms: 7 } },
  });
  const loop = new Loop(scheduler, "all");
  let kept = new Uint8Array();
  const a = new DatagramSocket(network, network.machine("a"), 1, loop, () => {});
  const b = new DatagramSocket(network, network.machine("b"), 0, loop, (bytes) => {
    assert.equal(scheduler.now, 7);
    assert.deepEqual(bytes, new Uint8Array([1, 2, 3]));
    kept = bytes as Uint8Array<ArrayBuffer>;
  });
  const bytes = new Uint8Array([1, 2, 3]);
  assert.equal(a.send(b.address, bytes), true);
  bytes.fill(9); // The sender may reuse it at once.
  scheduler.run(100);
  assert.deepEqual(kept, new Uint8Array([0xdb, 0xdb, 0xdb]));
});

Deno.test("loss loses its share, duplication doubles its share", () => {
  const { send, flush } = world(2, ["a", "b"], { loss: 0.2 });
  for (let i = 0; i < 10_000; i++) send("a", "b");
  const lost = 10_000 - flush().length;
  assert.ok(Math.abs(lost - 2000) < 200, `${lost}`);
  const twice = world(3, ["a", "b"], { duplicate: 0.3 });
  for (let i = 0; i < 10_000; i++) twice.send("a", "b");
  const extra = twice.flush().length - 10_000;
  assert.ok(Math.abs(extra - 3000) < 250, `${extra}`);
});

Deno.test("datagrams overtake each other when asked to, and else keep their order", () => {
  const order = (conditions: Partial<LinkConditions>) => {
    const { send, flush, scheduler } = world(4, ["a", "b"], {
      delay: { kind: "constant", ms: 1 },
      ...conditions,
    });
    for (let i = 0; i < 100; i++) {
      send("a", "b", i);
      scheduler.run(1);
    }
    return flush().map((line) => Number(line.split(" ")[1]));
  };
  const straight = order({});
  assert.deepEqual(straight, straight.toSorted((a, b) => a - b));
  const mixed = order({ reorder: 0.2, reorderMs: 10 });
  assert.equal(mixed.length, 100);
  assert.notDeepEqual(mixed, mixed.toSorted((a, b) => a - b));
});

Deno.test("bandwidth spaces datagrams out and drops what would wait too long", () => {
  const { send, flush, scheduler } = world(5, ["a", "b"], {
    delay: { kind: "constant", ms: 0 },
    bytesPerSecond: 1000, // One byte each: one a millisecond.
    queueMs: 10,
  });
  const sent = Array.from({ length: 20 }, () => send("a", "b"));
  assert.equal(sent.filter(Boolean).length, 11); // The one that leaves, and ten that wait.
  const times: number[] = [];
  let seen = 0;
  while (scheduler.step()) {
    const now = flush(0).length;
    if (now > 0) times.push(scheduler.now);
    seen += now;
  }
  assert.equal(seen, 11);
  for (const [i, at] of times.entries()) assert.ok(Math.abs(at - (i + 1)) < 0.1, `${times}`);
});

Deno.test("a partition cuts both ways, healing opens it, and the rest never notice", () => {
  const { network, send, flush } = world(6, ["a", "b", "c"]);
  const every = () => {
    for (const from of ["a", "b", "c"]) {
      for (const to of ["a", "b", "c"]) if (from !== to) send(from, to);
    }
    return flush().map((line) => line.split(" ")[0]).sort();
  };
  const all = every();
  assert.equal(all.length, 6);
  {
    using _cut = network.partition([["a"], ["b"]]); // c is in no group: a partial partition.
    assert.deepEqual(every(), ["a>c", "b>c", "c>a", "c>b"]);
  }
  assert.deepEqual(every(), all);
  network.partition([["a"], ["b", "c"]]);
  assert.deepEqual(every(), ["b>c", "c>b"]);
  network.heal();
  assert.deepEqual(every(), all);
});

Deno.test("a one-way partition cuts one way", () => {
  const { network, send, flush } = world(7, ["a", "b"]);
  network.partitionOneWay(["a"], ["b"]);
  send("a", "b");
  send("b", "a");
  assert.deepEqual(flush(), ["b>a 0"]);
});

Deno.test("overlapping partitions open a path only when the last is healed", () => {
  fc.assert(fc.property(fc.array(fc.nat(5), { maxLength: 40 }), (script) => {
    const { network, send, flush } = world(8, ["a", "b"]);
    const cuts: Disposable[] = [];
    let ended = 0;
    for (const step of script) {
      if (step < 3) cuts.push(network.partition([["a"], ["b"]]));
      else if (step < 5 && ended < cuts.length) {
        cuts[ended]![Symbol.dispose]();
        cuts[ended++]![Symbol.dispose](); // Twice is harmless.
      } else if (step === 5) {
        network.heal();
        ended = cuts.length;
      }
      send("a", "b");
      assert.equal(flush().length, cuts.length === ended ? 1 : 0);
    }
  }));
});

Deno.test("what is under way when the cut comes is lost, and so is what meets a machine without power", () => {
  const { network, send, flush, scheduler } = world(9, ["a", "b"], {
    delay: { kind: "constant", ms: 10 },
  });
  send("a", "b");
  scheduler.run(5);
  network.partition([["a"], ["b"]]);
  assert.deepEqual(flush(), []);
  network.heal();
  network.machine("b").up = false;
  send("a", "b");
  assert.deepEqual(flush(), []);
  network.machine("b").up = true;
  send("a", "b");
  assert.equal(flush().length, 1);
});

Deno.test("a paused process finds as many datagrams as its socket holds, in order, after the pause", () => {
  const { loops, send, flush } = world(10, ["a", "b"], { delay: { kind: "constant", ms: 1 } });
  loops["b"]!.pause(500);
  for (let i = 0; i < socketBuffer + 50; i++) send("a", "b", i % 256);
  assert.deepEqual(flush(400), []);
  const late = flush(200);
  assert.deepEqual(late, Array.from({ length: socketBuffer }, (_, i) => `a>b ${i % 256}`));
});

Deno.test("what cannot be sent is refused by name", () => {
  const { sockets, network, loops } = world(11, ["a"]);
  const socket = sockets["a"]!;
  const code = (run: () => unknown) => {
    try {
      return run();
    } catch (error) {
      return codeOf(error);
    }
  };
  assert.equal(code(() => socket.send("a:1", new Uint8Array(maxDatagramBytes + 1))), "too_large");
  assert.equal(code(() => socket.send("nowhere", new Uint8Array(1))), "address_invalid");
  assert.equal(code(() => socket.send("nowhere:1", new Uint8Array(1))), false);
  assert.equal(
    code(() => new DatagramSocket(network, network.machine("a"), 1, loops["a"]!, () => {})),
    "address_in_use",
  );
  assert.equal(code(() => network.machine("Not A Name")), "address_invalid");
  assert.throws(() => network.setDefault({ loss: 1.5 }), RangeError);
  loops["a"]!.kill();
  assert.equal(socket.send("a:1", new Uint8Array(1)), false);
});

Deno.test("a path that was cut follows the default conditions, as it did before", () => {
  const { network } = world(12, ["a", "b"], { loss: 0.5 });
  network.partition([["a"], ["b"]])[Symbol.dispose]();
  network.setDefault({ loss: 0 });
  assert.equal(network.conditions(network.machine("a"), network.machine("b")).loss, 0);
  network.setConditions("a", "b", { duplicate: 0.1 });
  assert.equal(network.conditions(network.machine("a"), network.machine("b")).loss, 0);
});

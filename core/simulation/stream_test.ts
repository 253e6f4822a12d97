import assert from "node:assert/strict";
import fc from "fast-check";
import { codeOf } from "../kernel/errors.ts";
import { dial } from "./dial.ts";
import { Loop } from "./loop.ts";
import type { End, LinkConditions } from "./machine.ts";
import { Network } from "./network.ts";
import { windowBytes } from "./pipe.ts";
import { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";

const settle = () => new Promise<void>((resolve) => queueMicrotask(resolve));

/** Two machines and a connection between them. */
async function connected(seed: number, conditions: Partial<LinkConditions> = {}) {
  const scheduler = new Scheduler();
  const network = new Network({ scheduler, random: new Random(seed) });
  const loops = { a: new Loop(scheduler, "a"), b: new Loop(scheduler, "b") };
  let far: End | undefined;
  network.machine("b").listeners.set(7000, {
    loop: loops.b,
    facts: { transport: "sim", scheme: "sim" },
    arriving: 0,
    accept: (end) => {
      far = end;
      return true;
    },
  });
  const dialled = dial({
    network,
    machine: network.machine("a"),
    loop: loops.a,
    facts: { transport: "sim", scheme: "sim" },
    address: "b:7000",
    timeoutMs: 1000,
    signal: new AbortController().signal,
  });
  scheduler.run(50);
  const near = await dialled;
  network.setDefault(conditions);
  return { scheduler, network, loops, near, far: far! };
}

/** Sends numbered bytes as fast as `written` lets it. */
function pump(end: End, total: number, chunk: (sent: number) => number): { sent: number } {
  const state = { sent: 0 };
  const buffer = new Uint8Array(200_000);
  const next = () => {
    const size = Math.min(chunk(state.sent), total - state.sent);
    if (size === 0) return;
    for (let i = 0; i < size; i++) buffer[i] = (state.sent + i) % 251;
    end.write(buffer.subarray(0, size), () => {
      buffer.fill(0xee, 0, size); // The bytes are the writer's again.
      state.sent += size;
      next();
    });
  };
  next();
  return state;
}

/** Checks that what arrives is the numbered bytes, in order, each once. */
function collect(end: End): { received: number; closed: string | undefined; pieces: number } {
  const state = { received: 0, closed: undefined as string | undefined, pieces: 0 };
  end.open({
    data: (bytes) => {
      assert.equal(state.closed, undefined, "nothing follows closed()");
      state.pieces++;
      for (const byte of bytes) assert.equal(byte, state.received++ % 251);
    },
    closed: (error) => {
      assert.equal(state.closed, undefined, "closed() is called once");
      state.closed = error === undefined ? "end" : codeOf(error) ?? error.message;
    },
  });
  return state;
}

const faults = fc.record({
  loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
  reorder: fc.double({ min: 0, max: 1, noNaN: true }),
  duplicate: fc.double({ min: 0, max: 1, noNaN: true }),
  delay: fc.constantFrom<LinkConditions["delay"]>(
    { kind: "constant", ms: 0 },
    { kind: "uniform", minMs: 0, maxMs: 80 },
    { kind: "exponential", minMs: 1, meanMs: 30 },
    { kind: "lognormal", medianMs: 40, sigma: 1 },
  ),
  bytesPerSecond: fc.constantFrom(Infinity, 1e6, 1e8),
});

type Disturbance = readonly [
  what: "cut" | "oneway" | "heal" | "pauseA" | "pauseB" | "stop" | "go",
  ms: number,
];
const disturbances = fc.array(
  fc.tuple(
    fc.constantFrom("cut", "oneway", "heal", "pauseA", "pauseB", "stop", "go"),
    fc.integer({ min: 0, max: 3000 }),
  ) as fc.Arbitrary<Disturbance>,
  { maxLength: 12 },
);

Deno.test("bytes arrive in order, each once, whatever the faults, and all of them once they end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), faults, disturbances, async (seed, conditions, script) => {
      const { scheduler, network, loops, near, far } = await connected(seed, conditions);
      const random = new Random(seed);
      const total = 500_000;
      const there = pump(near, total, () => 1 + random.below(150_000));
      const back = pump(far, 50_000, () => 1 + random.below(500));
      const atFar = collect(far);
      const atNear = collect(near);
      for (const [what, ms] of script) {
        if (what === "cut") network.partition([["a"], ["b"]]);
        else if (what === "oneway") network.partitionOneWay(["b"], ["a"]);
        else if (what === "heal") network.heal();
        else if (what === "pauseA") loops.a.pause(ms);
        else if (what === "pauseB") loops.b.pause(ms);
        else if (what === "stop") far.pause();
        else far.resume();
        scheduler.run(ms);
        // What is on the way and not consumed is bounded.
        assert.ok(there.sent - atFar.received <= windowBytes);
      }
      network.heal();
      network.setDefault({ loss: 0, bytesPerSecond: Infinity });
      far.resume();
      scheduler.run(600_000);
      assert.deepEqual([atFar.received, atNear.received], [total, 50_000]);
      near.close();
      scheduler.run(5000);
      assert.deepEqual([atNear.closed, atFar.closed], ["end", "end"]);
      assert.equal(back.sent, 50_000);
      assert.equal(network.machine("a").ends.size + network.machine("b").ends.size, 0);
      assert.equal(scheduler.pending, 0);
    }),
    { numRuns: 60 },
  );
});

Deno.test("until a crash, what arrives is a prefix of what was sent; then comes a reset", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), faults, fc.nat(2000), async (seed, conditions, ms) => {
      const { scheduler, near, far, loops } = await connected(seed, conditions);
      const random = new Random(seed);
      pump(near, 5_000_000, () => 1 + random.below(150_000));
      const atFar = collect(far);
      scheduler.run(ms);
      loops.a.kill();
      near.reset();
      scheduler.run(61_000);
      assert.equal(atFar.closed, "link_lost");
    }),
    { numRuns: 40 },
  );
});

Deno.test("bytes take the link's delay, and bandwidth spaces them out", async () => {
  const { scheduler, near, far } = await connected(10, {
    delay: { kind: "constant", ms: 50 },
    bytesPerSecond: 1_000_000,
  });
  const arrivals: number[] = [];
  const began = scheduler.now;
  let received = 0;
  far.open({
    data: (bytes) => {
      received += bytes.length;
      if (received % 10_000 === 0) arrivals.push(scheduler.now - began);
    },
    closed: () => {},
  });
  const send = () => near.write(new Uint8Array(10_000), () => {});
  send();
  scheduler.run(1);
  send();
  scheduler.run(500);
  assert.equal(received, 20_000);
  assert.deepEqual(arrivals.map(Math.round), [60, 70]);
});

Deno.test("without a way back the window fills and the writer waits, until it is healed", async () => {
  const { scheduler, network, near, far } = await connected(11);
  const atFar = collect(far);
  const cut = network.partitionOneWay(["b"], ["a"]);
  const there = pump(near, 1_000_000, () => 50_000);
  scheduler.run(10_000);
  assert.ok(atFar.received <= windowBytes && atFar.received > windowBytes / 2);
  assert.ok(there.sent <= windowBytes);
  cut[Symbol.dispose]();
  scheduler.run(30_000);
  assert.equal(atFar.received, 1_000_000);
});

Deno.test("close sends what was written, then both sides end cleanly", async () => {
  const { scheduler, near, far } = await connected(1);
  const atFar = collect(far);
  const atNear = collect(near);
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
  near.write(bytes, () => {});
  near.close();
  near.write(bytes, () => assert.fail("nothing is written after close"));
  scheduler.run(100);
  assert.equal(atFar.received, 100_000);
  assert.deepEqual([atNear.closed, atFar.closed], ["end", "end"]);
});

Deno.test("close gives up after two seconds on a peer that does not answer", async () => {
  const { scheduler, network, near, far } = await connected(2);
  const atNear = collect(near);
  const atFar = collect(far);
  network.partition([["a"], ["b"]]);
  near.close();
  scheduler.run(1900);
  assert.equal(atNear.closed, undefined);
  scheduler.run(200);
  assert.equal(atNear.closed, "end");
  assert.equal(atFar.closed, undefined, "the other side hears nothing");
});

Deno.test("destroy ends at once; the other side hears a reset", async () => {
  const { scheduler, near, far } = await connected(3);
  const atNear = collect(near);
  const atFar = collect(far);
  near.destroy();
  assert.equal(atNear.closed, undefined, "never inside destroy() itself");
  scheduler.run(50);
  assert.deepEqual([atNear.closed, atFar.closed], ["end", "link_lost"]);
});

Deno.test("a half-open end hears nothing, until it sends to a machine that is back", async () => {
  const { scheduler, network, near, far, loops } = await connected(4);
  const atNear = collect(near);
  collect(far);
  loops.b.kill();
  far.abandon(); // Power is lost: no reset, no end.
  network.machine("b").up = false;
  scheduler.run(600_000);
  assert.equal(atNear.closed, undefined, "silence is all there is");
  near.write(new Uint8Array(10), () => {});
  scheduler.run(60_000);
  assert.equal(atNear.closed, undefined, "it is sent again and again");
  network.machine("b").up = true;
  scheduler.run(130_000);
  assert.equal(atNear.closed, "link_lost", "the machine knows no such connection");
});

Deno.test("a sender gives up a quarter of an hour into a cut; an idle end never does", async () => {
  const { scheduler, network, near, far } = await connected(5);
  const atNear = collect(near);
  const atFar = collect(far);
  network.partition([["a"], ["b"]]);
  near.write(new Uint8Array(10), () => {});
  scheduler.run(900_000);
  assert.equal(atNear.closed, undefined);
  scheduler.run(200_000);
  assert.equal(atNear.closed, "link_lost");
  assert.equal(atFar.closed, undefined);
});

Deno.test("a reader that stops is felt by the writer, and a lost reset is made good", async () => {
  const { scheduler, network, near, far, loops } = await connected(6);
  const atFar = collect(far);
  far.pause();
  const there = pump(near, 10_000_000, () => 100_000);
  const atNear = collect(near);
  scheduler.run(1000);
  assert.ok(there.sent <= windowBytes && there.sent >= windowBytes / 2, `${there.sent}`);
  assert.equal(atFar.received, 0);
  const cut = network.partition([["a"], ["b"]]);
  loops.b.kill();
  far.reset(); // Lost in the cut.
  scheduler.run(1000);
  cut[Symbol.dispose]();
  scheduler.run(250_000);
  assert.equal(atNear.closed, "link_lost", "the writer asks whether the reader is still there");
});

Deno.test("the view that a handler keeps is overwritten, and pieces are not what was written", async () => {
  const { scheduler, near, far } = await connected(7);
  const kept: Uint8Array[] = [];
  let pieces = 0;
  let size = 0;
  far.open({
    data: (bytes) => {
      pieces++;
      size += bytes.length;
      kept.push(bytes);
    },
    closed: () => {},
  });
  let writes = 0;
  const next = () => {
    if (writes++ < 500) near.write(new Uint8Array(100).fill(1), next);
  };
  next();
  scheduler.run(1000);
  assert.equal(size, 50_000);
  assert.notEqual(pieces, 500);
  assert.ok(kept.every((view) => view.every((byte) => byte === 0xdb)));
});

Deno.test("a second write before the first is written is refused loudly", async () => {
  const { near } = await connected(8);
  near.write(new Uint8Array(1), () => {});
  assert.throws(() => near.write(new Uint8Array(1), () => {}), /outstanding/);
});

Deno.test("dialling nobody is refused, dialling into silence times out, giving up aborts", async () => {
  const { scheduler, network, loops } = await connected(9);
  const attempt = (address: string, signal = new AbortController().signal) => {
    const result = { code: "" as string | undefined, at: 0 };
    const began = scheduler.now;
    dial({
      network,
      machine: network.machine("a"),
      loop: loops.a,
      facts: { transport: "sim", scheme: "sim" },
      address,
      timeoutMs: 5000,
      signal,
    }).then(() => result.code = "connected", (error) => {
      result.code = codeOf(error);
      result.at = scheduler.now - began;
    });
    return result;
  };
  const controller = new AbortController();
  const nobody = attempt("b:1");
  const nowhere = attempt("nowhere:1");
  const nonsense = attempt("nonsense");
  const aborted = attempt("b:7000", controller.signal);
  controller.abort();
  for (let i = 0; i < 50; i++) {
    scheduler.run(1);
    await settle();
  }
  assert.equal(nobody.code, "unreachable");
  assert.equal(nowhere.code, "unreachable");
  assert.equal(nonsense.code, "address_invalid");
  assert.equal(aborted.code, "aborted");
  const cut = network.partitionOneWay(["b"], ["a"]);
  const silent = attempt("b:7000");
  const patient = attempt("b:7000");
  for (let i = 0; i < 49; i++) {
    scheduler.run(50);
    await settle();
  }
  assert.equal(silent.code, "");
  cut[Symbol.dispose](); // The third try, three seconds in, gets through.
  scheduler.run(1000);
  await settle();
  assert.equal(patient.code, "connected");
  network.machine("b").up = false;
  const dark = attempt("b:7000");
  scheduler.run(5100);
  await settle();
  assert.equal(dark.code, "timeout");
  await settle();
  assert.ok(dark.at >= 5000);
});

import assert from "node:assert/strict";
import { codeOf, MycnetError } from "../kernel/errors.ts";
import type { Host } from "../kernel/host.ts";
import { simulate, type SimulateOptions, simulateSeeds } from "./simulate.ts";
import type { Simulation } from "./simulation.ts";

/** A node that is nothing but its Host. */
const bare = (host: Host) => Promise.resolve({ host, stop: () => Promise.resolve() });

async function failure(
  options: Partial<SimulateOptions>,
  script: (sim: Simulation) => unknown,
): Promise<MycnetError> {
  try {
    await simulate({ seed: 1, ...options }, async (sim) => void await script(sim));
  } catch (error) {
    assert.ok(error instanceof MycnetError);
    return error;
  }
  assert.fail("it should have failed");
}

Deno.test("virtual time never overtakes work that an event set in motion", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    let done = -1;
    let seen = -1;
    host.after(10, async () => {
      for (let i = 0; i < 1000; i++) await null;
      done = sim.now;
    });
    host.after(10.001, () => seen = done);
    await sim.run(20);
    assert.deepEqual([done, seen], [10, 10]);
  });
});

Deno.test("two runs of a seed leave the same trace, another seed another", async () => {
  const script = async (sim: Simulation) => {
    const { value: { host } } = await sim.node("a", bare);
    for (let i = 0; i < 10; i++) await host.sleep(host.random() * 100);
  };
  const [one, again, two] = await simulateSeeds([1, 1, 2], {}, script);
  assert.equal(one!.hash, again!.hash);
  assert.deepEqual(one!.trace, again!.trace);
  assert.notEqual(one!.hash, two!.hash);
});

Deno.test("a script that keeps state outside is caught, and the first line that differs is shown", async () => {
  let runs = 0;
  const error = await failure({}, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    host.log.info("the same");
    runs++;
    host.log.info("a line", { run: runs });
    await sim.run(10);
  });
  assert.equal(error.code, "simulation_diverged");
  assert.match(error.message, /first run: .* info a line \{"run":1\}/);
  assert.match(error.message, /second run: .* info a line \{"run":2\}/);
});

Deno.test("a run that does less or more the second time is caught as well", async () => {
  for (const longer of [1, 2]) {
    let runs = 0;
    const error = await failure({}, async (sim) => {
      const { value: { host } } = await sim.node("a", bare);
      if (++runs === longer) host.log.info("one line more");
    });
    assert.equal(error.code, "simulation_diverged");
    assert.match(error.message, /one line more/);
  }
});

Deno.test("real I/O that slips past the traps is caught by the double run", async () => {
  const { setTimeout: slipped } = globalThis; // Taken before the run.
  let runs = 0;
  const error = await failure({}, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    // The second time it takes for ever, which is the surest way to take another time.
    const real = new Promise<void>((resolve) => {
      if (++runs === 1) slipped(resolve, 0);
    });
    using _beat = host.every(1, () => host.log.info("beat"));
    await real;
    host.log.info("real I/O is done");
  });
  assert.equal(error.code, "simulation_diverged");
  assert.match(error.message, /first run: .* real I\/O is done/);
});

Deno.test("a trap springs inside a run, and everything works again afterwards", async () => {
  const error = await failure({}, async (sim) => {
    await sim.node("a", () => {
      setTimeout(() => {}, 1);
      return Promise.resolve({ stop: () => Promise.resolve() });
    });
  });
  assert.match(error.message, /setTimeout .* use host\.after\(\)/);
  assert.equal(codeOf(error.cause), "simulation_trap");
  assert.ok(Date.now() > 0);
  await assert.rejects(
    simulate({ seed: 1 }, () => simulate({ seed: 2 }, () => {})),
    /another simulation runs/,
  );
});

Deno.test("a failure names the seed, the time, how to repeat it, and shows the end of the trace", async () => {
  const error = await failure({ seed: 4711 }, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    await sim.run(1500);
    host.log.info("the last words");
    assert.equal(1, 2, "one is not two");
  });
  assert.equal(error.code, "simulation_failed");
  assert.match(error.message, /one is not two/);
  assert.match(error.message, /seed 4711, at 1500\.000 ms/);
  assert.match(error.message, /simulate\(\{ seed: 4711 \}/);
  assert.match(error.message, /the last words/);
  assert.ok(error.cause instanceof assert.AssertionError);
});

Deno.test("who awaits for ever is named: a node's start", async () => {
  const error = await failure({}, (sim) => sim.node("stuck", () => new Promise<never>(() => {})));
  assert.equal(error.code, "simulation_hung");
  assert.match(error.message, /node "stuck": its start/);
});

Deno.test("who awaits for ever is named: a promise with a name, a node's stop", async () => {
  const named = await failure({}, async (sim) => {
    await sim.node("a", async (_host, context) => {
      await context.track("the answer of the oracle", new Promise(() => {}));
      return { stop: () => Promise.resolve() };
    });
  });
  assert.match(named.message, /node "a": the answer of the oracle, since 0\.000 ms/);
  const stop = await failure(
    {},
    (sim) => sim.node("a", () => Promise.resolve({ stop: () => new Promise(() => {}) })),
  );
  assert.match(stop.message, /node "a": its stop/);
});

Deno.test("who awaits for ever is named: the script, with the line of its last call", async () => {
  const error = await failure({}, async (sim) => {
    await sim.run(1);
    await new Promise(() => {});
  });
  assert.equal(error.code, "simulation_hung");
  assert.match(error.message, /the script, after sim\.run\(1\) at file:.*simulate_test\.ts:\d+/);
});

Deno.test("until asks after every event, and a condition that never holds is shown with its line", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    let count = 0;
    using _beat = host.every(10, () => count++);
    await sim.until(() => count === 7);
    assert.equal(sim.now, 70);
    await sim.until(() => true);
    await assert.rejects(sim.until(() => count < 0, 100), (error: Error) => {
      assert.equal(codeOf(error), "timeout");
      assert.match(
        error.message,
        /100 virtual ms: \(\) ?=> ?count < 0, at file:.*simulate_test\.ts/,
      );
      return true;
    });
    assert.equal(sim.now, 170);
    await assert.rejects(
      sim.until(() => {
        if (count > 20) throw new Error("the condition broke");
        return false;
      }),
      /the condition broke/,
    );
  });
});

Deno.test("virtual time and the number of events are bounded", async () => {
  const long = await failure({ maxVirtualMs: 1000 }, (sim) => sim.run(1001));
  assert.equal(long.code, "simulation_limit");
  assert.match(long.message, /maxVirtualMs \(1000\)/);
  const busy = await failure({ maxEvents: 1000 }, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    for (;;) await host.barrier();
  });
  assert.equal(busy.code, "simulation_limit");
  assert.match(busy.message, /maxEvents \(1000\)/);
});

Deno.test("a rejection that nobody handles fails the run", async () => {
  const error = await failure({}, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    host.after(10, () => void Promise.reject(new Error("nobody listens")));
    await sim.run(20);
  });
  assert.match(error.message, /a rejection went unhandled: nobody listens/);
});

Deno.test("a failure in the second run alone says so", async () => {
  let runs = 0;
  const error = await failure({}, () => assert.ok(++runs === 1, "state outside of the script"));
  assert.match(error.message, /^in the second run only: state outside of the script/);
});

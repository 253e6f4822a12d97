import assert from "node:assert/strict";
import { codeOf } from "../kernel/errors.ts";
import { type Host, topic } from "../kernel/host.ts";
import { simulate } from "./simulate.ts";

/** A node that is nothing but its Host. */
const bare = (host: Host) => Promise.resolve({ host, stop: () => Promise.resolve() });

Deno.test("an hour passes in no time, timers fire in order, sleeps end on time", async () => {
  const { value, virtualMs } = await simulate({ seed: 1, maxVirtualMs: 4e6 }, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    const seen: string[] = [];
    const began = host.now();
    const wall = host.wallTime();
    const note = (what: string) => seen.push(`${what} ${host.now() - began}`);
    host.after(30, () => note("second"));
    host.after(10, () => note("first"));
    host.after(30, () => note("third"));
    using _beat = host.every(20, () => note("beat"));
    await host.sleep(65);
    note("slept");
    await sim.run(3_600_000 - 65);
    assert.equal(host.wallTime() - wall, 3_600_000);
    return seen.slice(0, 8);
  });
  assert.deepEqual(value, [
    "first 10",
    "beat 20",
    "second 30",
    "third 30",
    "beat 40",
    "beat 60",
    "slept 65",
    "beat 80",
  ]);
  assert.equal(virtualMs, 3_600_000);
});

Deno.test("a disposed timer does not fire, a sleep ends with its signal, a barrier comes after what is due", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    let disposed = 0;
    host.after(10, () => disposed++)[Symbol.dispose]();
    let beats = 0;
    const beat = host.every(5, () => {
      if (++beats === 3) beat[Symbol.dispose]();
    });
    const controller = new AbortController();
    const sleeping = host.sleep(1000, controller.signal);
    host.after(50, () => controller.abort(new Error("enough")));
    await assert.rejects(sleeping, /enough/);
    await assert.rejects(host.sleep(1, controller.signal), /enough/);
    assert.equal(sim.now, 50);
    assert.deepEqual([beats, disposed], [3, 0]);
    const order: string[] = [];
    host.after(0, () => order.push("due"));
    await host.barrier();
    order.push("barrier");
    assert.deepEqual([order, sim.now], [["due", "barrier"], 50]);
  });
});

Deno.test("randomness comes from the seed, and each node has its own", async () => {
  const draw = async (seed: number) => {
    const { value } = await simulate({ seed }, async (sim) => {
      const a = (await sim.node("a", bare)).value.host;
      const b = (await sim.node("b", bare)).value.host;
      return [a, b].map((host) => [host.random(), host.id(), [...host.randomBytes(5)], host.now()]);
    });
    return value;
  };
  const [a, b] = await draw(1);
  assert.deepEqual([a, b], await draw(1));
  assert.notDeepEqual(a, b);
  assert.notDeepEqual([a, b], await draw(2));
});

Deno.test("topics tell subscribers in order, and a subscriber that throws is logged", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    const news = topic<number>("news");
    const heard: string[] = [];
    host.on(news, (n) => heard.push(`one ${n}`));
    using _bad = host.on(news, () => {
      throw new Error("bad subscriber");
    });
    const two = host.on(news, (n) => heard.push(`two ${n}`));
    host.emit(news, 1);
    two[Symbol.dispose]();
    host.emit(news, 2);
    assert.deepEqual(heard, ["one 1", "two 1", "one 2"]);
    const [line] = sim.logs;
    assert.deepEqual([line?.node, line?.level], ["a", "error"]);
    assert.equal(line?.fields["error"], "bad subscriber");
  });
});

Deno.test("clocks step, stay skewed and drift without disturbing each other or monotonic time", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const a = (await sim.node("a", bare)).value.host;
    const b = (await sim.node("b", bare)).value.host;
    const [wall, mono] = [a.wallTime(), a.now()];
    assert.equal(b.wallTime(), wall);
    sim.clock("a").step(-3_600_000);
    assert.deepEqual([a.wallTime() - wall, a.now() - mono], [-3_600_000, 0]);
    sim.clock("a").skew(5000);
    await sim.run(1000);
    assert.deepEqual([a.wallTime() - wall, b.wallTime() - wall], [6000, 1000]);
    sim.clock("a").skew(0);
    sim.clock("a").drift(100_000); // A tenth fast.
    const began = a.now();
    let fired = 0;
    a.after(110, () => fired = sim.now);
    await sim.run(100);
    assert.equal(Math.round(a.now() - began), 110);
    assert.ok(Math.abs(fired - 1100) < 0.01, `its timers follow: ${fired}`);
    assert.equal(a.wallTime() - wall, 1110);
    const due = a.now() + 1000;
    let late = -1;
    a.after(1000, () => late = a.now() - due);
    sim.clock("a").drift(-500_000);
    await sim.run(3000);
    assert.ok(late >= 0 && late < 0.01, `slowed on the way, it is not early: ${late}`);
    assert.throws(() => sim.clock("a").drift(1e6), RangeError);
  });
});

Deno.test("a paused node keeps its timers until the pause is over, then has them in order, one event each", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const a = (await sim.node("a", bare)).value.host;
    const b = (await sim.node("b", bare)).value.host;
    const seen: string[] = [];
    a.after(10, () => {
      seen.push(`a10 at ${sim.now}`);
      queueMicrotask(() => seen.push("its work"));
    });
    a.after(20, () => seen.push(`a20 at ${sim.now}`));
    b.after(15, () => seen.push(`b15 at ${sim.now}`));
    using _beat = a.every(30, () => seen.push(`beat at ${sim.now}`));
    sim.pause("a", 100);
    await sim.run(131);
    assert.deepEqual(seen, [
      "b15 at 15",
      "a10 at 100",
      "its work",
      "a20 at 100",
      "beat at 100",
      "beat at 130", // Not three at once: missed beats are not made up for.
    ]);
  });
});

Deno.test("after a crash nothing of the old incarnation has any effect", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const node = await sim.node("a", bare);
    const old = node.value.host;
    const news = topic<string>("news");
    const effects: string[] = [];
    old.on(news, () => effects.push("told"));
    old.after(10, () => effects.push("fired"));
    old.every(10, () => effects.push("beat"));
    old.sleep(10).then(() => effects.push("woke"));
    const id = old.id();
    sim.crash("a");
    assert.equal(node.state, "crashed");
    assert.throws(() => node.value, (error) => codeOf(error) === "closed");
    old.after(1, () => effects.push("set and fired"));
    old.emit(news, "after the crash");
    old.log.error("logged after the crash");
    await sim.run(100);
    assert.deepEqual(effects, []);
    assert.equal(sim.logs.length, 0);
    await sim.restart("a");
    assert.deepEqual([node.state, node.incarnation], ["running", 2]);
    assert.notEqual(node.value.host.id(), id, "each incarnation draws its own numbers");
  });
});

Deno.test("a node that crashes while it starts says so to who waits for it", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const starting = sim.node("a", async (host) => {
      await host.sleep(100);
      return { stop: () => Promise.resolve() };
    });
    const crash = sim.run(50).then(() => sim.crash("a"));
    await assert.rejects(starting, /node a crashed/);
    await crash;
    await assert.rejects(sim.node("a", bare), /restart it instead/);
    await sim.restart("a");
    assert.equal(sim.now, 150);
  });
});

Deno.test("nodes that still run are stopped in good order at the end, the latest first", async () => {
  const stopped: string[] = [];
  await simulate({ seed: 1, runs: 1 }, async (sim) => {
    for (const name of ["a", "b", "c"]) {
      await sim.node(name, (host) =>
        Promise.resolve({
          stop: async () => {
            await host.sleep(10);
            stopped.push(`${name} at ${sim.now}`);
          },
        }));
    }
    await sim.stop("b");
  });
  assert.deepEqual(stopped, ["b at 10", "c at 20", "a at 30"]);
});

Deno.test("a timer callback that throws is logged, as the Host promises", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const { value: { host } } = await sim.node("a", bare);
    host.after(1, () => {
      throw new Error("oops");
    });
    await sim.run(2);
    assert.deepEqual(sim.logs.map(({ level, fields }) => [level, fields["error"]]), [
      ["error", "oops"],
    ]);
  });
});

// The loss of a server costs its callers no call, at whatever moment and in
// whatever way it dies, and its return is noticed.
import assert from "node:assert/strict";
import { codeOf } from "../../mod.ts";
import { isLinked, lossy, scenario, work, World } from "./harness.ts";

for (const connections of ["silent", "reset", "clean"] as const) {
  scenario(
    `calls survive a server that dies at any moment and returns (${connections})`,
    { seeds: 5 },
    async (sim) => {
      const world = await World.start(sim, { servers: 3, callers: 2, handlerMs: 50 });
      const { book } = world;
      const victim = world.anyServer();
      const before = victim.value.self.generation;

      world.load("again", { width: 3, timeoutMs: 10_000 });
      await sim.run(sim.random.float() * 3000);
      victim.crash({ connections });
      await sim.run(sim.random.float() * 10_000);
      const during = book.byServer.get(`${victim.name}#2`);
      assert.equal(during, undefined);
      await victim.start();
      assert.ok(victim.value.self.generation > before, "the generation must grow");
      await world.whole();
      await sim.run(2000);
      await world.rest();

      book.assertAllAnswered();
      assert.ok(book.answered > 100, `only ${book.answered} calls were made`);
      assert.ok((book.byServer.get(`${victim.name}#2`) ?? 0) > 0, "it is not used again");
      for (const caller of world.callers) {
        const seen = caller.value.members().find(({ id }) => id === victim.name)!;
        assert.equal(seen.generation, victim.value.self.generation);
        assert.equal(seen.state, "alive");
      }
    },
  );
}

scenario(
  "calls survive the loss of all servers but one on a network that loses packets",
  { seeds: 4, network: lossy },
  async (sim) => {
    const world = await World.start(sim, { servers: 4, callers: 1, handlerMs: 20 });
    world.load("again", { width: 4, timeoutMs: 15_000 });
    await sim.run(1000);
    const spared = world.anyServer();
    for (const server of world.servers.filter((it) => it !== spared)) {
      server.crash(world.anyDeath());
      await sim.run(3000 + sim.random.float() * 3000);
    }
    await world.rest();
    world.book.assertAllAnswered();
    assert.ok(isLinked(world.callers[0], spared.name));
  },
);

for (const method of ["again", "once"] as const) {
  const sentence = method === "again"
    ? "servers that stop in good order one after the other fail no idempotent call"
    : "servers that stop in good order one after the other leave no call in doubt";
  scenario(sentence, { seeds: 4 }, async (sim) => {
    const world = await World.start(sim, { servers: 3, callers: 2, handlerMs: 200 });
    const { book } = world;
    world.load(method, { width: 4, timeoutMs: 10_000 });
    for (const server of world.servers) {
      await sim.run(500 + sim.random.float() * 500);
      await server.stop();
      await sim.run(sim.random.float() * 500);
      await server.start();
      await world.whole();
    }
    await sim.run(2000);
    await world.rest();
    book.assertAtMostOnce();
    // A call that was on its way when the server withdrew is refused unseen, and never made again
    // by itself unless it is idempotent.
    for (const { error } of book.failed) {
      assert.equal(method, "once", error.message);
      // The first while it withdraws, the second between that and its goodbye.
      assert.ok(["unavailable", "unhandled"].includes(error.code), error.message);
      assert.equal(error.mayHaveRun, false, error.message);
    }
    assert.ok(book.failed.length * 20 < book.answered, `${book.failed.length} were refused`);
    for (const { name } of world.servers) {
      assert.ok((book.byServer.get(`${name}#2`) ?? 0) > 0, `${name} is not used again`);
    }
  });
}

scenario(
  "a stream brings every number in order or fails with a code, and never skips or repeats one",
  { seeds: 5 },
  async (sim) => {
    const world = await World.start(sim, { servers: 2, callers: 1, handlerMs: 30 });
    const client = world.callers[0].value.client(work);
    const victim = world.anyServer();
    const outcomes: string[] = [];
    const read = async () => {
      let last = 0;
      try {
        for await (const number of client.count({ to: 100 }, { timeout: "5s" })) {
          assert.equal(number, last + 1);
          last = number;
        }
        assert.equal(last, 100);
        outcomes.push("whole");
      } catch (error) {
        outcomes.push(codeOf(error) ?? String(error));
      }
    };
    const reading = Promise.all(Array.from({ length: 10 }, () => read()));
    await sim.run(sim.random.float() * 1500);
    victim.crash(world.anyDeath());
    await sim.track("the streams", reading);
    // Those of the other server are whole, and those that it lost say so.
    assert.ok(outcomes.filter((it) => it === "whole").length >= 5, outcomes.join());
    const others = new Set(outcomes.filter((it) => it !== "whole"));
    for (const code of others) assert.ok(["link_lost", "unavailable"].includes(code), code);
  },
);

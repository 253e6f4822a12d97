// Several links between two nodes that break one after the other, under calls, messages that are
// acknowledged and a transfer that resumes: nothing is lost, and each is handled as it was promised.
import assert from "node:assert/strict";
import { z } from "zod";
import { codeOf, defineService, type Node } from "../../mod.ts";
import { type SimNode, simulatedNode, type Simulation } from "../../simulation.ts";
import { scenario } from "./harness.ts";

const echo = defineService("echo", {
  version: 1,
  methods: { say: { input: z.int(), output: z.int(), idempotent: true } },
});

/** What a transfer may fail with that is worth another attempt. */
const broken = new Set<string>([
  "unavailable",
  "unreachable",
  "refused",
  "timeout",
  "deadline_exceeded",
]);

const links = 4;
const transferBytes = 300_000;

/** Bytes that show where they belong, and that no compression makes fewer. */
const byteAt = (at: number) => Math.imul(at ^ (at >>> 7), 0x9e3779b1) >>> 23 & 0xff;

/** Breaks a random one of the connections between two machines for one of them; the other finds out. */
function cutOne(sim: Simulation, names: readonly [string, string]): void {
  const [one, other] = names;
  const [here, there] = sim.random.chance(0.5) ? [one, other] : [other, one];
  const ends = [...sim.network.machine(here).ends]
    .filter(({ remoteAddress }) => remoteAddress.startsWith(`${there}:`));
  if (ends.length === 0) return;
  const end = sim.random.pick(ends);
  sim.note(`cut ${end.localAddress}>${end.remoteAddress}`);
  end.fail("the test cut it");
}

async function pair(sim: Simulation): Promise<[SimNode<Node>, SimNode<Node>]> {
  const start = simulatedNode({
    plugins: {
      static: { seeds: ["b:7000"] },
      peers: { linksPerPeer: links, pool: { warm: links } },
    },
  });
  const nodes = [await sim.node("a", start), await sim.node("b", start)] as const;
  const [a, b] = nodes;
  b.value.serve(echo, { say: (id) => id });
  await sim.until(() =>
    a.value.members()[0]?.links.filter(({ state }) => state === "up").length === links
  );
  return [a, b];
}

scenario(
  "four links that break at random moments lose no call, no message and no byte",
  {
    seeds: 4,
    network: { delay: { kind: "exponential", minMs: 1, meanMs: 4 }, bytesPerSecond: 400_000 },
  },
  async (sim) => {
    const [a, b] = await pair(sim);
    const high: number[] = [];
    const guaranteed: number[] = [];
    b.value.handle(
      "custom.high",
      (bytes) => void high.push(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)),
    );
    b.value.handle(
      "custom.guaranteed",
      (bytes, context) =>
        context.transaction(() =>
          void guaranteed.push(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0))
        ),
    );
    const kept: number[] = [];
    b.value.bulk.handle("file", async (transfer) => {
      for await (const chunk of transfer.accept(kept.length)) kept.push(...chunk);
    });

    let cuts = 0;
    let working = true;
    const cutting = sim.track(
      "cuts",
      (async () => {
        while (working) {
          await sim.run(sim.random.float() * 120);
          cutOne(sim, ["a", "b"]);
          cuts++;
        }
      })(),
    );

    const client = a.value.client(echo);
    const call = async (lane: number) => {
      for (let at = 0; at < 40; at++) {
        const id = lane * 1000 + at;
        assert.equal(await client.say(id, { timeout: "30s", attempts: 20 }), id);
        await sim.run(sim.random.float() * 40);
      }
    };
    const number = (id: number, size: number) => {
      const bytes = new Uint8Array(size);
      new DataView(bytes.buffer).setUint32(0, id);
      return bytes;
    };
    const told: number[] = [];
    const undelivered: number[] = [];
    /** No link could be had for them: none of their bytes left. */
    const unsent: number[] = [];
    const tell = async () => {
      for (let id = 0; id < 60; id++) {
        a.value.send("b", "custom.high", number(id, 100 + 4000 * (id % 3)), { reliability: "high" })
          .then(() => told.push(id), (error) => {
            const code = codeOf(error);
            if (code === "undelivered") undelivered.push(id);
            else {
              assert.ok(code !== undefined && broken.has(code), `${error}`);
              unsent.push(id);
            }
          });
        await a.value.send("b", "custom.guaranteed", number(id, 200), {
          reliability: "guaranteed",
        });
        await sim.run(sim.random.float() * 30);
      }
    };
    const source = (offset: number) => {
      let at = offset;
      return new ReadableStream<Uint8Array>({
        pull(controller) {
          if (at >= transferBytes) return controller.close();
          const size = Math.min(5000, transferBytes - at);
          const from = at;
          controller.enqueue(Uint8Array.from({ length: size }, (_, i) => byteAt(from + i)));
          at += size;
        },
      }, { highWaterMark: 0 });
    };
    let attempts = 0;
    const transfer = async () => {
      while (true) {
        attempts++;
        try {
          await a.value.bulk.send("b", "file", source, { total: transferBytes });
          return;
        } catch (error) {
          const code = codeOf(error);
          assert.ok(
            code !== undefined && broken.has(code),
            `${error}`,
          );
          await sim.run(10);
        }
      }
    };
    await Promise.all([
      ...[1, 2, 3, 4].map((lane) => sim.track(`calls ${lane}`, call(lane))),
      sim.track("messages", tell()),
      sim.track("transfer", transfer()),
    ]);
    working = false;
    await cutting;
    await sim.until(() =>
      told.length + undelivered.length + unsent.length === 60 && guaranteed.length >= 60
    );
    await sim.run(5000);

    assert.ok(cuts > 10, `only ${cuts} cuts`);
    assert.deepEqual(
      guaranteed,
      Array.from({ length: 60 }, (_, at) => at),
      "once each and in order",
    );
    assert.equal(new Set(high).size, high.length, "a message of level high was handled twice");
    assert.deepEqual([...high].sort((one, other) => one - other), high, "not in order");
    for (const id of told) {
      assert.ok(high.includes(id), `message ${id} was acknowledged and not handled`);
    }
    for (const id of unsent) assert.ok(!high.includes(id), `message ${id} was handled unsent`);
    assert.equal(kept.length, transferBytes);
    assert.ok(
      kept.every((byte, at) => byte === byteAt(at)),
      "the transfer was put together wrongly",
    );
    assert.ok(attempts > 1, "the transfer was never broken");
    const after = a.value.members()[0]!.links.filter(({ state }) => state === "up").length;
    assert.ok(after >= 1 && after <= links, `${after} links`);
    // The others come back, and with them the pool.
    await sim.until(
      () => a.value.members()[0]!.links.filter(({ state }) => state === "up").length === links,
      60_000,
    );
    assert.equal(a.value.metrics().communication.messages_in_flight, 0);
    assert.equal(b.value.metrics().communication.bulk_active, 0);
  },
);

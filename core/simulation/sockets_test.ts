import assert from "node:assert/strict";
import { type Port, type Sockets, sockets } from "../contracts/sockets.ts";
import type { Connection } from "../contracts/transport.ts";
import { codeOf } from "../kernel/errors.ts";
import type { Plugin } from "../kernel/plugin.ts";
import { kernelNode } from "./kernel_node.ts";
import { simulate } from "./simulate.ts";
import type { Simulation } from "./simulation.ts";

/** What the simulator stands in for. */
const original: Plugin<Sockets> = {
  name: "sockets",
  summary: "Real ones.",
  provides: sockets,
  needs: {},
  parse: (value) => ({ ok: true, value }),
  schema: () => ({ type: "object" }),
  permissions: () => ({}),
  setup: () => {
    throw new Error("not in the simulator");
  },
};

async function withSockets(sim: Simulation, name: string) {
  const node = await sim.node(name, kernelNode([{ id: "sockets", plugin: original }]));
  return { node, sockets: node.value.kernel.get(sockets) };
}

const options = () => ({ signal: new AbortController().signal, timeoutMs: 5000 });

Deno.test("a port has an IP address that names and numbers both reach, for packets and streams", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const a = await (await withSockets(sim, "a")).sockets.bind({ bindAddress: "0.0.0.0:7946" });
    const b = await (await withSockets(sim, "b")).sockets.bind({ bindAddress: "0.0.0.0:7946" });
    assert.deepEqual([a.address, b.address], ["10.0.0.1:7946", "10.0.0.2:7946"]);
    const packets: string[] = [];
    b.receive((bytes, from) => void packets.push(`${bytes.join()} ${from}`));
    for (const to of ["b:7946", b.address]) a.send(to, new Uint8Array([1, 2]));
    await sim.until(() => packets.length === 2);
    assert.deepEqual(packets, ["1,2 10.0.0.1:7946", "1,2 10.0.0.1:7946"]);
    const accepted: Connection[] = [];
    b.accept((connection) => void accepted.push(connection));
    for (const to of ["b:7946", b.address]) {
      const stream = await a.dial(to, options());
      await sim.until(() => accepted.length > 0);
      const heard: number[] = [];
      accepted.pop()!.open({ data: (bytes) => void heard.push(...bytes), closed() {} });
      stream.open({ data() {}, closed() {} });
      stream.write(new Uint8Array([3, 4]), () => stream.close());
      await sim.until(() => heard.length === 2);
      assert.deepEqual([heard, stream.authentication], [[3, 4], { kind: "fiat" }]);
    }
  });
});

Deno.test("a port in use is refused, a closed one is free again, and its streams break", async () => {
  await simulate({ seed: 2 }, async (sim) => {
    const { sockets } = await withSockets(sim, "a");
    const far = await (await withSockets(sim, "b")).sockets.bind({ bindAddress: "0.0.0.0:7946" });
    const first = await sockets.bind({ bindAddress: "0.0.0.0:7946" });
    const other = await sockets.bind({ bindAddress: "0.0.0.0:0" });
    await assert.rejects(
      sockets.bind({ bindAddress: "0.0.0.0:7946" }),
      (error) => codeOf(error) === "address_in_use",
    );
    const ended: string[] = [];
    const open = async (port: Port, name: string) => {
      const stream = await port.dial("b:7946", options());
      stream.open({ data() {}, closed: () => void ended.push(name) });
    };
    far.accept((connection) => connection.open({ data() {}, closed() {} }));
    await open(first, "first");
    await open(other, "other");
    await first[Symbol.asyncDispose]();
    await sim.until(() => ended.length > 0);
    assert.deepEqual(ended, ["first"], "the other port's streams live on");
    assert.equal(first.send("b:7946", new Uint8Array(1)), false);
    await assert.rejects(first.dial("b:7946", options()), (error) => codeOf(error) === "aborted");
    await sockets.bind({ bindAddress: "0.0.0.0:7946" });
  });
});

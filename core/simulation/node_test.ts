import assert from "node:assert/strict";
import { z } from "zod";
import { datagrams } from "../contracts/datagrams.ts";
import { type Identity, identity } from "../contracts/identity.ts";
import { type Connection, type Transport, transport } from "../contracts/transport.ts";
import { definePlugin, providePlugin } from "../kernel/define_plugin.ts";
import type { Entry } from "../kernel/entry.ts";
import { codeOf } from "../kernel/errors.ts";
import { type Capability, capability, live } from "../kernel/plugin.ts";
import { kernelNode } from "./kernel_node.ts";
import type { NodeContext } from "./node.ts";
import { simulate } from "./simulate.ts";
import type { Simulation } from "./simulation.ts";

interface Echo {
  readonly log: string[];
  ask(address: string, text: string): Promise<string>;
}
const echo: Capability<Echo> = capability("test.echo");

/** A plugin as one would write it for sockets: it answers whatever it is sent. */
const echoPlugin = definePlugin({
  name: "echo",
  summary: "Answers.",
  provides: echo,
  needs: { transports: live(transport) },
  config: z.strictObject({}),
  setup({ needs, host, own, signal }) {
    const log: string[] = [];
    const serve = (connection: Connection) => {
      const queue: Uint8Array[] = [];
      const written = () => {
        queue.shift();
        if (queue.length > 0) connection.write(queue[0]!, written);
      };
      connection.open({
        data: (bytes) => {
          if (queue.push(bytes.slice()) === 1) connection.write(queue[0]!, written);
        },
        closed: (error) => log.push(`closed ${codeOf(error) ?? "clean"}`),
      });
    };
    own(needs.transports.each((it) => it.accept(serve)));
    return {
      log,
      ask: async (address, text) => {
        const [first] = needs.transports;
        const connection = await first!.dial(address, { signal, timeoutMs: 5000 });
        const answer = Promise.withResolvers<string>();
        let got = "";
        connection.open({
          data: (bytes) => {
            got += new TextDecoder().decode(bytes);
            if (got.length === text.length) answer.resolve(got);
          },
          closed: (error) => answer.reject(error ?? new Error("closed")),
        });
        connection.write(new TextEncoder().encode(text), () => {});
        const result = await answer.promise;
        host.log.info("answered", { bytes: result.length });
        connection.close();
        return result;
      },
    };
  },
});

/** A transport as the real ones are: it must not be set up in a simulation. */
const socketTransport = definePlugin({
  name: "tcp",
  summary: "Sockets.",
  provides: transport,
  needs: {},
  config: z.strictObject({
    bindAddress: z.union([z.string(), z.literal(false)]).optional(),
    insecure: z.literal(true),
  }),
  setup(): Transport {
    throw new Error("the real one must not start");
  },
});

const tcp = (port: number): Entry => ({
  id: "lan",
  plugin: socketTransport,
  config: { bindAddress: `0.0.0.0:${port}`, insecure: true },
});
const entries: readonly Entry[] = [tcp(7000), { id: "echo", plugin: echoPlugin }];

Deno.test("whole kernels run in it: a declared transport is replaced, its name, scheme and checks kept", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const a = await sim.node("a", kernelNode(entries));
    const b = await sim.node("b", kernelNode(entries));
    const lan = b.value.kernel.get(transport);
    assert.deepEqual([lan.id, lan.scheme, lan.addresses], ["lan", "tcp", ["tcp://b:7000"]]);
    const text = "hello ".repeat(50_000);
    assert.equal(await a.value.kernel.get(echo).ask("b:7000", text), text);
    assert.equal(await a.value.kernel.get(echo).ask("127.0.0.1:7000", "me"), "me");
    await sim.until(() => b.value.kernel.get(echo).log.length === 1);
    assert.deepEqual(b.value.kernel.get(echo).log, ["closed clean"]);
    const wrong = { ...tcp(7001), config: { bindAddress: "0.0.0.0:7001" } };
    await assert.rejects(sim.node("c", kernelNode([wrong])), /insecure/);
  });
});

Deno.test("a later declaration keeps what did not change, for stand-ins stay the same", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    let context: NodeContext | undefined;
    const { value } = await sim.node("a", (host, given) => {
      context = given;
      return kernelNode(entries)(host, given);
    });
    const report = await value.kernel.apply(context!.substitute(entries));
    assert.deepEqual(report.kept, ["lan", "echo"]);
    const moved = await value.kernel.apply(context!.substitute([tcp(7001), entries[1]!]));
    assert.deepEqual(moved.started.map(({ id }) => id), ["lan"]);
    assert.deepEqual(value.kernel.get(transport).addresses, ["tcp://a:7001"]);
  });
});

Deno.test("a port that is taken fails, and is free again once its plugin stops", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const twice = [tcp(7000), { ...tcp(7000), id: "lan2" }];
    await assert.rejects(sim.node("a", kernelNode(twice)), (error) => {
      assert.match((error as Error).message, /something listens at a:7000/);
      return codeOf(error) === "plugin_setup_failed";
    });
    const node = await sim.node("b", kernelNode(entries));
    await sim.stop("b");
    await sim.restart("b");
    assert.equal(node.value.kernel.get(transport).addresses[0], "tcp://b:7000");
  });
});

const asIdentity = (id: string): Entry => ({
  id: "identity",
  plugin: providePlugin("identity", identity, {
    self: { cluster: "test", type: "sclerotia", id, generation: 1, version: "0" },
  } as Identity),
});

Deno.test("the network knows who is who: principals are verified, absent ones rejected, by fiat if asked", async () => {
  const meet = async (sim: Simulation, withoutIdentity = false) => {
    const far: Connection[] = [];
    const a = await sim.node(
      "a",
      kernelNode(withoutIdentity ? [tcp(7000)] : [tcp(7000), asIdentity("alice")]),
    );
    const b = await sim.node("b", kernelNode([tcp(7000), asIdentity("bob")]));
    b.value.kernel.get(transport).accept((connection) => far.push(connection));
    const { signal } = new AbortController();
    const near = await a.value.kernel.get(transport).dial("b:7000", { signal, timeoutMs: 1000 });
    await sim.until(() => far.length === 1);
    return { near: near.authentication, far: far[0]!.authentication, encryption: near.encryption };
  };
  const principal = (id: string) => ({ cluster: "test", type: "sclerotia", id });
  const verified = await simulate({ seed: 1 }, (sim) => meet(sim));
  const { near, far, encryption } = verified.value;
  assert.deepEqual(near.kind === "verified" && near.principal, principal("bob"));
  assert.deepEqual(far.kind === "verified" && far.principal, principal("alice"));
  assert.equal(encryption, "standard");
  const foreign = await simulate({ seed: 1 }, (sim) => meet(sim, true));
  assert.deepEqual(foreign.value.far, {
    kind: "rejected",
    reason: "the peer presented no certificate",
  });
  const fiat = await simulate(
    { seed: 1, transport: { authentication: "fiat" } },
    (sim) => meet(sim),
  );
  assert.deepEqual(fiat.value, {
    near: { kind: "fiat" },
    far: { kind: "fiat" },
    encryption: "none",
  });
});

for (
  const [connections, noticed] of [
    ["reset", "closed link_lost"],
    ["clean", "closed clean"],
    ["silent", undefined],
  ] as const
) {
  Deno.test(`a ${connections} crash: peers notice ${noticed ?? "nothing"}`, async () => {
    await simulate({ seed: 1 }, async (sim) => {
      const a = await sim.node("a", kernelNode(entries));
      const b = await sim.node("b", kernelNode(entries));
      const { signal } = new AbortController();
      const near = await a.value.kernel.get(transport).dial("b:7000", { signal, timeoutMs: 1000 });
      near.open({ data: () => {}, closed: () => assert.fail("the dead are told nothing") });
      await sim.run(100);
      sim.crash("a", { connections });
      await sim.run(60_000);
      assert.equal(b.value.kernel.get(echo).log[0], noticed);
      const asked = b.value.kernel.get(echo).ask("a:7000", "anybody?");
      const code = connections === "silent" ? "timeout" : "unreachable";
      await assert.rejects(asked, (error) => codeOf(error) === code);
      await sim.restart("a");
      assert.equal(await b.value.kernel.get(echo).ask("a:7000", "anybody?"), "anybody?");
    });
  });
}

Deno.test("a reset by the network breaks both ends, and the nodes may dial again", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const a = await sim.node("a", kernelNode(entries));
    const b = await sim.node("b", kernelNode(entries));
    const { signal } = new AbortController();
    const near = await a.value.kernel.get(transport).dial("b:7000", { signal, timeoutMs: 1000 });
    let closed: string | undefined;
    near.open({ data: () => {}, closed: (error) => closed = codeOf(error) });
    await sim.run(100);
    sim.reset("a", "b");
    await sim.run(1);
    assert.deepEqual([closed, ...b.value.kernel.get(echo).log], [
      "link_lost",
      "closed link_lost",
    ]);
    assert.equal(await a.value.kernel.get(echo).ask("b:7000", "again"), "again");
  });
});

Deno.test("at most 128 connections wait for a node that takes none", async () => {
  await simulate({ seed: 1, runs: 1 }, async (sim) => {
    const a = await sim.node("a", kernelNode([tcp(7000)]));
    const b = await sim.node("b", kernelNode([tcp(7000)]));
    const { signal } = new AbortController();
    let closed = 0;
    for (let i = 0; i < 130; i++) {
      const near = await a.value.kernel.get(transport).dial("b:7000", { signal, timeoutMs: 1000 });
      near.open({ data: () => {}, closed: () => closed++ });
    }
    await sim.run(100);
    assert.equal(closed, 2);
    let taken = 0;
    b.value.kernel.get(transport).accept(() => taken++);
    assert.equal(taken, 128);
    assert.throws(
      () => b.value.kernel.get(transport).accept(() => {}),
      (error) => codeOf(error) === "duplicate_handler",
    );
  });
});

Deno.test("a plugin that hangs in its set-up is named", async () => {
  const hanging = definePlugin({
    name: "hanging",
    summary: "Never ready.",
    provides: echo,
    needs: {},
    config: z.strictObject({}),
    setup: () => new Promise<Echo>(() => {}),
  });
  await assert.rejects(
    simulate({ seed: 1 }, async (sim) => {
      await sim.node("a", kernelNode([{ id: "sloth", plugin: hanging }]));
    }),
    /"?sloth"?/,
  );
  await assert.rejects(
    simulate({ seed: 1, maxVirtualMs: 1000 }, async (sim) => {
      await sim.node("a", kernelNode([{ id: "sloth", plugin: hanging }]));
    }),
    /node "a": setup of plugin "sloth"/,
  );
});

Deno.test("datagrams travel between nodes, one receiver at a time", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const start = (host: Parameters<ReturnType<typeof kernelNode>>[0], context: NodeContext) =>
      kernelNode([{
        id: "udp",
        plugin: context.datagrams,
        config: { bindAddress: "0.0.0.0:7946" },
      }])(host, context);
    const a = (await sim.node("a", start)).value.kernel.get(datagrams);
    const b = (await sim.node("b", start)).value.kernel.get(datagrams);
    assert.deepEqual([a.id, a.address], ["udp", "a:7946"]);
    assert.equal(a.send("b:7946", new Uint8Array([1])), true); // Nobody receives yet.
    await sim.run(10);
    const heard: string[] = [];
    const receiving = b.receive((bytes, from) => heard.push(`${from} ${bytes[0]}`));
    assert.throws(() => b.receive(() => {}), (error) => codeOf(error) === "duplicate_handler");
    a.send("b:7946", new Uint8Array([2]));
    await sim.run(10);
    receiving[Symbol.dispose]();
    a.send("b:7946", new Uint8Array([3]));
    await sim.run(10);
    assert.deepEqual(heard, ["a:7946 2"]);
    assert.throws(() => a.send("b:7946", new Uint8Array(a.maxBytes + 1)), (error) => {
      return codeOf(error) === "too_large";
    });
  });
});

Deno.test("a handler that throws fails the run and names its node", async () => {
  await assert.rejects(
    simulate({ seed: 1 }, async (sim) => {
      const a = await sim.node("a", kernelNode(entries));
      const b = await sim.node("b", kernelNode([tcp(7000)]));
      b.value.kernel.get(transport).accept((connection) => {
        connection.open({
          data: () => {
            throw new Error("cannot read this");
          },
          closed: () => {},
        });
      });
      await a.value.kernel.get(echo).ask("b:7000", "hello");
    }),
    /a handler of b threw.*cannot read this/,
  );
});

/** Whole nodes with membership, in the simulator: each scenario runs twice and must be the same. */
import assert from "node:assert/strict";
import { codeOf } from "../../mod.ts";
import { simulate, simulatedNode } from "../../simulation.ts";
import { agree, clock, form, gossiping, key, names, states } from "./gossiping_test.ts";

Deno.test("five nodes find each other by gossip alone, and calls reach them where their tags say", async () => {
  await simulate({ seed: 1 }, async (sim) => {
    const start = gossiping({ tags: { role: "web" } }, { datacenter: "ams", rack: "r1" });
    const nodes = await form(sim, start);
    const [a, b] = nodes;
    const e = a!.value.membership!.member("e")!;
    assert.deepEqual(e.node, {
      type: "sclerotia",
      cluster: "simulated",
      version: e.tags.ver,
      datacenter: "ams",
      rack: "r1",
    });
    assert.equal(e.tags.role, "web");
    assert.deepEqual(e.linkAddresses, ["tls://e:7000"]);
    // Known as peers before anybody has spoken to them.
    const peers = b!.value.members().map(({ id, state, type, datacenter, addresses, links }) =>
      [id, state, type, datacenter, addresses[0], links.length].join()
    );
    assert.deepEqual(peers.sort(), [
      "a,alive,sclerotia,ams,tls://a:7000,0",
      "c,alive,sclerotia,ams,tls://c:7000,0",
      "d,alive,sclerotia,ams,tls://d:7000,0",
      "e,alive,sclerotia,ams,tls://e:7000,0",
    ]);
    nodes[4]!.value.handle("custom.note", () => {});
    await b!.value.send("e", "custom.note", new Uint8Array([1]));
    assert.equal(b!.value.members().find(({ id }) => id === "e")!.links.length, 1);
    // An answer to a probe a second, among four: phi has something to say soon.
    await sim.run(20_000);
    for (const { id, phi, distanceMs } of a!.value.membership!.members()) {
      assert.equal(phi === undefined, id === "a", id);
      assert.ok(id === "a" || phi! < 3 && distanceMs! > 0 && distanceMs! < 100, `${id} ${phi}`);
    }
    const { topology } = a!.value.metrics();
    assert.ok(topology!.ping_count! > 10 && topology!.ack_count! >= topology!.ping_count! - 1);
    assert.deepEqual([topology!.failed_ping_count, topology!.members_alive], [0, 5]);
  });
});

Deno.test("a crash is suspected, then declared, and nobody calls there; a restart comes with a higher incarnation", async () => {
  await simulate({ seed: 2 }, async (sim) => {
    const nodes = await form(sim);
    const [a, , , , e] = nodes;
    e!.value.serve(clock, { zone: () => "UTC" });
    const client = a!.value.client(clock);
    e!.value.handle("custom.note", () => {});
    await a!.value.send("e", "custom.note", new Uint8Array(1));
    assert.equal(await client.zone({}), "UTC");
    const seen: string[] = [];
    const watching = (async () => {
      for await (const event of a!.value.events()) {
        if ("node" in event && typeof event.node === "object") {
          seen.push(`${event.type} ${event.node.id}`);
        }
      }
    })();
    const before = a!.value.membership!.member("e")!.incarnation;
    const crashedAt = sim.now;
    e!.crash({ connections: "silent" });
    await sim.until(() => states(a!).e === "suspect");
    assert.ok(sim.now - crashedAt < 8000);
    await sim.until(() => nodes.slice(0, 4).every((it) => states(it).e === "dead"));
    assert.ok(sim.now - crashedAt < 15_000, `${sim.now - crashedAt} ms`);
    await sim.until(() =>
      a!.value.members().every(({ id, links }) => id !== "e" || links.length === 0)
    );
    assert.equal(a!.value.members().find(({ id }) => id === "e")?.state, "dead");
    const askedAt = sim.now;
    await assert.rejects(client.zone({}, { timeout: "500ms" }));
    assert.ok(sim.now - askedAt < 700, "nobody is dialled who is dead");
    const { services } = await (await a!.value.fetchAdmin(
      new Request("http://localhost/api/v1/services", {
        headers: { authorization: "Bearer 0123456789abcdef" },
      }),
    )).json();
    assert.deepEqual(services, [], "nobody is listed who is dead");

    await e!.start();
    e!.value.serve(clock, { zone: () => "CET" });
    await sim.until(() => agree(nodes, names));
    assert.ok(a!.value.membership!.member("e")!.incarnation > before);
    assert.equal(await client.zone({}, { timeout: "20s" }), "CET");
    assert.deepEqual(seen, ["node_suspected e", "node_failed e", "node_recovered e"]);
    await a!.value.stop();
    await watching;
  });
});

Deno.test("who stops has left for everybody, and is no peer any more", async () => {
  await simulate({ seed: 3 }, async (sim) => {
    const nodes = await form(sim);
    const rest = nodes.slice(0, 4);
    const begun = sim.now;
    await nodes[4]!.stop();
    assert.ok(sim.now - begun < 6000, "leaving is bounded");
    await sim.until(() => rest.every((it) => states(it).e === "left"));
    for (const { value } of rest) {
      assert.ok(!value.members().some(({ id, state }) => id === "e" && state !== "left"));
    }
    await sim.run(120_000);
    assert.ok(rest.every((it) => states(it).e === "left"), "nobody is looking for it");
    await nodes[4]!.start();
    await sim.until(() => agree(nodes, names));
  });
});

Deno.test("a partition heals, however long it lasted and although both sides had forgotten the other", async () => {
  await simulate({ seed: 4 }, async (sim) => {
    const start = gossiping({ reconnectInterval: "5s", reconnectTimeout: "1m" });
    const nodes = await form(sim, start);
    const [left, right] = [nodes.slice(0, 3), nodes.slice(3)];
    const cut = sim.partition(["a", "b", "c"], ["d", "e"]);
    await sim.until(() => agree(left, ["a", "b", "c"]) && agree(right, ["d", "e"]), 120_000);
    await sim.run(600_000);
    assert.ok(!("d" in states(left[0]!)), "forgotten by the machines");
    assert.equal(left[0]!.value.metrics().topology!.partition_detections, 1);
    cut[Symbol.dispose]();
    await sim.until(() => agree(nodes, names), 60_000);
  });
});

Deno.test("a seed is tried for as long as it takes, and health says why a node is alone", async () => {
  await simulate({ seed: 6 }, async (sim) => {
    const b = await sim.node("b", gossiping());
    await sim.run(600_000);
    assert.match(b.value.health().reports.swim!.reason!, /no member could be joined; a:7946/);
    const a = await sim.node("a", gossiping());
    await sim.until(() => agree([a, b], ["a", "b"]), 40_000);
    assert.equal(b.value.health().reports.swim!.status, "healthy");
  });
});

Deno.test("static seeds lead to members too, at the usual port of their hosts", async () => {
  await simulate({ seed: 7 }, async (sim) => {
    const start = simulatedNode({
      plugins: {
        sockets: {},
        file: {},
        swim: { insecure: true },
        static: { seeds: ["a:7000", { id: "b", address: "tls://b:7000" }] },
      },
    });
    await form(sim, start, ["a", "b", "c"]);
  });
});

Deno.test("whoever is linked, by whatever way, becomes a member", async () => {
  await simulate({ seed: 16 }, async (sim) => {
    const start = gossiping({ join: [] });
    const nodes = [await sim.node("a", start), await sim.node("b", start)];
    await sim.run(60_000);
    assert.deepEqual(nodes.map((it) => Object.keys(states(it))), [["a"], ["b"]]);
    await nodes[0]!.value.cluster.join(["b:7000"]);
    await sim.until(() => agree(nodes, ["a", "b"]));
  });
});

Deno.test("whoever is linked says where it gossips, so that ports may be anywhere", async () => {
  await simulate({ seed: 17 }, async (sim) => {
    const at = (bindAddress: string) => gossiping({ join: [], bindAddress });
    const nodes = [
      await sim.node("a", at("0.0.0.0:0")),
      await sim.node("b", at("0.0.0.0:0")),
      await sim.node("c", at("0.0.0.0:1234")),
    ];
    const [a, b, c] = nodes;
    await b!.value.cluster.join(["a:7000"]);
    await c!.value.cluster.join(["b:7000"]);
    await sim.until(() => agree(nodes, ["a", "b", "c"]));
    const told = b!.value.members().map(({ id, gossipAddress }) => [id, gossipAddress]);
    assert.deepEqual(
      told.sort(),
      [a!, c!].map((it) => [it.name, a!.value.membership!.member(it.name)!.address]),
    );
  });
});

Deno.test("a linked node that does not gossip is no trouble, one that says it does and cannot be reached is", async () => {
  await simulate({ seed: 18 }, async (sim) => {
    const a = await sim.node("a", gossiping({ join: [] }));
    const silent = await sim.node("silent", simulatedNode());
    await a.value.cluster.join(["silent:7000"]);
    await sim.run(120_000);
    assert.deepEqual(a.value.health().reasons, []);
    assert.equal(a.value.members()[0]!.links.length, 1);
    // Under another key: linked, and no member for ever.
    const key = new Uint8Array(32).fill(8).toBase64();
    const other = await sim.node("other", gossiping({ join: [], encryptKey: key }));
    await a.value.cluster.join(["other:7000"]);
    await sim.until(() => a.value.health().status === "degraded", 60_000);
    const { gossipAddress } = a.value.members().find(({ id }) => id === "other")!;
    const { reason } = a.value.health().reports.swim!;
    assert.ok(reason!.startsWith(`no member could be joined; ${gossipAddress}: `), reason);
    await other.stop();
    await silent.stop();
  });
});

Deno.test("a hyphae does not gossip, and no key or another cluster keeps out", async () => {
  await simulate({ seed: 8 }, async (sim) => {
    const nodes = await form(sim, gossiping(), ["a", "b"]);
    const hyphae = await sim.node("h", gossiping({}, { type: "hyphae" }));
    assert.deepEqual(hyphae.value.membership!.members(), []);
    assert.throws(
      () => hyphae.value.membership!.event("x", new Uint8Array(0)),
      (error) => codeOf(error) === "permission_denied",
    );
    const other = await sim.node("o", gossiping({}, { cluster: "other" }));
    const plain = await sim.node("p", gossiping({ encryptKey: undefined, insecure: true }));
    await sim.run(30_000);
    assert.ok(agree(nodes, ["a", "b"]));
    for (const outsider of [other, plain]) assert.ok(agree([outsider], [outsider.name]));
    await assert.rejects(
      sim.node("k", gossiping({ encryptKey: "AAAA" })),
      (error) => codeOf(error) === "config_invalid",
    );
  });
});

Deno.test("time that a process stood still is held against nobody", async () => {
  await simulate({ seed: 9 }, async (sim) => {
    const nodes = await form(sim);
    const [a, b] = nodes;
    const told: string[] = [];
    for (const node of nodes) {
      node.value.membership!.onMember(({ type, member }) => {
        if (type === "failed") told.push(`${node.name} says ${member.id} failed`);
      });
    }
    sim.pause("b", 1500);
    await sim.run(30_000);
    assert.equal(told.length, 0, "shorter than a suspicion");
    sim.pause("b", 20_000);
    await sim.until(() => states(a!).b === "dead");
    await sim.until(() => agree(nodes, names));
    assert.deepEqual(told.filter((it) => it.startsWith("b says")), []);
    assert.ok(b!.value.metrics().topology!.pauses! >= 2);
  });
});

Deno.test("a changed configuration restarts gossip without anybody noticing, and changed tags not even that", async () => {
  await simulate({ seed: 10 }, async (sim) => {
    const nodes = await form(sim, gossiping(), ["a", "c"]);
    const [a] = nodes;
    const b = await sim.node("b", simulatedNode());
    const config = (swim: Readonly<Record<string, unknown>>) => ({
      plugins: { sockets: {}, file: {}, swim: { encryptKey: key, join: ["a:7946"], ...swim } },
    });
    await b.value.reconfigure(config({}));
    nodes.push(b);
    await sim.until(() => agree(nodes, ["a", "b", "c"]));
    const events: string[] = [];
    a!.value.membership!.onMember(({ type, member }) => void events.push(`${type} ${member.id}`));
    const tagged = await b.value.reconfigure(config({ tags: { colour: "red" } }));
    assert.deepEqual(tagged.reconfigured, ["swim"]);
    await sim.until(() => a!.value.membership!.member("b")!.tags.colour === "red");
    const restarted = await b.value.reconfigure(config({ gossipInterval: "100ms" }));
    assert.ok(restarted.started.some(({ id }) => id === "swim"));
    await sim.until(() => a!.value.membership!.member("b")!.tags.colour === undefined);
    await sim.until(() => agree(nodes, ["a", "b", "c"]));
    assert.deepEqual([...new Set(events)], ["updated b"]);
  });
});

Deno.test("bare memberlist is spoken when told: members and leaving, and no Serf", async () => {
  await simulate({ seed: 12 }, async (sim) => {
    const nodes = await form(sim, gossiping({ interop: "memberlist" }), ["a", "b", "c"]);
    const [a, b, c] = nodes;
    assert.equal(a!.value.membership!.member("b")!.node!.type, "sclerotia");
    assert.throws(
      () => a!.value.membership!.event("x", new Uint8Array(0)),
      (error) => codeOf(error) === "unavailable",
    );
    const serf = await sim.node("s", gossiping());
    await sim.run(20_000);
    assert.ok(agree([serf], ["s"]), "the two kinds refuse each other");
    c!.crash();
    await sim.until(() => states(a!).c === "dead");
    await c!.start();
    await sim.until(() => agree(nodes, ["a", "b", "c"]));
    await b!.stop();
    await sim.until(() => states(a!).b === "left");
  });
});

/** What the rest of a node and its operator hear of gossip, in the simulator. */
import assert from "node:assert/strict";
import { codeOf, type NodeEvent } from "../../mod.ts";
import { simulate, simulatedNode } from "../../simulation.ts";
import { agree, clock, form, gossiping, key, names, states } from "./gossiping_test.ts";

Deno.test("what a node serves is called from afar, though nobody is linked to it and nothing is compared", async () => {
  await simulate({ seed: 12 }, async (sim) => {
    const start = simulatedNode({
      plugins: {
        swim: { encryptKey: key, join: ["a:7946"] },
        services: { directoryInterval: "1h" },
      },
    });
    const nodes = await form(sim, start, ["a", "b", "c"]);
    const [a, b, c] = nodes;
    const svc = () => c!.value.membership!.member("a")!.tags.svc;
    assert.equal(svc(), undefined);
    assert.deepEqual(c!.value.members().map(({ links }) => links.length), [0, 0]);
    const servedAt = sim.now;
    let serving = a!.value.serve(clock, { zone: () => "UTC" });
    assert.equal(await c!.value.client(clock).zone({}), "UTC");
    assert.ok(sim.now - servedAt < 3000, `${sim.now - servedAt} ms`);
    // However often it changes its mind, gossip says so about once a second.
    const { gossip_messages_sent: before } = a!.value.metrics().topology!;
    const changed: (string | undefined)[] = [];
    using _hearing = b!.value.membership!.onMember(({ type, member }) => {
      if (type === "updated" && member.id === "a") changed.push(member.tags.svc);
    });
    for (let i = 0; i < 50; i++) {
      await serving[Symbol.asyncDispose]();
      serving = a!.value.serve(clock, { zone: () => `zone ${i}` });
      await sim.run(50);
    }
    await sim.run(3000);
    assert.ok(changed.length >= 2 && changed.length <= 6, `${changed.length} words of 100 changes`);
    assert.equal(changed.at(-1), a!.value.membership!.member("a")!.tags.svc);
    assert.ok(a!.value.metrics().topology!.gossip_messages_sent! > before!);
    const { directory_records_fetched: fetched } = b!.value.metrics().communication!;
    assert.ok(fetched! <= 6, `${fetched} fetches`);
  });
});

Deno.test("changes of members that come together reach a handler in company as one", async () => {
  await simulate({ seed: 15 }, async (sim) => {
    const nodes = await form(sim, gossiping(), ["a"]);
    const told: string[] = [];
    using _hearing = nodes[0]!.value.membership!.onMembers(({ type, members }) => {
      told.push(`${type} ${members.map(({ id }) => id).sort().join(" ")}`);
    }, { quietMs: 6000, maxMs: 20_000 });
    using _slow = nodes[0]!.value.membership!.onMembers(() => {
      throw new Error("a handler that fails");
    }, { quietMs: 0 });
    assert.throws(
      () => nodes[0]!.value.membership!.onMembers(() => {}, { maxMs: -1 }),
      (error) => codeOf(error) === "invalid_argument" && /maxMs: 0 to/.test(String(error)),
    );
    for (const name of ["b", "c", "d", "e"]) nodes.push(await sim.node(name, gossiping()));
    await sim.until(() => agree(nodes, names));
    await sim.run(7000);
    assert.deepEqual(told, ["joined b c d e"]);
    const cut = sim.partition(["a", "b", "c"], ["d", "e"]);
    await sim.until(() => ["d", "e"].every((id) => states(nodes[0]!)[id] === "dead"));
    await sim.run(7000);
    assert.deepEqual(told.slice(1), ["failed d e"], "and their suspicion is no news of its own");
    cut[Symbol.dispose]();
  });
});

Deno.test("the admin endpoint tells of members and acts on gossip", async () => {
  await simulate({ seed: 11 }, async (sim) => {
    const nodes = await form(sim, gossiping(), ["a", "b"]);
    const [a, b] = nodes;
    const ask = async (
      path: string,
      body?: unknown,
    ): Promise<[number, Record<string, unknown>]> => {
      const response = await a!.value.fetchAdmin(
        new Request(`http://localhost/api/v1/network${path}`, {
          method: body === undefined ? "GET" : "POST",
          headers: {
            "authorization": "Bearer 0123456789abcdef",
            "content-type": "application/json",
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
      );
      const type = response.headers.get("content-type")!;
      const text = await response.text();
      return [response.status, type === "text/event-stream" ? { text } : JSON.parse(text)];
    };
    const [, { members }] = await ask("/members");
    assert.deepEqual((members as { id: string }[]).map(({ id }) => id).sort(), ["a", "b"]);
    assert.equal((await ask("/members/b"))[1].state, "alive");
    assert.equal((await ask("/members/x"))[0], 404);
    const [, gossip] = await ask("/gossip");
    assert.deepEqual([gossip.node, gossip.encrypted, gossip.alive], ["a", true, 2]);

    const heard: string[] = [];
    b!.value.membership!.onEvent("deploy", ({ payload }) => {
      heard.push(new TextDecoder().decode(payload));
    });
    assert.equal(
      (await ask("/gossip/event", { name: "deploy", payload: "v1", coalesce: false }))[0],
      202,
    );
    assert.equal(
      (await ask("/gossip/event", { name: "deploy", payloadBase64: "djI=", coalesce: false }))[0],
      202,
    );
    await sim.until(() => heard.length === 2);
    assert.deepEqual(heard.sort(), ["v1", "v2"]);
    const [tooLong, { code }] = await ask("/gossip/event", { name: "x", payload: "y".repeat(600) });
    assert.deepEqual([tooLong, code], [413, "too_large"]);

    b!.value.membership!.onQuery("load", () => new TextEncoder().encode("0.5"));
    const [, { text }] = await ask("/gossip/query", { name: "load", timeout: "3s" });
    assert.match(String(text), /"kind":"response","from":"b","payload":"0.5"/);
    assert.match(String(text), /event: end/);
    assert.equal((await ask("/gossip/query", { name: "load", tags: { role: "(" } }))[0], 400);

    assert.deepEqual((await ask("/gossip/keyring"))[1].keys, { [key]: 2 });
    const next = new Uint8Array(16).fill(1).toBase64();
    for (const operation of ["install", "use"]) {
      const [, reply] = await ask("/gossip/keyring", { operation, key: next });
      assert.deepEqual([reply.replies, reply.failures], [2, {}]);
    }
    assert.deepEqual((await ask("/gossip/keyring"))[1].primaryKeys, { [next]: 2 });
    assert.equal((await ask("/gossip/keyring", { operation: "use", key: "AAAA" }))[0], 400);

    await sim.run(10_000);
    assert.ok((await ask("/gossip/rtt?from=a&to=b"))[1].distanceMs! as number > 0);
    assert.equal((await ask("/gossip/rtt?from=a&to=z"))[0], 404);
    assert.equal((await ask("/gossip/join", { addresses: ["b:7946"] }))[1].joined, 1);
    assert.equal((await ask("/gossip/join", { addresses: ["b:1"] }))[0], 503);
    assert.equal((await ask("/gossip/force-leave", { id: "z" }))[0], 404);
    assert.equal((await ask("/gossip/nonsense", {}))[0], 404);
    assert.equal((await ask("/gossip/leave"))[0], 405);

    b!.crash();
    await sim.until(() => states(a!).b === "dead");
    assert.equal((await ask("/gossip/force-leave", { id: "b" }))[0], 200);
    assert.equal(states(a!).b, "left");
    const events: NodeEvent["type"][] = [];
    for await (const { type } of a!.value.events({ signal: AbortSignal.abort() })) {
      events.push(type);
    }
    assert.equal((await ask("/gossip/leave", {}))[1].left, true);
    assert.equal((await ask("/gossip/join", { addresses: ["b:7946"] }))[1].code, "closed");
  });
});

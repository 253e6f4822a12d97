/**
 * Serf agents from Debian and nodes of this runtime in one cluster: each is an
 * ordinary member to the other, in both directions, in plain text and encrypted.
 */
import assert from "node:assert/strict";
import type { GossipMessage } from "../../mod.ts";
import { tempFolder } from "../harness/processes.ts";
import { SerfAgent, serfMissing } from "../harness/serf.ts";
import {
  byState,
  change,
  collect,
  gossipAddress,
  shows,
  startGossiping,
  stateAt,
  until,
} from "./gossip.ts";

const missing = serfMissing();
if (missing !== undefined) {
  console.error(`The tests beside Serf agents cannot run here: ${missing}`);
}

const key = (byte: number) => new Uint8Array(32).fill(byte).toBase64();
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (payload: Uint8Array) => new TextDecoder().decode(payload);

function serfTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name,
    ignore: missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1",
    fn,
  });
}

for (const [how, secret] of [["in plain text", undefined], ["encrypted", key(1)]] as const) {
  serfTest(
    `a node joins an agent, and an agent a node, ${how}: members, tags and their changes`,
    async () => {
      await using folder = await tempFolder();
      const common = secret === undefined ? {} : { key: secret };
      await using first = await SerfAgent.start({
        name: "agent-1",
        tags: { role: "web" },
        ...common,
      });
      await using node = await startGossiping({
        id: "node-1",
        stateDir: folder.path,
        join: [first.address],
        tags: { colour: "red" },
        node: { datacenter: "ams", rack: "r7", capacity: { cpus: 4 } },
        ...common,
      });
      await until(node, "the agent", (all) => all.some((it) => it.id === "agent-1"));
      await first.until("the node", (all) => all["node-1"]?.status === "alive");
      const listed = (await first.members())["node-1"]!;
      assert.equal(listed.addr, gossipAddress(node));
      const { ver, ...tags } = listed.tags;
      assert.deepEqual(tags, {
        type: "sclerotia",
        cluster: "test",
        dc: "ams",
        rack: "r7",
        cap: "4::",
        link: node.addresses.join(" "),
        colour: "red",
      });
      assert.match(ver!, /^\d+\.\d+\.\d+/);
      const seen = node.membership!.member("agent-1")!;
      assert.deepEqual({ ...seen.tags }, { role: "web" });
      assert.equal(seen.address, first.address);
      assert.equal(seen.node, undefined);

      await using second = await SerfAgent.start({ name: "agent-2", ...common });
      await second.run("join", gossipAddress(node));
      await until(node, "three members", (all) => all.length === 3);
      await second.until("three members", (all) => Object.keys(all).length === 3);

      const changed = change(
        node,
        "the agent's new tags",
        ({ type, member }) => type === "updated" && member.tags.role === "db",
      );
      await first.run("tags", "-set=role=db");
      await changed;
      node.membership!.setTags({ colour: undefined, shape: "round" });
      for (const agent of [first, second]) {
        await agent.until("the node's new tags", (all) => all["node-1"]!.tags.shape === "round");
        assert.equal((await agent.members())["node-1"]!.tags.colour, undefined);
      }
    },
  );
}

serfTest("what leaves shows as left, and comes back as alive, in both directions", async () => {
  await using folder = await tempFolder();
  await using agent = await SerfAgent.start({ name: "agent-1" });
  const options = { id: "node-1", stateDir: folder.path, join: [agent.address] };
  await using witness = await startGossiping({ ...options, id: "node-2" });
  const node = await startGossiping(options);
  const before = node.membership!.member("node-1")!.incarnation;
  await agent.until("both", (all) => all["node-1"] !== undefined && all["node-2"] !== undefined);
  await node.stop();
  await agent.until("it has left", (all) => all["node-1"]!.status === "left");
  await until(witness, "it has left", () => stateAt(witness, "node-1") === "left");
  await using again = await startGossiping(options);
  await agent.until("it is back", (all) => all["node-1"]!.status === "alive");
  await until(witness, "it is back", () => stateAt(witness, "node-1") === "alive");
  assert.ok(again.membership!.member("node-1")!.incarnation > before);

  await using leaver = await SerfAgent.start({ name: "agent-2", join: [gossipAddress(witness)] });
  await until(witness, "the second agent", () => stateAt(witness, "agent-2") === "alive");
  await leaver.run("leave");
  await until(witness, "the agent has left", () => stateAt(witness, "agent-2") === "left");
  await until(again, "the agent has left", () => stateAt(again, "agent-2") === "left");
  await using _back = await SerfAgent.start({ name: "agent-2", join: [gossipAddress(witness)] });
  await until(witness, "the agent is back", () => stateAt(witness, "agent-2") === "alive");
});

serfTest(
  "an agent that is killed is suspected, fails, may be made to leave, and comes back",
  async () => {
    await using folder = await tempFolder();
    await using a = await startGossiping({ id: "node-1", stateDir: folder.path });
    await using b = await startGossiping({
      id: "node-2",
      stateDir: folder.path,
      join: [gossipAddress(a)],
    });
    const agent = await SerfAgent.start({ name: "agent-1", join: [gossipAddress(a)] });
    await using _agent = agent;
    await using witness = await SerfAgent.start({ name: "agent-2", join: [agent.address] });
    for (const node of [a, b]) await until(node, "four members", (all) => all.length === 4);
    const suspected = change(
      a,
      "the suspicion",
      ({ type, member }) => type === "suspected" && member.id === "agent-1",
    );
    const failed = change(
      b,
      "the failure",
      ({ type, member }) => type === "failed" && member.id === "agent-1",
    );
    await agent.kill();
    await suspected;
    assert.equal((await failed).member.state, "dead");
    await witness.until("it failed", (all) => all["agent-1"]!.status === "failed");
    await using _restarted = await SerfAgent.start({ name: "agent-1", address: agent.address });
    // Nobody tells it whom to join: they come back for it.
    for (const node of [a, b]) {
      await until(node, "it is back", () => stateAt(node, "agent-1") === "alive");
    }
    await _restarted.kill();
    await until(a, "it failed again", () => stateAt(a, "agent-1") === "dead");
    await a.membership!.forceLeave("agent-1");
    await until(b, "it counts as left", () => stateAt(b, "agent-1") === "left");
    await witness.until("it counts as left", (all) => all["agent-1"]!.status === "left");
  },
);

serfTest("user events and queries pass in both directions, and rtt knows a distance", async () => {
  await using folder = await tempFolder();
  await using agent = await SerfAgent.start({ name: "agent-1", tags: { role: "web" } });
  await using node = await startGossiping({
    id: "node-1",
    stateDir: folder.path,
    join: [agent.address],
  });
  await until(node, "the agent", (all) => all.length === 2);
  await agent.until("the node", (all) => all["node-1"]?.status === "alive");
  const gossip = node.membership!;

  const arrived = Promise.withResolvers<GossipMessage>();
  using _events = gossip.onEvent("deploy", arrived.resolve);
  await agent.run("event", "-coalesce=false", "deploy", "v42");
  assert.equal(text((await arrived.promise).payload), "v42");
  const logged = agent.logs(/Received event: user-event: restart/);
  gossip.event("restart", bytes("now"));
  await logged;

  using _queries = gossip.onQuery("load", ({ payload }) => bytes(`0.5 ${text(payload)}`));
  const answer = await agent.run("query", "-format=json", "-timeout=2s", "load", "cpu");
  const { Acks, Responses } = JSON.parse(answer);
  assert.deepEqual([...Acks].sort(), ["agent-1", "node-1"]);
  assert.deepEqual(Responses, { "node-1": "0.5 cpu" });
  const none = await agent.run("query", "-format=json", "-timeout=2s", "-node=agent-1", "load");
  assert.deepEqual(JSON.parse(none).Responses ?? {}, {});

  const all = await collect(gossip.query("any", bytes(""), { ack: true, timeoutMs: 2000 }));
  assert.deepEqual(all.map(({ kind, from }) => `${kind} ${from}`).sort(), [
    "ack agent-1",
    "ack node-1",
  ]);
  const some = await collect(
    gossip.query("any", bytes(""), { ack: true, tags: { role: "^w" }, timeoutMs: 2000 }),
  );
  assert.deepEqual(some.map(({ from }) => from), ["agent-1"]);

  // Coordinates come with probes, of which there is one a second.
  await shows("a distance", () => gossip.distanceMs("node-1", "agent-1") !== undefined);
  assert.ok(gossip.distanceMs("node-1", "agent-1")! < 1000);
  assert.match(await agent.run("rtt", "node-1", "agent-1"), /rtt: [\d.]+ ms/);
});

serfTest(
  "a wrong key keeps out, and keys change in a running mixed cluster from either side",
  async () => {
    await using folder = await tempFolder();
    await using agent = await SerfAgent.start({ name: "agent-1", key: key(1) });
    await using node = await startGossiping({
      id: "node-1",
      stateDir: folder.path,
      key: key(1),
      join: [agent.address],
    });
    await until(node, "the agent", (all) => all.length === 2);
    await agent.until("the node", (all) => all["node-1"]?.status === "alive");
    const gossip = node.membership!;

    await using stranger = await startGossiping({
      id: "node-9",
      stateDir: folder.path,
      key: key(9),
    });
    await using open = await startGossiping({ id: "node-8", stateDir: folder.path });
    for (const outsider of [stranger, open]) {
      for (const address of [agent.address, gossipAddress(node)]) {
        await assert.rejects(outsider.membership!.join([address]), /no member could be joined/);
      }
      assert.deepEqual(byState(outsider), { alive: [outsider.id] });
    }
    assert.deepEqual(byState(node), { alive: ["agent-1", "node-1"] });

    const done = { members: 2, replies: 2 };
    assert.deepEqual((await gossip.keyring("list")).keys, { [key(1)]: 2 });
    for (const operation of ["install", "use"] as const) {
      const { members, replies, failures } = await gossip.keyring(operation, key(2));
      assert.deepEqual({ members, replies }, done, operation);
      assert.deepEqual(failures, {});
    }
    assert.deepEqual((await gossip.keyring("remove", key(1))).failures, {});
    assert.deepEqual((await gossip.keyring("list")).keys, { [key(2)]: 2 });
    const refused = await gossip.keyring("remove", key(2));
    assert.deepEqual(Object.keys(refused.failures).sort(), ["agent-1", "node-1"]);

    await agent.run("keys", `-install=${key(3)}`);
    await agent.run("keys", `-use=${key(3)}`);
    await agent.run("keys", `-remove=${key(2)}`);
    assert.deepEqual((await gossip.keyring("list")).keys, { [key(3)]: 2 });
    assert.match(await agent.run("keys", "-list"), /\[2\/2\]/);

    const late = await startGossiping({ id: "node-2", stateDir: folder.path, key: key(3) });
    await using _late = late;
    assert.equal(await late.membership!.join([agent.address]), 1);
    await until(node, "the late one", () => stateAt(node, "node-2") === "alive");
  },
);

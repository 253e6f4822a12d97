/**
 * Programs on HashiCorp's memberlist and nodes of this runtime in one cluster,
 * under `interop: "memberlist"`: each is an ordinary member to the other, in both
 * directions, in plain text and encrypted. With clusters of Serf's kind they refuse
 * each other, and say why.
 */
import assert from "node:assert/strict";
import { codeOf, type Node } from "../../mod.ts";
import { decodeTags } from "@mycnet/protocols/serf";
import {
  memberlistMissing,
  type MemberlistPeer,
  MemberlistProgram,
} from "../harness/memberlist.ts";
import { tempFolder } from "../harness/processes.ts";
import { BareMember } from "./bare_member.ts";
import {
  byState,
  change,
  gossipAddress,
  type GossipOptions,
  startGossiping,
  stateAt,
  until,
} from "./gossip.ts";

const missing = memberlistMissing();
if (missing !== undefined) {
  console.error(`The tests beside memberlist's programs cannot run here: ${missing}`);
}
const ignore = missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1";

let program: MemberlistProgram;
if (!ignore) {
  Deno.test.beforeAll(async () => void (program = await MemberlistProgram.build()));
  Deno.test.afterAll(() => program?.[Symbol.asyncDispose]());
}

const key = (byte: number) => new Uint8Array(32).fill(byte).toBase64();

function memberlistTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore, fn });
}

/** A node of a cluster on bare memberlist. */
function startNode(options: GossipOptions): Promise<Node> {
  return startGossiping({ ...options, swim: { interop: "memberlist", ...options.swim } });
}

/** Waits until a program sees a member alive. */
const sees = (peer: MemberlistPeer, id: string) =>
  peer.until(`${id} is alive`, (all) => all[id] !== undefined);

/** Waits until a program sees a member no more. */
const misses = (peer: MemberlistPeer, id: string) =>
  peer.until(`${id} is gone`, (all) => all[id] === undefined);

for (const [how, secret] of [["in plain text", undefined], ["encrypted", key(1)]] as const) {
  memberlistTest(
    `a node joins a program, and a program a node, ${how}: members, metadata and their changes`,
    async () => {
      await using folder = await tempFolder();
      const common = secret === undefined ? {} : { key: secret };
      await using first = await program.start({ name: "peer-1", meta: "zone-a", ...common });
      await using node = await startNode({
        id: "node-1",
        stateDir: folder.path,
        join: [first.address],
        tags: { colour: "red" },
        ...common,
      });
      await until(node, "the program", (all) => all.length === 2);
      await sees(first, "node-1");
      const seen = node.membership!.member("peer-1")!;
      assert.equal(seen.address, first.address);
      assert.deepEqual({ ...seen.tags }, { role: "zone-a" }, "metadata that is no tags is a role");
      assert.equal(seen.node, undefined);
      const listed = (await first.members())["node-1"]!;
      assert.equal(listed.address, gossipAddress(node));
      const { type, cluster, colour, link } = decodeTags(listed.meta);
      assert.deepEqual({ type, cluster, colour, link }, {
        type: "sclerotia",
        cluster: "test",
        colour: "red",
        link: node.addresses.join(" "),
      });

      await using second = await program.start({ name: "peer-2", ...common });
      assert.equal(await second.join(gossipAddress(node)), 1);
      await until(node, "three members", (all) => all.length === 3);
      for (const peer of [first, second]) {
        await peer.until("three members", (all) => Object.keys(all).length === 3);
      }

      const changed = change(
        node,
        "the program's new metadata",
        ({ type, member }) => type === "updated" && member.tags.role === "zone-b",
      );
      await first.setMeta("zone-b");
      assert.equal((await changed).member.id, "peer-1");
      node.membership!.setTags({ colour: undefined, shape: "round" });
      for (const peer of [first, second]) {
        await peer.until(
          "the node's new tags",
          (all) => decodeTags(all["node-1"]!.meta).shape === "round",
        );
        assert.equal(decodeTags((await peer.members())["node-1"]!.meta).colour, undefined);
      }
    },
  );
}

memberlistTest(
  "what leaves is left to one and gone to the other, and comes back, in both directions",
  async () => {
    await using folder = await tempFolder();
    await using peer = await program.start({ name: "peer-1" });
    const options = { id: "node-1", stateDir: folder.path, join: [peer.address] };
    await using witness = await startNode({ ...options, id: "node-2" });
    const node = await startNode(options);
    const before = node.membership!.member("node-1")!.incarnation;
    await peer.until("both", (all) => Object.keys(all).length === 3);
    await until(witness, "both", (all) => all.length === 3);
    await node.stop();
    await misses(peer, "node-1");
    await until(witness, "it has left", () => stateAt(witness, "node-1") === "left");
    await using again = await startNode(options);
    await sees(peer, "node-1");
    await until(witness, "it is back", () => stateAt(witness, "node-1") === "alive");
    assert.ok(again.membership!.member("node-1")!.incarnation > before);

    await using leaver = await program.start({ name: "peer-2", join: [gossipAddress(witness)] });
    for (const it of [witness, again]) {
      await until(it, "the second program", () => stateAt(it, "peer-2") === "alive");
    }
    await leaver.leave();
    for (const it of [witness, again]) {
      await until(it, "it has left", () => stateAt(it, "peer-2") === "left");
    }
    await leaver.kill();
    // It forgot its incarnation and has another address: what has left may return anywhere.
    await using _back = await program.start({ name: "peer-2", join: [gossipAddress(witness)] });
    await until(witness, "it is back", () => stateAt(witness, "peer-2") === "alive");
  },
);

memberlistTest("a program that is killed is suspected, fails, and is found again", async () => {
  await using folder = await tempFolder();
  await using a = await startNode({ id: "node-1", stateDir: folder.path });
  await using b = await startNode({
    id: "node-2",
    stateDir: folder.path,
    join: [gossipAddress(a)],
  });
  await using peer = await program.start({ name: "peer-1", join: [gossipAddress(a)] });
  await using witness = await program.start({ name: "peer-2", join: [peer.address] });
  for (const node of [a, b]) await until(node, "four members", (all) => all.length === 4);
  const suspected = change(
    a,
    "the suspicion",
    ({ type, member }) => type === "suspected" && member.id === "peer-1",
  );
  const failed = change(
    b,
    "the failure",
    ({ type, member }) => type === "failed" && member.id === "peer-1",
  );
  await peer.kill();
  await suspected;
  assert.equal((await failed).member.state, "dead");
  await misses(witness, "peer-1");
  const recovered = change(
    a,
    "the recovery",
    ({ type, member }) => type === "recovered" && member.id === "peer-1",
  );
  await using again = await program.start({ name: "peer-1", address: peer.address });
  // Nobody tells it whom to join: the nodes come back for it.
  await recovered;
  await until(b, "it is back", () => stateAt(b, "peer-1") === "alive");
  await sees(again, "node-2");
  await sees(witness, "peer-1");
});

memberlistTest(
  "user messages pass between a bare machine and a program, three ways each",
  async () => {
    await using folder = await tempFolder();
    await using peer = await program.start({ name: "peer-1" });
    await using machine = await BareMember.start("bare-1");
    machine.join(peer.address);
    await machine.until("the program", () => machine.machine.size === 2);
    await sees(peer, "bare-1");
    for (const how of ["packet", "stream"] as const) {
      await peer.send("bare-1", `to the machine by ${how}`, how);
      machine.send(peer.address, `to the program by ${how}`, how);
    }
    await peer.broadcast("to all from the program");
    machine.broadcast("to all from the machine");
    for (const how of ["by packet", "by stream", "from the machine"]) {
      await peer.told(
        `a message ${how}`,
        (it) => it.event === "message" && it.text.endsWith(how),
      );
    }
    await machine.until("three messages", () => new Set(machine.messages).size === 3);
    assert.deepEqual(
      new Set(machine.messages),
      new Set([
        "to the machine by packet",
        "to the machine by stream",
        "to all from the program",
      ]),
    );
    assert.deepEqual(machine.machine.counters.malformed, 0);

    // A node has no use for them, and takes no harm.
    await using node = await startNode({
      id: "node-1",
      stateDir: folder.path,
      join: [peer.address],
    });
    await sees(peer, "node-1");
    await peer.send("node-1", "to the node", "packet");
    await peer.send("node-1", "to the node", "stream");
    await peer.setMeta("afterwards");
    await until(node, "what followed", () => {
      return node.membership!.member("peer-1")?.tags.role === "afterwards";
    });
    assert.equal(node.metrics().topology!.malformed, 0);
  },
);

memberlistTest(
  "a wrong key keeps out, and keys change member by member without a gap",
  async () => {
    await using folder = await tempFolder();
    await using peer = await program.start({ name: "peer-1", key: key(1) });
    await using node = await startNode({
      id: "node-1",
      stateDir: folder.path,
      key: key(1),
      join: [peer.address],
    });
    await until(node, "the program", (all) => all.length === 2);
    await sees(peer, "node-1");
    await using stranger = await startNode({
      id: "node-9",
      stateDir: folder.path,
      key: key(9),
    });
    await using open = await startNode({ id: "node-8", stateDir: folder.path });
    for (const outsider of [stranger, open]) {
      for (const address of [peer.address, gossipAddress(node)]) {
        await assert.rejects(outsider.membership!.join([address]), /no member could be joined/);
      }
    }
    await using foreign = await program.start({ name: "peer-9", key: key(9) });
    await using plain = await program.start({ name: "peer-8" });
    for (const outsider of [foreign, plain]) {
      await assert.rejects(outsider.join(gossipAddress(node)));
      assert.deepEqual(Object.keys(await outsider.members()), [outsider.name]);
    }
    assert.deepEqual(byState(node), { alive: ["node-1", "peer-1"] });
    assert.ok(node.metrics().topology!.undecryptable! >= 4);

    const gossip = node.membership!;
    const own = { members: 1, replies: 1, failures: {} };
    for (const operation of ["install", "use"] as const) {
      const { members, replies, failures } = await gossip.keyring(operation, key(2));
      assert.deepEqual({ members, replies, failures }, own, operation);
      await peer.key(operation, key(2));
    }
    assert.deepEqual((await gossip.keyring("remove", key(1))).failures, {});
    await peer.key("remove", key(1));
    assert.deepEqual((await gossip.keyring("list")).keys, { [key(2)]: 1 });
    assert.deepEqual(
      Object.keys((await gossip.keyring("remove", key(2))).failures),
      ["node-1"],
      "the key in use stays",
    );
    // Under the new key alone, in both directions.
    await peer.setMeta("rotated");
    await until(node, "news", () => gossip.member("peer-1")?.tags.role === "rotated");
    gossip.setTags({ shape: "round" });
    await peer.until("news", (all) => decodeTags(all["node-1"]!.meta).shape === "round");
    await assert.rejects(plain.join(gossipAddress(node)));
    await using late = await program.start({ name: "peer-2", key: key(2) });
    assert.equal(await late.join(gossipAddress(node)), 1);
    await until(node, "the late one", () => stateAt(node, "peer-2") === "alive");
    await sees(peer, "peer-2");
  },
);

memberlistTest(
  "clusters of Serf's kind and of bare memberlist refuse each other and say why",
  async () => {
    await using folder = await tempFolder();
    const lines: { message: string; fields: Readonly<Record<string, unknown>> }[] = [];
    const refused = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    await using peer = await program.start({ name: "peer-1" });
    await using serf = await startGossiping({
      id: "node-1",
      stateDir: folder.path,
      log: (_level, message, fields) => {
        lines.push({ message, fields });
        if (/gossip was refused/.test(message)) refused.resolve(fields);
      },
    });
    await assert.rejects(
      serf.membership!.join([peer.address]),
      (error: Error) =>
        codeOf(error) === "unreachable" &&
        /peer-1 speaks other versions: 1,5,2,0,0,0 \(bare memberlist\), not .* \(Serf\)/.test(
          error.message,
        ),
    );
    await assert.rejects(peer.join(gossipAddress(serf)), /protocol version/i);
    const { reason, remedy } = await refused.promise;
    assert.match(String(reason), /^peer-1 speaks other versions: .*\(bare memberlist\)/);
    assert.match(String(remedy), /interop/);

    await using bare = await startNode({ id: "node-2", stateDir: folder.path });
    await assert.rejects(
      bare.membership!.join([gossipAddress(serf)]),
      /node-1 speaks other versions: .*\(Serf\), not .*\(bare memberlist\)/,
    );
    await assert.rejects(
      serf.membership!.join([gossipAddress(bare)]),
      /node-2 speaks other versions: .*\(bare memberlist\), not .*\(Serf\)/,
    );
    for (const node of [serf, bare]) {
      assert.deepEqual(byState(node), { alive: [node.id] });
      assert.ok(node.metrics().topology!.rumours_refused! >= 1);
    }
    assert.deepEqual(Object.keys(await peer.members()), ["peer-1"]);
    assert.ok(!lines.some(({ message }) => /joined/.test(message)));
  },
);

/** The commands about membership, against two nodes that gossip on loopback. */
import assert from "node:assert/strict";
import type { Node } from "../../mod.ts";
import { cli, type FakeIo, FakeIo as Terminal, type Ran } from "../../core/cli/fakes_test.ts";
import { exitCodes } from "../../core/cli/mod.ts";
import { tempFolder } from "../harness/processes.ts";
import { gossipAddress, shows, startGossiping, stateAt, until } from "../interop/gossip.ts";

const key = (byte: number) => new Uint8Array(16).fill(byte).toBase64();
const token = "0123456789abcdef-test";

async function withPair(
  test: (a: Node, b: Node, run: (...args: string[]) => Promise<Ran>) => Promise<void>,
): Promise<void> {
  await using folder = await tempFolder();
  const common = { stateDir: folder.path, key: key(1) };
  await using a = await startGossiping({
    id: "a",
    ...common,
    admin: { bindAddress: "127.0.0.1:0", token },
  });
  await using b = await startGossiping({ id: "b", ...common, join: [gossipAddress(a)] });
  await until(a, "both", (all) => all.length === 2);
  await until(b, "both", (all) => all.length === 2);
  const io: FakeIo = new Terminal();
  io.variables.MYCNET_ADMIN = a.adminAddress!;
  io.variables.MYCNET_TOKEN = token;
  await test(a, b, (...args) => cli(args, io));
}

Deno.test("members are a table, or JSON, and one alone is all that is known of it", async () => {
  await withPair(async (a, b, run) => {
    const { out, code } = await run("members");
    assert.equal(code, 0);
    const [head, first, second] = out.split("\n");
    assert.match(head!, /^MEMBER +ADDRESS +STATE +TAGS$/);
    assert.match(first!, /^a +127\.0\.0\.1:\d+ +alive +cluster=test,link=tcp:/);
    assert.match(second!, new RegExp(`^b +${gossipAddress(b)} +alive`));
    assert.match((await run("members", "--detailed")).out, /INCARNATION +SINCE +PHI +DISTANCE/);
    const { members } = JSON.parse((await run("members", "--json")).out);
    assert.deepEqual(members.map(({ id }: { id: string }) => id), ["a", "b"]);
    assert.deepEqual(
      JSON.parse((await run("members", "--json", "--state", "dead")).out).members,
      [],
    );
    assert.equal(JSON.parse((await run("members", "b")).out).address, gossipAddress(b));
    const unknown = await run("members", "nobody");
    assert.equal(unknown.code, exitCodes.failed);
    assert.match(unknown.err, /no member is called/);
    assert.equal(a.membership!.members().length, 2);
  });
});

Deno.test("events reach members, queries bring their answers, rtt a distance", async () => {
  await withPair(async (a, b, run) => {
    const heard = Promise.withResolvers<string>();
    using _events = b.membership!.onEvent(
      "deploy",
      ({ payload }) => heard.resolve(new TextDecoder().decode(payload)),
    );
    assert.equal((await run("event", "deploy", "v42", "--no-coalesce")).code, 0);
    assert.equal(await heard.promise, "v42");
    using _queries = b.membership!.onQuery("load", ({ payload }) => payload);
    const answered = await run("query", "load", "0.5", "--ack", "--timeout", "1s");
    assert.equal(answered.code, 0);
    assert.deepEqual(answered.out.trim().split("\n").sort(), [
      "a has received it",
      "b has received it",
      "b: 0.5",
    ]);
    assert.match(answered.err, /1 responses, 2 acknowledgements/);
    const silent = await run("query", "nothing", "--to", "b", "--timeout", "300ms", "--json");
    assert.deepEqual([silent.code, silent.out], [exitCodes.failed, ""]);
    const bad = await run("query", "load", "--tag", "role=(");
    assert.equal(bad.code, exitCodes.failed);
    assert.equal((await run("query", "load", "--tag", "role")).code, exitCodes.usage);
    await shows("a distance", () => a.membership!.distanceMs("a", "b") !== undefined);
    assert.match((await run("rtt", "b")).out, /^b to a: [\d.]+ ms\n$/);
    assert.match((await run("rtt", "b", "z")).err, /no member is called "z"/);
  });
});

Deno.test("keys are listed, installed, used and removed, and what fails is said", async () => {
  await withPair(async (_a, _b, run) => {
    const listed = await run("keyring", "list");
    assert.match(listed.out, /^KEY +MEMBERS +IN USE\n\S+ +2 of 2 +by 2\n$/);
    assert.match(listed.err, /2 of 2 members answered/);
    for (const [operation, byte] of [["install", 2], ["use", 2], ["remove", 1]] as const) {
      assert.equal((await run("keyring", operation, key(byte))).code, 0, operation);
    }
    assert.deepEqual(JSON.parse((await run("keyring", "--json")).out).keys, { [key(2)]: 2 });
    const refused = await run("keyring", "remove", key(2));
    assert.equal(refused.code, exitCodes.failed);
    assert.match(refused.err, /2 with a failure/);
    assert.equal((await run("keyring", "turn")).code, exitCodes.usage);
    assert.equal((await run("keyring", "use")).code, exitCodes.usage);
    assert.match((await run("keyring", "use", "AAAA")).err, /16, 24 or 32 bytes/);
  });
});

Deno.test("a member that failed is made to leave", async () => {
  await withPair(async (a, b, run) => {
    assert.match((await run("force-leave", "nobody")).err, /no member is called/);
    assert.equal((await run("force-leave")).code, exitCodes.usage);
    await b.stop();
    await until(a, "it has left", () => stateAt(a, "b") === "left");
    const pruned = await run("force-leave", "b", "--prune");
    assert.equal(pruned.code, 0);
    assert.equal(stateAt(a, "b"), undefined);
  });
});

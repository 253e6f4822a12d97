import assert from "node:assert/strict";
import { join } from "node:path";
import { AdminFixture, peer } from "../../core/admin/fakes_test.ts";
import type { MethodDescription, Services } from "../../core/contracts/services.ts";
import { MycnetError } from "../../core/kernel/errors.ts";
import gateway from "../../plugins/gateways/http.ts";
import { cli, FakeIo, FakeRuntime, inFolder, input } from "../../core/cli/fakes_test.ts";
import { exitCodes } from "../../core/cli/mod.ts";

/** A node that listens, with its state in `folder`/.mycnet as the command line looks for it. */
async function withNode(
  test: (fixture: AdminFixture, io: FakeIo, folder: string) => Promise<void>,
  services: Partial<Services> = {},
): Promise<void> {
  await inFolder(async (folder) => {
    await using fixture = new AdminFixture();
    fixture.node.stateDir = join(folder, ".mycnet");
    const method = (name: string, kind: MethodDescription["kind"], idempotent = true) => ({
      name,
      kind,
      idempotent,
    });
    fixture.node.services = {
      list: () => [{
        service: {
          name: "greeter",
          version: 2,
          methods: [
            method("hello", "unary"),
            method("tail", "stream"),
            method("sum", "upload", false),
          ],
        },
        nodes: ["b", "c"],
      }],
      appears: () => Promise.resolve(false),
      ...services,
    };
    await fixture.run({ bindAddress: "127.0.0.1:0" }, [{ id: "http-gateway", plugin: gateway }]);
    const io = new FakeIo();
    io.cwd = folder;
    await test(fixture, io, folder);
  });
}

Deno.test("status finds the running node by its state folder and tells how it is", async () => {
  await withNode(async ({ node }, io) => {
    node.peers.known.push(peer("b"), peer("c", { state: "dead", links: [] }));
    const { code, out, err } = await cli(["status"], io);
    assert.equal(err, "");
    assert.equal(code, 0);
    const lines = out.split("\n").filter((it) => !/^(admin|up for)/.test(it));
    assert.deepEqual(lines, [
      "node       a (sclerotia) of test",
      "status     degraded",
      "ready      yes",
      "version    0.1.0",
      "addresses  none; it only dials",
      "members    2 healthy, 0 degraded, 1 unhealthy",
      "links      1 up, 2.00 ms round trip",
      "messages   1 sent, 2 received",
      "  - c: dead",
      "",
    ]);
    node.health = { status: "unhealthy", reasons: ["tls: gone"], reports: {} };
    const sick = await cli(["status", "--json"], io);
    assert.equal(sick.code, exitCodes.failed);
    assert.equal(JSON.parse(sick.out).health.status, "unhealthy");
  });
});

Deno.test("peers and services are tables, or JSON", async () => {
  await withNode(async ({ node }, io) => {
    assert.match((await cli(["peers"], io)).err, /^No peers are known/);
    node.peers.known.push(peer("b"), peer("c", { state: "dead", links: [] }));
    assert.equal(
      (await cli(["peers"], io)).out,
      [
        "NODE  TYPE       STATE  HEALTH   LINKS  RTT      PROFILE           ADDRESS",
        "b     sclerotia  alive  healthy  1      2.00 ms  high-performance  tls://b:7000",
        "c     sclerotia  dead   healthy  0      -        -                 tls://c:7000",
        "",
      ].join("\n"),
    );
    assert.deepEqual(JSON.parse((await cli(["peers", "--json"], io)).out).peers[0], peer("b"));
    assert.deepEqual(JSON.parse((await cli(["peers", "b"], io)).out), peer("b"));
    const unknown = await cli(["peers", "zz"], io);
    assert.equal(unknown.code, exitCodes.failed);
    assert.match(unknown.err, /^error: no peer is called zz\n {2}No such node is known/);
    assert.equal(
      (await cli(["services"], io)).out,
      "SERVICE  VERSION  NODES  METHODS\ngreeter  2        b, c   hello, tail (stream), sum (upload)!\n",
    );
    const one = JSON.parse((await cli(["services", "greeter"], io)).out);
    assert.equal(one.service.methods.length, 3);
  });
});

Deno.test("call takes JSON, pairs, or standard input, and sends options along", async () => {
  const seen: unknown[] = [];
  const call: Services["call"] = (service, method, input, options = {}) => {
    const { timeout, metadata, node } = options;
    seen.push({ service, method, input, timeout, metadata, node });
    return Promise.resolve({ ok: true });
  };
  await withNode(async (_, io) => {
    const run = async (...args: string[]) => {
      const { code, out, err } = await cli(["call", "greeter/hello", ...args], io);
      assert.equal(err, "");
      assert.equal(code, 0);
      assert.equal(out, '{"ok":true}\n');
      return seen.pop() as Record<string, unknown>;
    };
    const options = ["--timeout", "2s", "--meta", "tenant=café=x", "-m", "b=2", "--target", "c"];
    assert.deepEqual(await run('{"name": "Ada"}', ...options), {
      service: "greeter",
      method: "hello",
      input: { name: "Ada" },
      timeout: 2000,
      metadata: { tenant: "café=x", b: "2" },
      node: "c",
    });
    assert.deepEqual((await run("name=Ada", "times:=3")).input, { name: "Ada", times: 3 });
    assert.equal((await run()).input, undefined);
    io.stdin = input("[1, 2]");
    assert.deepEqual((await run("-")).input, [1, 2]);
  }, { call });
});

Deno.test("a failed call says why and what helps", async () => {
  const call = () => Promise.reject(new MycnetError("unavailable", "nobody serves it"));
  await withNode(async (_, io) => {
    const { code, err } = await cli(["call", "greeter/hello"], io);
    assert.equal(code, exitCodes.failed);
    assert.match(err, /^error: nobody serves it\n {2}No healthy node serves this now/);
    assert.match((await cli(["call", "greter/hello"], io)).err, /did you mean "greeter"/);
  }, { call });
});

Deno.test("a stream prints a line an item, and its failure at the end", async () => {
  async function* stream() {
    yield { n: 1 };
    yield "two";
    throw new MycnetError("link_lost", "the link broke");
  }
  await withNode(async (_, io) => {
    const { code, out, err } = await cli(["call", "greeter/tail"], io);
    assert.equal(out, '{"n":1}\n"two"\n');
    assert.equal(code, exitCodes.failed);
    assert.match(err, /the link broke/);
  }, { stream });
});

Deno.test("a signal cancels a stream at the serving node", async () => {
  const io = new FakeIo();
  const cancelled = Promise.withResolvers<void>();
  const stream: Services["stream"] = async function* (_service, _method, _input, options) {
    yield 1;
    await new Promise((resolve) => options!.signal!.addEventListener("abort", resolve));
    cancelled.resolve();
  };
  await withNode(async (_, { cwd }) => {
    io.cwd = cwd;
    io.stdout.write = (text) => {
      io.stdout.text += text;
      io.signal("SIGINT");
    };
    const { code, out } = await cli(["call", "greeter/tail"], io);
    assert.equal(out, "1\n");
    assert.equal(code, exitCodes.interrupted);
    await cancelled.promise;
  }, { stream });
});

Deno.test("a stream whose reader is gone ends quietly", async () => {
  const stream: Services["stream"] = async function* () {
    for (let n = 0;; n++) yield n;
  };
  await withNode(async (_, io) => {
    io.stdout.write = (text) => {
      io.stdout.text += text;
      io.stdout.broken = true;
    };
    const { code, out } = await cli(["call", "greeter/tail"], io);
    assert.equal(code, 0);
    assert.equal(out, "0\n");
  }, { stream });
});

Deno.test("an upload sends the lines of standard input", async () => {
  const call: Services["call"] = async (_service, _method, input, options = {}) => {
    let total = (input as { from: number }).from;
    for await (const item of options.upload!) total += item as number;
    return total;
  };
  await withNode(async (_, io) => {
    io.stdin = input("1\n2\n3\n");
    const { out, err } = await cli(["call", "greeter/sum", "from:=10", "--upload"], io);
    assert.equal(err, "");
    assert.equal(out, "16\n");
  }, { call });
});

Deno.test("a wrong token is told apart from a node that does not answer", async () => {
  await withNode(async (fixture, io, folder) => {
    const wrong = await cli(["status", "--token", "wrong"], io);
    assert.equal(wrong.code, exitCodes.refused);
    assert.match(wrong.err, /not this node's\n {2}Give the token/);
    io.variables.MYCNET_TOKEN = "wrong";
    assert.equal((await cli(["status"], io)).code, exitCodes.refused);
    delete io.variables.MYCNET_TOKEN;
    assert.equal((await cli(["status", "--state-dir", ".mycnet"], io)).code, 0);

    const { admin } = JSON.parse((await cli(["status", "--json"], io)).out);
    io.variables.MYCNET_ADMIN = admin;
    assert.equal((await cli(["status"], io)).code, 0, "the token is found by the address");
    delete io.variables.MYCNET_ADMIN;

    const note = join(folder, ".mycnet", "nodes", "a", "admin.json");
    const left = await Deno.readTextFile(note);
    await fixture.kernel.stop();
    const stopped = await cli(["status"], io);
    assert.equal(stopped.code, exitCodes.unreachable);
    assert.match(stopped.err, /no node of .*\.mycnet is running\n {2}Start it with/);
    await Deno.writeTextFile(note, left);
    const crashed = await cli(["status"], io);
    assert.equal(crashed.code, exitCodes.unreachable);
    assert.match(crashed.err, /no node answers at http:\/\/127\.0\.0\.1:\d+/);
  });
});

Deno.test("of several nodes the one that answers is asked; of several that answer, one must be named", async () => {
  await withNode(async (_, io, folder) => {
    const nodes = join(folder, ".mycnet", "nodes");
    const own = join(nodes, "a", "admin.json");
    await Deno.mkdir(join(nodes, "b"));
    const other = join(nodes, "b", "admin.json");
    const dead = { address: "http://127.0.0.1:1", pid: 1, startedAt: 1 };
    await Deno.writeTextFile(other, JSON.stringify(dead));
    assert.equal((await cli(["status"], io)).code, 0);
    await Deno.copyFile(own, other);
    const several = await cli(["status"], io);
    assert.equal(several.code, exitCodes.usage);
    assert.match(several.err, /2 nodes are running here: a, b\n {2}Say which one with --node/);
    assert.equal((await cli(["status", "--node", "a"], io)).code, 0);
    const unknown = await cli(["status", "--node", "c"], io);
    assert.equal(unknown.code, exitCodes.unreachable);
    assert.match(unknown.err, /"c" does not run here; these left a note: a, b/);
    await Deno.writeTextFile(other, "{ torn");
    assert.equal((await cli(["status"], io)).code, 0, "a torn note counts for nothing");
  });
});

Deno.test("the state folder follows the configuration", async () => {
  await withNode(async (_, io, folder) => {
    await Deno.mkdir(join(folder, "project", "deep"), { recursive: true });
    const config = join(folder, "project", "deno.jsonc");
    await Deno.writeTextFile(
      config,
      '{ "mycnet": { "node": { "stateDir": "../.mycnet" } } } // so',
    );
    io.cwd = join(folder, "project", "deep");
    assert.equal((await cli(["status"], io, new FakeRuntime())).code, 0);
    io.cwd = folder;
    assert.equal((await cli(["status", "--config", "project/deno.jsonc"], io)).code, 0);
    io.variables.MYCNET_CONFIG = "missing.json";
    const missing = await cli(["status"], io);
    assert.equal(missing.code, exitCodes.failed);
    assert.match(missing.err, /missing\.json/);
  });
});

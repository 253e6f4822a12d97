import assert from "node:assert/strict";
import { join } from "node:path";
import { MycnetError } from "../../kernel/errors.ts";
import { cli, FakeIo, FakeRunningNode, FakeRuntime, inFolder } from "../fakes_test.ts";
import { exitCodes } from "../mod.ts";

/** Runs `mycnet node` until its node has been announced. */
async function running(
  args: readonly string[] = [],
  prepare: (io: FakeIo, node: FakeRunningNode, runtime: FakeRuntime) => void = () => {},
) {
  const io = new FakeIo();
  const node = new FakeRunningNode();
  const runtime = new FakeRuntime();
  runtime.start = () => Promise.resolve(node);
  const announced = Promise.withResolvers<void>();
  io.stdout.write = (text) => {
    io.stdout.text += text;
    if (/Ctrl-C|"started"/.test(text)) announced.resolve();
  };
  prepare(io, node, runtime);
  const ran = cli(["node", ...args], io, runtime);
  await announced.promise;
  return { io, node, runtime, ran };
}

Deno.test("a node is announced, runs until a signal, and drains", async () => {
  const { io, node, runtime, ran } = await running();
  io.signal("SIGTERM");
  const { code, out, err } = await ran;
  assert.equal(code, exitCodes.ok);
  assert.deepEqual(node.stops, ["SIGTERM"]);
  assert.equal(
    out,
    [
      "PLUGIN  IS   PROVIDES   TOOK",
      "tls     tls  transport  1.3 ms",
      "",
      "running  a",
      "listens  tls://127.0.0.1:7000",
      "gossips  127.0.0.1:7946",
      "admin    http://127.0.0.1:7080",
      "Ctrl-C stops it; twice, at once.",
      "",
    ].join("\n"),
  );
  assert.equal(err, "Stopping (SIGTERM).\n");
  assert.equal(runtime.starts[0].config, undefined);
  assert.equal(io.signal("SIGTERM"), false, "no handler is left behind");
});

Deno.test("with --json the life of a node is two events", async () => {
  const { io, ran } = await running(["--json"]);
  io.signal("SIGINT");
  const events = (await ran).out.trimEnd().split("\n").map((it) => JSON.parse(it));
  assert.deepEqual(events.map((it) => it.event), ["started", "stopped"]);
  assert.equal(events[0].admin, "http://127.0.0.1:7080");
  assert.equal(events[1].reason, "SIGINT");
});

Deno.test("a second signal does not wait for the drain", async () => {
  const { io, node, ran } = await running([], (_, node) => {
    node.drain = new Promise(() => {});
  });
  io.signal("SIGINT");
  io.signal("SIGINT");
  assert.equal((await ran).code, exitCodes.interrupted);
  assert.deepEqual(node.stops, ["SIGINT"]);
});

Deno.test("a signal during boot stops the node once it is up; two give up on it", async () => {
  const up = Promise.withResolvers<FakeRunningNode>();
  const io = new FakeIo();
  const runtime = new FakeRuntime();
  runtime.start = () => {
    io.signal("SIGTERM");
    return up.promise;
  };
  const ran = cli(["node"], io, runtime);
  const node = new FakeRunningNode();
  up.resolve(node);
  assert.equal((await ran).code, exitCodes.ok);
  assert.deepEqual(node.stops, ["SIGTERM"]);

  runtime.start = () => {
    io.signal("SIGTERM");
    io.signal("SIGTERM");
    return new Promise(() => {});
  };
  assert.equal((await cli(["node"], io, runtime)).code, exitCodes.interrupted);
});

Deno.test("a node that leaves by itself ends the program well", async () => {
  const { node, ran } = await running();
  await node.stop("asked by admin");
  assert.equal((await ran).code, exitCodes.ok);
});

Deno.test("a failed boot says what to do", async () => {
  const runtime = new FakeRuntime();
  runtime.start = () => Promise.reject(new MycnetError("identity_missing", "there is no identity"));
  const { code, out, err } = await cli(["node"], new FakeIo(), runtime);
  assert.equal(code, exitCodes.failed);
  assert.equal(out, "");
  assert.match(err, /^error: there is no identity\n {2}Run `mycnet init` here/);
});

Deno.test("with --exit-with-stdin the end of standard input stops the node", async () => {
  let end!: () => void;
  const { node, ran } = await running(["--exit-with-stdin"], (io) => {
    io.stdin = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array([10]));
        end = () => controller.close();
      },
    });
  });
  end();
  assert.equal((await ran).code, exitCodes.ok);
  assert.deepEqual(node.stops, ["the end of standard input"]);
});

Deno.test("standard input is let go of when a signal comes first", async () => {
  const cancelled = Promise.withResolvers<void>();
  const { io, ran } = await running(["--exit-with-stdin"], (io) => {
    io.stdin = new ReadableStream({ cancel: () => cancelled.resolve() });
  });
  io.signal("SIGTERM");
  assert.equal((await ran).code, exitCodes.ok);
  await cancelled.promise;
});

Deno.test("a hang-up stops a node in a terminal and is ignored without one", async () => {
  const { io, node, ran } = await running();
  io.signal("SIGHUP");
  io.signal("SIGTERM");
  await ran;
  assert.deepEqual(node.stops, ["SIGTERM"]);
  const second = await running([], (io) => void (io.stderr.isTerminal = true));
  second.io.signal("SIGHUP");
  await second.ran;
  assert.deepEqual(second.node.stops, ["SIGHUP"]);
});

Deno.test("the nearest configuration, the id and the log reach the node", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "deno.json"), '{"mycnet": {}}');
    const { io, runtime, ran } = await running(
      ["--id", "b", "--log-format", "json", "--log-level", "warn"],
      (io) => void (io.cwd = folder),
    );
    const [{ config, node, cwd, log }] = runtime.starts;
    assert.deepEqual({ config, node, cwd }, {
      config: join(folder, "deno.json"),
      node: { id: "b" },
      cwd: folder,
    });
    log("info", "not shown", {});
    log("warn", "a {curly} sentence", { plugin: "tls", peer: "b" });
    const line = JSON.parse(io.stderr.text);
    assert.equal(line.message, "a {curly} sentence");
    assert.equal(line.plugin, "tls");
    assert.equal(line.level, "WARN");
    io.signal("SIGTERM");
    await ran;
  });
});

Deno.test("addresses and seeds of the command line reach the node; what is no address is named", async () => {
  const { io, runtime, ran } = await running(
    "--bind 127.0.0.1:7001 --admin 127.0.0.1:7081 --seed h:7000 --seed tls://h:7002".split(" "),
  );
  const [{ node, adminAddress, seeds }] = runtime.starts;
  assert.deepEqual({ node, adminAddress, seeds }, {
    node: { bindAddress: "127.0.0.1:7001" },
    adminAddress: "127.0.0.1:7081",
    seeds: ["h:7000", "tls://h:7002"],
  });
  io.signal("SIGTERM");
  await ran;
  for (const option of ["--bind", "--admin", "--seed"]) {
    const { code, err } = await cli(["node", option, "7001"], new FakeIo(), runtime);
    assert.equal(code, exitCodes.usage);
    assert.match(err, new RegExp(`^error: ${option}: `));
  }
  assert.equal(runtime.starts.length, 1);
});

Deno.test("a text line is one line, whatever a peer put into its fields", async () => {
  const { io, runtime, ran } = await running();
  const [{ log }] = runtime.starts;
  log("info", "link up", { peer: "b", reason: "two\nlines\x1b[2J", count: 3 });
  log("error", "it broke", { stack: "Error: x\n    at y" });
  const [up, broke, at1, at2] = io.stderr.text.split("\n");
  assert.match(
    up,
    /^\d{4}-\d\d-\d\dT[\d:.]+Z info {2}link up peer=b reason="two\\nlines\\u001b\[2J" count=3$/,
  );
  assert.match(broke, /Z error it broke$/);
  assert.equal(`${at1}|${at2}`, "    Error: x|        at y");
  io.signal("SIGTERM");
  await ran;
});

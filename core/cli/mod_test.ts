import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { MycnetError } from "../kernel/errors.ts";
import { builtInCommands } from "./commands/mod.ts";
import { cli, FakeIo, FakeRuntime } from "./fakes_test.ts";
import { type Command, defineCommand, exitCodes, safeWriter } from "./mod.ts";

Deno.test("help for the program and for each command reads as it should", async (t) => {
  const topics = [[], ...builtInCommands.map((it) => [it.name])];
  for (const topic of topics) {
    const { code, out, err } = await cli(["help", ...topic]);
    assert.equal(code, 0);
    assert.equal(err, "");
    for (const line of out.split("\n")) assert.ok(line.length <= 110, line);
    await t.assertSnapshot(out);
    const forms = topic.length === 0
      ? [["--help"], ["-h"]]
      : [[...topic, "--help"], [...topic, "-h"]];
    for (const form of forms) assert.equal((await cli(form)).out, out, form.join(" "));
  }
});

Deno.test("nothing at all is answered with help, as an error", async () => {
  const { code, out, err } = await cli([]);
  assert.equal(code, exitCodes.usage);
  assert.equal(out, "");
  assert.match(err, /Commands:\n {2}init/);
});

Deno.test("a line that makes no sense is refused with what was meant", async () => {
  const cases: [string[], RegExp][] = [
    [["pers"], /no command "pers", did you mean "peers"\?/],
    [["--versoin"], /no option "--versoin", did you mean "--version"\?/],
    [["status", "--jsn"], /no option --jsn, did you mean "--json"\?/],
    [["status", "-z"], /no option -z/],
    [["status", "extra"], /status does not take "extra"/],
    [["status", "--admin"], /--admin needs a value: --admin <URL>/],
    [["status", "--json=yes"], /--json takes no value/],
    [["status", "--node", "a", "-n", "b"], /--node was given twice/],
    [["help", "nonsense"], /no command "nonsense"/],
    [["call"], /mycnet call <service>\/<method>/],
    [["call", "x/y", "{"], /the input is not JSON/],
    [["call", "x/y", "a:={"], /input "a:=\{" is not JSON/],
    [["call", "x/y", "1", "2"], /one JSON value, or key=value pairs/],
    [["call", "x/y", "--timeout", "soon"], /--timeout: "soon" is no duration/],
    [["call", "x/y", "--meta", "k"], /--meta "k": write key=value/],
    [["status", "--admin", "localhost:1", "--token", "t"], /write http:\/\/host:port/],
    [["node", "--log-level", "wran"], /did you mean "warn"\?/],
    [["init", "--nodes", "a:sclerotium"], /did you mean "sclerotia"\?/],
    [["init", "--nodes", "0"], /--nodes 0: 1 to 100/],
    [["init", "--nodes", "a", "--id", "b"], /--id names one node/],
  ];
  for (const [args, message] of cases) {
    const { code, out, err } = await cli(args);
    assert.equal(code, exitCodes.usage, args.join(" "));
    assert.equal(out, "");
    assert.match(err, message);
    assert.match(err, /mycnet help/);
  }
});

Deno.test("with --json an error is JSON too", async () => {
  const { code, out, err } = await cli(["status", "extra", "--json"]);
  assert.equal(code, exitCodes.usage);
  assert.equal(out, "");
  assert.deepEqual(JSON.parse(err).error.code, "usage");
});

Deno.test("the version comes three ways", async () => {
  for (const args of [["version"], ["--version"], ["-V"]]) {
    assert.match((await cli(args)).out, /^mycnet 0\.1\.0 \(deno \d/);
  }
  assert.equal(JSON.parse((await cli(["version", "--json"])).out).version, "0.1.0");
});

Deno.test("schema and permissions are printed as JSON", async () => {
  assert.deepEqual(JSON.parse((await cli(["schema"])).out), { type: "object" });
  const found = await cli(["schema", "--permissions"]);
  assert.deepEqual(JSON.parse(found.out), { read: ["none"] });
});

function command(run: Command["run"], other: Partial<Command> = {}): Command {
  return { name: "test", summary: "A test.", usage: ["test"], options: {}, run, ...other };
}

function runtimeWith(...commands: Command[]): FakeRuntime {
  return Object.assign(new FakeRuntime(), { commands });
}

Deno.test("a command of one's own gets its options typed and takes part in help", async () => {
  const own = defineCommand({
    name: "greet",
    summary: "Greets.",
    usage: ["greet <name>"],
    maxPositionals: 1,
    options: {
      loud: { type: "boolean", description: "Shout." },
      by: { type: "string", description: "Who greets." },
      word: { type: "string", multiple: true, description: "More words." },
    },
    run({ out, options, positionals }) {
      const loud: boolean = options.loud;
      const by: string | undefined = options.by;
      const words: readonly string[] = options.word;
      out.line(JSON.stringify({ loud, by, words, positionals }));
      return Promise.resolve(0);
    },
  });
  const runtime = runtimeWith(own);
  const args = ["greet", "--loud", "--word", "a", "Ada", "--word=b"];
  assert.deepEqual(JSON.parse((await cli(args, new FakeIo(), runtime)).out), {
    loud: true,
    words: ["a", "b"],
    positionals: ["Ada"],
  });
  assert.match((await cli(["help"], new FakeIo(), runtime)).out, /greet +Greets\./);
});

Deno.test("the first signal aborts a command, the second gives up on it", async () => {
  const io = new FakeIo();
  const polite = command(({ signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      io.signal("SIGINT");
    })
  );
  const first = await cli(["test"], io, runtimeWith(polite));
  assert.equal(first.code, exitCodes.interrupted);
  assert.match(first.err, /stopped by SIGINT/);
  const stuck = command(() => {
    io.signal("SIGINT");
    io.signal("SIGINT");
    return new Promise<number>(() => {});
  });
  assert.equal((await cli(["test"], io, runtimeWith(stuck))).code, exitCodes.interrupted);
  assert.equal(io.signal("SIGINT"), false, "no handler is left behind");
});

Deno.test("the exit code follows the error's code", async () => {
  const codes = {
    usage: 2,
    node_ambiguous: 2,
    node_unreachable: 3,
    unauthenticated: 4,
    permission_denied: 4,
    not_found: 1,
    internal: 1,
  } as const;
  for (const [code, expected] of Object.entries(codes)) {
    const failing = command(() =>
      Promise.reject(new MycnetError(code as keyof typeof codes, "so it goes"))
    );
    assert.equal((await cli(["test"], new FakeIo(), runtimeWith(failing))).code, expected, code);
  }
  const odd = command(() => Promise.reject("just a text"));
  const { code, err } = await cli(["test"], new FakeIo(), runtimeWith(odd));
  assert.equal(code, 1);
  assert.equal(err, "error: just a text\n");
});

Deno.test("colours are for terminals that want them", async () => {
  const run = async (terminal: boolean, variables: Record<string, string>, ...args: string[]) => {
    const io = new FakeIo();
    io.stdout.isTerminal = terminal;
    Object.assign(io.variables, variables);
    const { out } = await cli(["help", ...args], io);
    return stripVTControlCharacters(out) !== out;
  };
  assert.equal(await run(true, {}), true);
  assert.equal(await run(true, { NO_COLOR: "" }), true, "empty means unset");
  assert.equal(await run(true, { NO_COLOR: "1" }), false);
  assert.equal(await run(true, { TERM: "dumb" }), false);
  assert.equal(await run(true, {}, "--json"), false);
  assert.equal(await run(false, {}), false);
});

Deno.test("a table keeps its columns, and other nodes' text cannot move the cursor", async () => {
  const io = new FakeIo();
  io.stdout.isTerminal = true;
  const table = command(({ out }) => {
    out.table(["A", "B"], [["x\x1b[2J\u202e", out.style("green", "ok")], ["long text", "\nb"]]);
    return Promise.resolve(0);
  });
  const { out } = await cli(["test"], io, runtimeWith(table));
  // deno-lint-ignore no-control-regex -- the escapes are the subject.
  assert.equal(/\x1b\[2J|\u202e/.test(out), false);
  assert.ok(out.includes("\x1b[32mok\x1b[39m"));
  assert.equal(
    stripVTControlCharacters(out),
    "A          B\nx\ufffd[2J\ufffd     ok\nlong text   b\n",
  );
});

Deno.test("a writer never throws, and remembers that it broke", () => {
  let room = 3;
  const written: number[] = [];
  const writer = safeWriter({
    isTerminal: () => {
      throw new Error("closed");
    },
    writeSync(bytes) {
      if (room === 0) throw new Deno.errors.BrokenPipe("nobody reads");
      const count = Math.min(2, bytes.length);
      written.push(...bytes.subarray(0, count));
      room--;
      return count;
    },
  });
  assert.equal(writer.isTerminal, false);
  writer.write("abcd");
  assert.equal(new TextDecoder().decode(Uint8Array.from(written)), "abcd", "short writes go on");
  assert.equal(writer.broken, false);
  writer.write("efgh");
  assert.equal(writer.broken, true);
  writer.write("more");
  assert.equal(written.length, 6);
});

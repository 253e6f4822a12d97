import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { createHost } from "../../kernel/mod.ts";
import { FakeIo, inFolder } from "../fakes_test.ts";
import { copyOf, routeOf } from "./cp/places.ts";
import { ProgressLine, shownBytes, shownTime } from "./cp/progress.ts";
import { retrying } from "./cp/retries.ts";
import { RunningHash } from "./cp/running_hash.ts";

Deno.test("a line names a local and a remote place, one each", () => {
  const read = (...args: string[]) => copyOf(args, "/desk", false);
  assert.deepEqual(read("data.bin", "bob:backups/today.bin"), {
    kind: "upload",
    from: "/desk/data.bin",
    to: { node: "bob", path: "backups/today.bin" },
    keep: "data.bin",
  });
  assert.deepEqual(read("a/data.bin", "bob:backups/"), {
    kind: "upload",
    from: "/desk/a/data.bin",
    to: { node: "bob", path: "backups/data.bin" },
    keep: undefined,
  });
  assert.deepEqual(read("x", "bob:"), {
    kind: "upload",
    from: "/desk/x",
    to: { node: "bob", path: "x" },
    keep: undefined,
  });
  assert.deepEqual(read("-", "bob:log"), {
    kind: "upload",
    from: undefined,
    to: { node: "bob", path: "log" },
    keep: undefined,
  });
  // A colon behind a slash belongs to a local name.
  assert.deepEqual(read("bob:log", "./odd:name"), {
    kind: "download",
    from: { node: "bob", path: "log" },
    to: "/desk/odd:name",
    keep: "log",
  });
  const bad = [["a"], ["a", "b"], ["x:a", "y:b"], ["-", "bob:"], ["bob:", "a"], ["bob:a", "-"]];
  for (const args of bad) {
    assert.throws(() => read(...args), (error) => codeOf(error) === "usage", args.join(" "));
  }
});

Deno.test("a folder keeps its name where it has one and none is given", () => {
  const rows: [from: string, to: string, path: string, keep: string | undefined][] = [
    ["dir", "bob:new", "new", "dir"],
    ["dir/", "bob:a/new", "a/new", "dir"],
    ["dir", "bob:a/", "a/dir", undefined],
    ["dir", "bob:", "dir", undefined],
    [".", "bob:a/", "a", undefined],
    ["dir/..", "bob:a", "a", undefined],
    [".", "bob:", "", undefined],
    ["bob:a/dir", "new", "a/dir", "dir"],
    ["bob:a/dir//", "new", "a/dir", "dir"],
    ["bob:a/dir/.", "new", "a/dir", undefined],
    ["bob:", "new", "", undefined],
    ["bob:.", "new", "", undefined],
    // Refused by the node.
    ["bob:a/..", "new", "a/..", undefined],
  ];
  for (const [from, to, path, keep] of rows) {
    const copy = copyOf([from, to], "/desk", true);
    const remote = copy.kind === "upload" ? copy.to : copy.from;
    assert.deepEqual([remote.path, copy.keep], [path, keep], `${from} ${to}`);
  }
});

Deno.test("whatever a path holds arrives in the query as it is", () => {
  fc.assert(fc.property(fc.string({ minLength: 1, unit: "grapheme" }), (path) => {
    const url = new URL(
      routeOf({ node: "bob", path }, { op: "stat", offset: 5, total: undefined }),
      "http://h",
    );
    assert.equal(url.pathname, "/api/v1/files/bob");
    assert.deepEqual(Object.fromEntries(url.searchParams), { path, op: "stat", offset: "5" });
  }));
});

/** A host that waits for nothing and notes how long it would have. */
function hastyHost(waits: number[]): Host {
  const host = createHost();
  host.sleep = (ms) => (waits.push(ms), Promise.resolve());
  host.random = () => 0.5;
  return host;
}

Deno.test("what passes by itself is tried again with growing waits, up to a bound", async () => {
  const waits: number[] = [];
  let attempts = 0;
  const base = {
    host: hastyHost(waits),
    signal: new AbortController().signal,
    retries: 8,
    moved: () => 0,
    again: () => {},
  };
  const lost = new MycnetError("unavailable", "gone");
  const fails = retrying(base, () => (attempts++, Promise.reject(lost)));
  await assert.rejects(fails, (error) => error === lost);
  assert.equal(attempts, 9);
  assert.deepEqual(waits, [75, 150, 300, 600, 1200, 2400, 3750, 3750]);

  // What cannot pass is not tried again.
  attempts = 0;
  const refused = new MycnetError("permission_denied", "no");
  await assert.rejects(retrying(base, () => (attempts++, Promise.reject(refused))));
  assert.equal(attempts, 1);

  // A connection that broke has no code of ours, and passes.
  const results = [new TypeError("error reading a body from connection"), lost];
  const went = await retrying(base, () => {
    const next = results.shift();
    return next === undefined ? Promise.resolve("done") : Promise.reject(next);
  });
  assert.deepEqual(went, { value: "done", attempts: 3 });
});

Deno.test("an attempt that moved something begins the count anew", async () => {
  let moved = 0;
  let attempts = 0;
  const done = await retrying({
    host: hastyHost([]),
    signal: new AbortController().signal,
    retries: 2,
    moved: () => moved,
    again: () => {},
  }, () => {
    attempts++;
    if (attempts % 2 === 0) moved++;
    return attempts < 20 ? Promise.reject(new MycnetError("link_lost", "cut")) : Promise.resolve();
  });
  assert.equal(done.attempts, 20);
});

Deno.test("a running hash is that of the whole, in whatever pieces and from wherever it comes", async () => {
  await inFolder(async (folder) => {
    const whole = Uint8Array.from({ length: 5000 }, (_, at) => (at * 7) & 0xff);
    await Deno.writeFile(`${folder}/file`, whole);
    const sha256 = createHash("sha256").update(whole).digest("hex");
    const starts = fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 1500 })), {
      maxLength: 8,
    });
    await fc.assert(fc.asyncProperty(starts, async (attempts) => {
      using file = await Deno.open(`${folder}/file`);
      const hash = new RunningHash();
      for (const [from, length] of attempts) {
        await hash.catchUp(file, from);
        assert(hash.bytes >= from);
        hash.update(from, whole.subarray(from, from + length));
      }
      await hash.catchUp(file, whole.length);
      assert.equal(hash.digest(), sha256);
    }));
  });
});

Deno.test("the progress line shows how far, how fast and how long, and only to a person", async () => {
  const io = new FakeIo();
  let now = 0;
  let tick = () => {};
  const host = createHost();
  host.now = () => now;
  host.every = (_, run) => {
    tick = run;
    return { [Symbol.dispose]: () => {} };
  };
  {
    using silent = new ProgressLine(io, host, true);
    silent.bytes = 5;
  }
  assert.equal(io.stderr.text, "", "no terminal, no line");
  io.stderr.isTerminal = true;
  {
    using line = new ProgressLine(io, host, true);
    line.total = 10_000_000;
    tick();
    now = 1000;
    line.bytes = 2_000_000;
    tick();
    assert.equal(line.text(), " 20%  2.00 MB of 10.0 MB  2.00 MB/s  4s left");
    line.note("interrupted; trying again");
    assert.equal(line.text(), "interrupted; trying again");
    now = 2000;
    line.bytes = 1_000_000; // It goes on from less: what was on the way is lost.
    tick();
    now = 3000;
    line.bytes = 3_000_000;
    tick();
    assert.match(line.text(), /^ 30% {2}3\.00 MB of 10\.0 MB/);
  }
  assert(io.stderr.text.endsWith("\r\x1b[K"), "the line is taken away");
  {
    using line = new ProgressLine(io, host, true);
    line.files = 0;
    line.total = 3_000_000;
    tick();
    now += 1000;
    line.files = 12;
    line.bytes = 1_500_000;
    tick();
    assert.equal(line.text(), "12 files  1.50 MB of 3.00 MB found  1.50 MB/s");
  }
  assert.deepEqual([0, 999, 1500, 15_000_000, 2e12].map(shownBytes), [
    "0 B",
    "999 B",
    "1.50 kB",
    "15.0 MB",
    "2.00 TB",
  ]);
  assert.deepEqual([0.2, 60, 185, 7800].map(shownTime), ["1s", "1m00s", "3m05s", "2h10m"]);
  await host.barrier();
});

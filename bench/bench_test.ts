import assert from "node:assert/strict";
import { benchBare } from "./bare.ts";
import { benchBulk } from "./bulk.ts";
import { benchCalls } from "./calls.ts";
import { coresOf, onCore, placed } from "./lib/cores.ts";
import { type BenchOptions, defaultOptions, parseOptions, transports } from "./lib/options.ts";
import { documentOf, renderDocument, renderReport, type Report } from "./lib/report.ts";
import { alternate, median, medianRatio } from "./lib/rounds.ts";
import { benchMemory } from "./memory.ts";
import { benchOneWay } from "./oneway.ts";
import { benchPeers } from "./peers.ts";
import { benchPriorities } from "./priorities.ts";
import { benchStart } from "./start.ts";
import { assertFigures } from "./testing.ts";
import { benchTracing } from "./tracing.ts";

/** So little that it says nothing, and shows that everything runs. */
const tiny: BenchOptions = {
  ...defaultOptions,
  seconds: 0.02,
  rounds: 1,
  inFlight: [2],
  links: 2,
  starts: 1,
};

Deno.test("the bench of the raw limits measures every kind of socket", async () => {
  const report = await benchBare(tiny);
  assert.deepEqual(
    report.rows.map(({ socket, body }) => `${socket}, ${body}`),
    ["memory", "Deno TCP", "node:net", "node:tls"].flatMap((socket) =>
      ["64 bytes", "MessagePack"].map((body) => `${socket}, ${body}`)
    ),
  );
  assertFigures(report, ["inFlight", "perSecond", "p50", "p99"]);
});

Deno.test("the bench of calls sets messages and typed calls beside a bare echo", async () => {
  const root = await Deno.makeTempDir();
  const usual = Deno.env.get("TMPDIR");
  Deno.env.set("TMPDIR", root); // So that whatever is left behind is this bench's.
  let report: Report;
  try {
    report = await benchCalls(tiny);
  } finally {
    if (usual === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", usual);
  }
  assert.deepEqual(
    report.rows.map(({ transport, what }) => `${transport}: ${what}`),
    transports.flatMap((transport) =>
      ["request", "typed call", "bare + MessagePack"].map((what) => `${transport}: ${what}`)
    ),
  );
  assertFigures(report, [
    "ratio",
    "perSecond",
    "barePerSecond",
    "cpu",
    "bareCpu",
    "p50",
    "bareP50",
    "p99",
    "bareP99",
  ]);
  await Deno.remove(root); // Refused unless it is empty.
});

Deno.test("the bench of memory tells what a node and a link cost", async () => {
  const report = await benchMemory(tiny);
  assert.deepEqual(report.rows.map((it) => it.what), [
    "an empty process",
    "a node, idle",
    "a bare server, 2 connections",
    "a node, 2 links",
    "a stalled peer: 200 senders that wait",
    "a stalled peer: 200 senders that do not wait",
  ]);
  assertFigures(report, ["resident", "sent"]);
});

Deno.test("the bench of one-way messages has a row for each promise and kind of socket", async () => {
  const report = await benchOneWay(tiny);
  assert.deepEqual(
    report.rows.map(({ transport, promised }) => `${transport}: ${promised}`),
    ["tcp", "tls"].flatMap((transport) =>
      ["best-effort", "high", "guaranteed"].map((promised) => `${transport}: ${promised}`)
    ),
  );
  assertFigures(report, ["perSecond", "barePerSecond", "ratio"]);
});

Deno.test("the bench of streams of bytes sets them beside a bare copy", async () => {
  const report = await benchBulk(tiny);
  assert.deepEqual(report.rows.map((it) => it.transport), ["tcp", "tls"]);
  assertFigures(report, ["ratio", "rate", "bareRate"]);
});

Deno.test("the bench of priorities tells what a stream and calls leave each other", async () => {
  const report = await benchPriorities({ ...tiny, transports: ["memory", "tcp"] });
  assert.deepEqual(report.rows.map(({ transport, calls }) => `${transport}: ${calls}`), [
    "tcp: every 3 ms",
    "tcp: back to back",
  ]);
  assertFigures(report, ["kept", "p50", "p99", "rate", "aloneRate", "aloneP50", "aloneP99"]);
});

Deno.test("the bench of peers measures those that are installed and names those that are not", async () => {
  const report = await benchPeers({ ...tiny, install: false });
  const names = report.rows.map((it) => String(it.peer));
  for (const name of tiny.peers) {
    assert.ok(names.some((it) => it.toLowerCase().startsWith(name)), `${name} is in no row`);
  }
  const measured = report.rows.filter((it) => it.inFlight !== undefined);
  if (measured.length > 0) {
    assertFigures({ ...report, rows: measured }, ["ratio", "perSecond", "theirPerSecond"]);
  }
  for (const { what, ratio } of report.rows) {
    if (ratio === undefined) assert.match(String(what), /^skipped: .+/);
  }
});

Deno.test("the bench of tracing sets it, unused and in use, beside a node without it", async () => {
  const report = await benchTracing(tiny);
  assert.deepEqual(report.rows.map((it) => it.side), ["absent", "off", "on"]);
  assertFigures(report, ["inFlight", "ratio", "perSecond"]);
});

Deno.test("processes are placed on cores where the system lets us, and the report says where", () => {
  assert.deepEqual(coresOf("free"), {});
  assert.match(placed("free"), /by the system/);
  assert.deepEqual(onCore(undefined, ["echo"]), ["echo"]);
  assert.deepEqual(onCore(1, ["echo", "it"]), ["taskset", "-c", "1", "echo", "it"]);
  const apart = coresOf("apart");
  if (apart.server !== undefined) {
    assert.notEqual(apart.server, apart.caller);
    assert.match(placed("together"), /on one core/);
  }
});

Deno.test("the bench of starts times an empty program, a program and the command line", async () => {
  const report = await benchStart(tiny);
  assert.deepEqual(report.rows.map((it) => it.what), [
    "an empty program",
    "createNode in a program",
    "mycnet node",
  ]);
  assertFigures(report, ["ms", "least", "ratio"]);
});

Deno.test("sides take turns, and every round begins with another one", async () => {
  const order: string[] = [];
  const side = (name: string) => () => Promise.resolve(order.push(name));
  const results = await alternate(2, { ours: side("ours"), bare: side("bare") });
  assert.deepEqual(order, ["ours", "bare", "bare", "ours"]);
  assert.deepEqual(results, { ours: [1, 4], bare: [2, 3] });
});

Deno.test("medians are the middle, and ratios are taken round by round", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  // The second round met a machine half as fast, and both sides with it.
  assert.equal(medianRatio([50, 25, 60], [100, 50, 100]), 0.5);
});

Deno.test("options are read from arguments, and a wrong one is named", () => {
  assert.deepEqual(parseOptions([]), defaultOptions);
  assert.deepEqual(
    parseOptions(["--seconds", "0.5", "--inflight", "1,8", "--transports", "tcp,tls", "--json"]),
    { ...defaultOptions, seconds: 0.5, inFlight: [1, 8], transports: ["tcp", "tls"], json: true },
  );
  assert.throws(() => parseOptions(["--seconds", "soon"]), /--seconds: a number from 0.01/);
  assert.throws(() => parseOptions(["--inflight", "1,many"]), /--inflight: a number from 1/);
  assert.deepEqual(parseOptions(["--peers", "nats,erlang", "--no-install"]).peers, [
    "nats",
    "erlang",
  ]);
  assert.equal(parseOptions(["--placement", "together"]).placement, "together");
  assert.equal(parseOptions(["--minutes", "0.5"]).minutes, 0.5);
  assert.throws(() => parseOptions(["--placement", "here"]), /--placement: some of apart,/);
  assert.throws(() => parseOptions(["--minutes", "0"]), /--minutes: a number from 0.01/);
  assert.deepEqual(parseOptions(["--members", "10,100"]).members, [10, 100]);
  assert.throws(() => parseOptions(["--members", "10,2"]), /--members: a number from 3/);
  assert.throws(() => parseOptions(["--transports", "carrier-pigeon"]), /memory,tcp,tls expected/);
  assert.throws(() => parseOptions(["--secnds", "1"]), /secnds/);
});

Deno.test("a report reads as a table, figures to the right, and names its machine", () => {
  const report: Report = {
    bench: "example",
    what: "what it is",
    columns: [{ key: "what", title: "what" }, { key: "perSecond", title: "calls/s" }],
    rows: [{ what: "ours", perSecond: 1234567 }, { what: "none" }, {
      what: "few",
      perSecond: 0.123,
    }],
  };
  assert.deepEqual(renderReport(report).split("\n"), [
    "",
    "example: what it is",
    "",
    "| what |   calls/s |",
    "| ---- | --------: |",
    "| ours | 1,234,567 |",
    "| none |           |",
    "| few  |     0.123 |",
  ]);
  const text = renderDocument(documentOf([report], { before: [1, 2, 3], after: [4, 5, 6] }));
  assert.match(text, /^Deno \d+\.\d+.* cores, /);
  assert.match(text, /load average before 1 2 3, after 4 5 6/);
});

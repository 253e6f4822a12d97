import assert from "node:assert/strict";
import type { LoadReport } from "./reports.ts";
import { conclusion, progressLine, screen } from "./view.ts";

const load: LoadReport = {
  kind: "load",
  at: 0,
  made: 12_345,
  answered: 12_300,
  retried: 7,
  failed: 2,
  perSecond: 4000,
  p50Ms: 0.62,
  p99Ms: 12.4,
  byNode: { oak: 1234 },
  links: [{
    node: "oak",
    type: "sclerotia",
    transport: "tls",
    health: "healthy",
    profile: "lightweight",
    encryption: "standard",
    roundTripMs: 1.25,
  }],
  firstFailure: "oh",
};
const plain = (_style: unknown, text: string) => text;

Deno.test("the screen shows each node with its link, the load, what happened and what is going on", () => {
  const lines = screen({
    title: "the title",
    nodes: [
      { id: "oak", type: "sclerotia", pid: 42, up: true },
      { id: "elm", type: "sclerotia", pid: 43, up: false },
    ],
    load,
    timeline: [{ moment: "kill", afterMs: 0, text: "kill -9 elm" }],
    status: "running on",
  }, plain);
  assert.equal(lines[0], "the title");
  const [oak, elm] = ["oak", "elm"].map((id) => lines.find((it) => it.includes(` ${id} `))!);
  assert.match(oak, /^● oak +sclerotia +42 +tls +lightweight +standard +1\.3 ms +1,234$/);
  assert.match(elm, /^○ elm +sclerotia +gone +- +- +- +- +0$/);
  assert.ok(lines.includes("  4,000 calls/s   p50 0.6 ms   p99 12 ms"));
  assert.ok(lines.includes("  12,345 made, 12,300 answered, 7 retried, 2 failed"));
  assert.match(lines.at(-2)!, /\+0 ms {2}kill +kill -9 elm$/);
  assert.equal(lines.at(-1), "  running on");
  for (const line of lines) assert.ok(line.length <= 110, line);
});

Deno.test("before the first figures the screen shows the nodes alone", () => {
  const lines = screen(
    { title: "t", nodes: [], load: undefined, timeline: [], status: "s" },
    plain,
  );
  assert.ok(!lines.join("\n").includes("calls/s"));
});

Deno.test("a line of progress holds the figures of the last second", () => {
  assert.equal(
    progressLine(load),
    "12,300 answered, 4,000 calls/s, p50 0.6 ms, p99 12 ms, 7 retried, 2 failed",
  );
});

Deno.test("the end says whether all went well, and what did not", () => {
  const verdict = { made: 2, answered: 2, retried: 1, failed: 0, timeline: [] };
  const well = conclusion({ ...verdict, ok: true, problems: [] }, plain);
  assert.match(well.at(-1)!, /^The cluster survived/);
  const badly = conclusion({ ...verdict, ok: false, problems: ["no call"] }, plain);
  assert.deepEqual(badly.slice(-2), ["Problem: no call", "The demo failed."]);
});

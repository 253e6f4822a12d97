import assert from "node:assert/strict";
import type { LoadReport, Report } from "./reports.ts";
import { Story } from "./story.ts";

const load = (change: Partial<LoadReport> = {}): LoadReport => ({
  kind: "load",
  at: 0,
  made: 10,
  answered: 10,
  retried: 1,
  failed: 0,
  perSecond: 10,
  p50Ms: 1,
  p99Ms: 2,
  byNode: {},
  links: [],
  firstFailure: undefined,
  ...change,
});
const failedEvent = (about: string, at: number): Report => ({
  kind: "event",
  at,
  type: "node_failed",
  about,
});
const answer = (why: "rerouted" | "back", from: string, at: number): Report => ({
  kind: "answer",
  at,
  from,
  why,
  about: "b",
});

function wholeStory(): Story {
  const story = new Story("client");
  story.killed("b", 1000);
  story.report("client", failedEvent("b", 1004));
  story.report("client", answer("rerouted", "a", 1006));
  story.report("a", { kind: "event", at: 1400, type: "node_suspected", about: "b" });
  story.report("a", failedEvent("b", 1900));
  story.restarted(2000);
  story.report("client", answer("back", "b", 2500));
  story.report("client", load());
  return story;
}

Deno.test("a story with every moment and every answer is a good one, told relative to the kill", () => {
  const verdict = wholeStory().verdict();
  assert.equal(verdict.ok, true);
  assert.deepEqual(verdict.timeline.map((it) => [it.moment, it.afterMs]), [
    ["kill", 0],
    ["noticed", 4],
    ["rerouted", 6],
    ["suspected", 400],
    ["dead", 900],
    ["restarted", 1000],
    ["back", 1500],
  ]);
});

Deno.test("one failed call makes it a bad one, with the call's error", () => {
  const story = wholeStory();
  story.report("client", load({ answered: 9, failed: 1, firstFailure: "unavailable" }));
  const verdict = story.verdict();
  assert.equal(verdict.ok, false);
  assert.match(verdict.problems[0], /1 calls failed, the first with: unavailable/);
});

Deno.test("a call without an answer makes it a bad one", () => {
  const story = wholeStory();
  story.report("client", load({ answered: 7 }));
  assert.match(story.verdict().problems.join(), /3 calls were never answered/);
});

Deno.test("a node that does not come back makes it a bad one", () => {
  const story = new Story("client");
  story.killed("b", 1000);
  story.report("client", failedEvent("b", 1004));
  story.report("client", answer("rerouted", "a", 1006));
  story.restarted(2000);
  story.report("client", load());
  assert.deepEqual(story.verdict().problems, [
    '"suspected" never came',
    '"dead" never came',
    '"back" never came',
  ]);
});

Deno.test("what was reported before the kill, or about another node, tells nothing", () => {
  const story = new Story("client");
  story.report("client", failedEvent("b", 500));
  story.killed("b", 1000);
  story.report("client", failedEvent("c", 1004));
  assert.equal(story.has("noticed"), false);
});

Deno.test("an answer of the killed node that was still on its way is not its return", () => {
  const story = new Story("client");
  story.killed("b", 1000);
  story.report("client", answer("back", "b", 1002));
  assert.equal(story.has("back"), false);
});

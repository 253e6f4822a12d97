import assert from "node:assert/strict";
import { ask, post } from "../../../core/admin/fakes_test.ts";
import { GatewayFixture, refused } from "./fixture_test.ts";

Deno.test("a service that nobody serves is given a moment to return, of the call's own time", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  const { list } = fixture.node.services;
  const servers = list!();
  fixture.answers.hello = () => "Hello";
  const call = (headers: Record<string, string> = {}) => {
    fixture.node.services.list = () => [];
    return ask(app, "/services/greeter/hello", { method: "POST", headers });
  };
  await refused(await call(), 404, "not_found");
  assert.deepEqual(fixture.waits.at(-1), { service: "greeter", timeoutMs: 1000 });
  fixture.arrival = () => {
    fixture.node.services.list = () => servers;
    return Promise.resolve(true);
  };
  assert.equal(await (await call()).json(), "Hello");
  assert.equal(fixture.calls.at(-1)!.options.timeout, undefined);
  assert.equal(await (await call({ "mycnet-timeout": "300" })).json(), "Hello");
  assert.equal(fixture.waits.at(-1)!.timeoutMs, 300);
  const { timeout } = fixture.calls.at(-1)!.options;
  assert.ok(Number(timeout) >= 1 && Number(timeout) <= 300, `${timeout} ms are left`);
  // What is only described is not waited for.
  fixture.node.services.list = () => [];
  await refused(await ask(app, "/services/greeter"), 404, "not_found");
  assert.equal(fixture.waits.length, 3);
});

Deno.test("waiting for a service takes one of the places for calls, until the client leaves", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open({ maxCalls: 1 });
  const waiting = Promise.withResolvers<void>();
  fixture.arrival = (signal) => {
    waiting.resolve();
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(false)));
  };
  const client = new AbortController();
  const first = ask(app, "/services/nobody/hello", { ...post({}), signal: client.signal });
  await waiting.promise;
  await refused(await ask(app, "/services/greeter/hello", post({})), 429, "overloaded");
  client.abort();
  await refused(await first, 404, "not_found");
  fixture.answers.hello = () => "Hello";
  assert.equal((await ask(app, "/services/greeter/hello", post({}))).status, 200);
});

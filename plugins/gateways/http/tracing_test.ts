import assert from "node:assert/strict";
import { ask, post } from "../../../core/admin/fakes_test.ts";
import { carriedTrace, formatTraceparent } from "../../../core/node/tracing/mod.ts";
import { GatewayFixture } from "./fixture_test.ts";

const header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

Deno.test("a call belongs to the trace of its request, a stream too, and to none if the header is no good", async () => {
  await using fixture = new GatewayFixture();
  const seen: (string | undefined)[] = [];
  const note = () => {
    const trace = carriedTrace();
    seen.push(trace === undefined ? undefined : formatTraceparent(trace));
  };
  fixture.answers.hello = () => (note(), "hello");
  fixture.streams.tail = async function* () {
    note();
    yield "item";
  };
  const app = await fixture.open();
  const call = async (method: string, traceparent: string) => {
    const init = post({});
    const headers = new Headers(init.headers);
    headers.set("traceparent", traceparent);
    const response = await ask(app, `/services/greeter/${method}`, { ...init, headers });
    assert.equal(response.status, 200);
    await response.text();
  };
  await call("hello", header);
  await call("tail", header);
  await call("hello", `${header}-more`);
  assert.deepEqual(seen, [header, header, undefined]);
});

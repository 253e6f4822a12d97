import assert from "node:assert/strict";
import { ask, post, token } from "../../core/admin/fakes_test.ts";
import { MycnetError } from "../../core/kernel/errors.ts";
import httpGateway from "./http.ts";
import { GatewayFixture, refused } from "./http/fixture_test.ts";

Deno.test("services are listed without their schemas and described with them", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  const list = await (await ask(app, "/services")).json();
  assert.deepEqual(list.services[0].methods[0], {
    name: "hello",
    kind: "unary",
    idempotent: true,
  });
  const one = await (await ask(app, "/services/greeter")).json();
  assert.deepEqual(one.nodes, ["b", "c"]);
  assert.deepEqual(one.service.methods[0].input, { type: "object" });
});

Deno.test("a call goes through with its input and options, and its answer comes as JSON", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  fixture.answers.hello = (input) => `Hello, ${(input as { name: string }).name}`;
  const response = await ask(app, "/services/greeter/hello", {
    method: "POST",
    body: '{"name": "Ada"}',
    headers: {
      "content-type": "application/json",
      "mycnet-timeout": "2s",
      "mycnet-priority": "high",
      "mycnet-node": "b",
      "mycnet-attempts": "2",
      "mycnet-meta-tenant": "caf%C3%A9",
    },
  });
  assert.equal(response.status, 200);
  assert.equal(await response.json(), "Hello, Ada");
  const [{ options: { signal, ...options } }] = fixture.calls;
  assert.ok(signal instanceof AbortSignal);
  assert.deepEqual(options, {
    timeout: 2000,
    priority: "high",
    node: "b",
    attempts: 2,
    metadata: { tenant: "café" },
  });
});

Deno.test("no body is no input, and no answer is null", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  fixture.answers.hello = () => undefined;
  const response = await ask(app, "/services/greeter/hello", { method: "POST" });
  assert.equal(await response.json(), null);
  assert.equal(fixture.calls[0].input, undefined);
});

Deno.test("bytes and big integers travel wrapped, both ways", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  fixture.answers.hello = (input) => ({ back: input, big: 2n ** 70n });
  const sent = post('{"data": {"$bytes": "aGk="}}');
  const response = await ask(app, "/services/greeter/hello", sent);
  assert.deepEqual(fixture.calls[0].input, { data: new TextEncoder().encode("hi") });
  assert.deepEqual(await response.json(), {
    back: { data: { $bytes: "aGk=" } },
    big: { $bigint: "1180591620717411303424" },
  });
});

Deno.test("every failure of a call has its status, and says whether the call may have run", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  const statuses = {
    not_found: 404,
    invalid_argument: 400,
    unavailable: 503,
    deadline_exceeded: 504,
    overloaded: 429,
    application: 422,
    permission_denied: 403,
    unauthenticated: 401,
    internal: 500,
  } as const;
  for (const [code, status] of Object.entries(statuses)) {
    fixture.answers.hello = () => {
      throw Object.assign(new MycnetError(code as keyof typeof statuses, `it is ${code}`), {
        mayHaveRun: true,
        attempts: 2,
        errorName: "Odd",
        data: { bytes: new Uint8Array([1]) },
        details: [{ path: ["name"], message: "too short" }],
      });
    };
    const document = await refused(
      await ask(app, "/services/greeter/hello", post({})),
      status,
      code,
    );
    assert.equal(document.mayHaveRun, true);
    assert.equal(document.attempts, 2);
    assert.equal(document.error, "Odd");
    assert.deepEqual(document.data, { bytes: { $bytes: "AQ==" } });
    assert.deepEqual(document.errors, [{ field: "name", message: "too short" }]);
  }
});

Deno.test("what makes no sense is refused with the field or the nearest name", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  const header = (name: string, value: string) =>
    ask(app, "/services/greeter/hello", { method: "POST", headers: { [name]: value } });
  for (
    const [name, value] of [
      ["mycnet-timeout", "soon"],
      ["mycnet-priority", "urgent"],
      ["mycnet-attempts", "0"],
      ["mycnet-attempts", "256"],
      ["mycnet-meta-x", "%ff"],
    ]
  ) {
    const { detail } = await refused(await header(name, value), 400, "invalid_argument");
    assert.match(detail, new RegExp(name));
  }
  const crowd = Object.fromEntries(
    Array.from({ length: 65 }, (_, at) => [`mycnet-meta-k${at}`, "v"]),
  );
  const crowded = await ask(app, "/services/greeter/hello", { method: "POST", headers: crowd });
  assert.match((await refused(crowded, 400, "invalid_argument")).detail, /at most 64/);
  const hint = async (path: string) =>
    (await refused(await ask(app, path, post({})), 404, "not_found")).detail;
  assert.match(await hint("/services/greter/hello"), /did you mean "greeter"/);
  assert.match(await hint("/services/greeter/helo"), /did you mean "hello"/);
  assert.match(await hint("/services/greeter/hello/more"), /\/services\/\{name\}\/\{method\}/);
  const get = await ask(app, "/services/greeter/hello");
  assert.equal(get.headers.get("allow"), "POST");
  await refused(get, 405, "method_not_allowed");
  const notJson = await ask(app, "/services/greeter/hello", post("{"));
  await refused(notJson, 400, "invalid_argument");
  const badBytes = await ask(app, "/services/greeter/hello", post('{"a":[{"$bytes":"!"}]}'));
  assert.match(
    (await refused(badBytes, 400, "invalid_argument")).detail,
    /body\.a\.0\.\$bytes: must be base64/,
  );
  assert.equal(fixture.calls.length, 0);
});

Deno.test("a stream comes as events, item by item, then end", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  fixture.streams.tail = async function* () {
    yield "one";
    yield { n: 2n };
  };
  const response = await ask(app, "/services/greeter/tail", {
    ...post({ file: "x" }),
    headers: { "content-type": "application/json", accept: "text/event-stream" },
  });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  assert.equal(
    await response.text(),
    'event: item\ndata: "one"\n\nevent: item\ndata: {"n":{"$bigint":"2"}}\n\nevent: end\ndata: {}\n\n',
  );
});

Deno.test("a stream is refused to a client that does not take events", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  for (const accept of ["application/json", "text/event-stream;q=0"]) {
    const response = await ask(app, "/services/greeter/tail", {
      ...post({}),
      headers: { "content-type": "application/json", accept },
    });
    const { detail } = await refused(response, 406, "not_acceptable");
    assert.match(detail, /text\/event-stream/);
  }
});

Deno.test("a stream that fails at once has a status; one that fails later ends with an error event", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  // deno-lint-ignore require-yield -- it fails before its first item.
  fixture.streams.tail = async function* () {
    throw new MycnetError("unavailable", "nobody serves it");
  };
  await refused(await ask(app, "/services/greeter/tail", post({})), 503, "unavailable");
  fixture.streams.tail = async function* () {
    yield 1;
    throw new MycnetError("link_lost", "the link broke");
  };
  const events = await (await ask(app, "/services/greeter/tail", post({}))).text();
  const [item, error] = events.trimEnd().split("\n\n");
  assert.equal(item, "event: item\ndata: 1");
  assert.match(error, /^event: error\ndata: \{.*"code":"link_lost"/);
});

Deno.test("an item that JSON cannot hold ends the stream with an error, and the call with it", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  let returned = false;
  fixture.streams.tail = async function* () {
    try {
      yield () => {};
      yield 2;
    } finally {
      returned = true;
    }
  };
  const events = await (await ask(app, "/services/greeter/tail", post({}))).text();
  assert.match(events, /^event: error\ndata: .*no form in JSON/);
  assert.equal(returned, true);
});

Deno.test("a client that stops reading a stream cancels the call", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  const ended = Promise.withResolvers<unknown>();
  fixture.streams.tail = async function* (_, { signal }) {
    yield 1;
    await new Promise((resolve) => signal!.addEventListener("abort", resolve));
    ended.resolve(signal!.reason.code);
    throw signal!.reason;
  };
  const response = await ask(app, "/services/greeter/tail", post({}));
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  assert.equal(await ended.promise, "cancelled");
});

Deno.test("over a socket, a client that goes away cancels its unary call", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using fixture = new GatewayFixture();
    fixture.node.stateDir = folder;
    await fixture.open();
    const app = await fixture.run({ bindAddress: "127.0.0.1:0", token }, [
      { id: "http-gateway", plugin: httpGateway },
    ]);
    const client = new AbortController();
    const ended = Promise.withResolvers<unknown>();
    fixture.answers.hello = async (_, { signal }) => {
      client.abort();
      await new Promise((resolve) => signal!.addEventListener("abort", resolve));
      ended.resolve(signal!.reason.code);
      throw signal!.reason;
    };
    const gone = fetch(`${app.address}/services/greeter/hello`, {
      method: "POST",
      body: "{}",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      signal: client.signal,
    });
    await assert.rejects(gone, { name: "AbortError" });
    assert.equal(await ended.promise, "cancelled");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("calls under way are bounded, and the bound is given back", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open({ maxCalls: 1 });
  const answer = Promise.withResolvers<unknown>();
  fixture.answers.hello = () => answer.promise;
  const first = ask(app, "/services/greeter/hello", post({}));
  await refused(await ask(app, "/services/greeter/hello", post({})), 429, "overloaded");
  answer.resolve("done");
  assert.equal(await (await first).json(), "done");
  assert.equal((await ask(app, "/services/greeter/hello", post({}))).status, 200);
  const failing = await ask(app, "/services/greeter/hello", post("{"));
  assert.equal(failing.status, 400);
  await failing.body?.cancel();
  assert.equal((await ask(app, "/services/greeter/hello", post({}))).status, 200);
});

Deno.test("the gateway's end cancels what is under way", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  const begun = Promise.withResolvers<void>();
  fixture.answers.hello = (_, { signal }) =>
    new Promise((_, reject) => {
      signal!.addEventListener("abort", () => reject(signal!.reason));
      begun.resolve();
    });
  const call = ask(app, "/services/greeter/hello", post({}));
  await begun.promise;
  await fixture.runPure();
  await refused(await call, 503, "closed");
});

Deno.test("an upload is newline-delimited JSON, its input on the first line", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  fixture.answers.sum = async (input, { upload }) => {
    let total = input as number;
    for await (const item of upload!) total += item as number;
    return total;
  };
  const send = (body: string, type = "application/x-ndjson") =>
    ask(app, "/services/greeter/sum", { method: "POST", body, headers: { "content-type": type } });
  assert.equal(await (await send("100\n1\n\n2\n3")).json(), 106);
  await refused(await send("100", "application/json"), 415, "unsupported_media_type");
  const { detail } = await refused(await send("100\n1\n{\n"), 400, "invalid_argument");
  assert.match(detail, /^line 3: /);
});

Deno.test("a duplex method takes lines and gives events", async () => {
  await using fixture = new GatewayFixture();
  const app = await fixture.open();
  fixture.streams.echo = async function* (_, { upload }) {
    for await (const item of upload!) yield item;
  };
  const response = await ask(app, "/services/greeter/echo", {
    method: "POST",
    body: "null\n1\n2\n",
    headers: { "content-type": "application/x-ndjson" },
  });
  assert.equal(
    await response.text(),
    "event: item\ndata: 1\n\nevent: item\ndata: 2\n\nevent: end\ndata: {}\n\n",
  );
});

import assert from "node:assert/strict";
import type { Admin, AdminRoutes } from "../contracts/admin.ts";
import { MycnetError } from "../kernel/errors.ts";
import { AdminFixture, ask, peer, post, routesPlugin, token } from "./fakes_test.ts";
import type { Problem } from "./problem.ts";

/** Asserts a problem document. */
async function refused(response: Response, status: number, code: string): Promise<Problem> {
  const document = await response.json();
  assert.equal(response.status, status, JSON.stringify(document));
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(document.status, status);
  assert.equal(document.code, code);
  assert.equal(document.type, `urn:mycnet:error:${code}`);
  for (const member of ["title", "detail", "remedy"]) {
    assert.ok(document[member].length > 0, member);
  }
  return document;
}

async function answer(app: Admin, path: string, init?: RequestInit): Promise<unknown> {
  const response = await ask(app, path, init);
  const value = await response.json();
  assert.equal(response.status, 200, JSON.stringify(value));
  assert.equal(response.headers.get("cache-control"), "no-store");
  return value;
}

Deno.test("without the token every path is refused alike, whether it exists or not", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure();
  for (const path of ["/api/v1/network/health", "/api/v1/network/leave", "/nowhere", "/"]) {
    for (const authorization of ["", "Bearer wrong", `Basic ${token}`, `Bearer ${token}x`]) {
      const response = await app.fetch(
        new Request(`http://localhost${path}`, { headers: authorization ? { authorization } : {} }),
      );
      assert.equal(response.headers.get("www-authenticate"), 'Bearer realm="mycnet"');
      await refused(response, 401, "unauthenticated");
    }
  }
});

Deno.test("probes are open, empty, and tell whether the node serves", async () => {
  await using fixture = new AdminFixture();
  const { node } = fixture;
  const app = await fixture.runPure();
  const probe = async (path: string) => {
    const response = await app.fetch(new Request(`http://lb.example${path}`));
    assert.equal(await response.text(), "");
    return response.status;
  };
  assert.equal(await probe("/livez"), 200);
  assert.equal(await probe("/readyz"), 200);
  node.health = { status: "degraded", reasons: ["x"], reports: {} };
  assert.equal(await probe("/readyz"), 200);
  node.health = { status: "unhealthy", reasons: ["x"], reports: {} };
  assert.equal(await probe("/readyz"), 503);
  node.health = { status: "healthy", reasons: [], reports: {} };
  node.ready = false;
  assert.equal(await probe("/readyz"), 503);
  assert.equal(await probe("/livez"), 200);
});

Deno.test("health adds this node and its peers up, and forgets those that left", async () => {
  await using fixture = new AdminFixture();
  const { node } = fixture;
  const app = await fixture.runPure();
  node.peers.known.push(peer("b"), peer("gone", { state: "left" }));
  assert.deepEqual(await answer(app, "/api/v1/network/health"), {
    status: "healthy",
    reasons: [],
    node: { id: "a", ready: true, status: "healthy", reasons: [], reports: {} },
    members: { healthy: 2, degraded: 0, unhealthy: 0 },
    unhealthyNodes: [],
  });
  node.peers.known.push(peer("c", { state: "dead" }), peer("d", { health: "degraded" }));
  const health = await answer(app, "/api/v1/network/health") as Record<string, unknown>;
  assert.equal(health.status, "degraded");
  assert.deepEqual(health.reasons, ["c: dead", "d: degraded"]);
  assert.deepEqual(health.members, { healthy: 2, degraded: 1, unhealthy: 1 });
  assert.deepEqual(health.unhealthyNodes, ["c"]);
});

Deno.test("the health of one node is its own reports, or what is known of the peer", async () => {
  await using fixture = new AdminFixture();
  fixture.node.peers.known.push(peer("b", { state: "suspect" }));
  const app = await fixture.runPure();
  assert.deepEqual(await answer(app, "/api/v1/network/node/a/health"), {
    id: "a",
    state: "alive",
    ready: true,
    status: "healthy",
    reasons: [],
    reports: {},
  });
  assert.deepEqual(await answer(app, "/api/v1/network/node/b/health"), {
    id: "b",
    state: "suspect",
    status: "healthy",
    reasons: ["it is suspect"],
    lastSeen: 5,
    links: [{ id: "b-1", health: "healthy", roundTripMs: 2 }],
  });
  await refused(await ask(app, "/api/v1/network/node/zz/health"), 404, "unknown_peer");
});

Deno.test("peers are listed, and told one by one", async () => {
  await using fixture = new AdminFixture();
  fixture.node.peers.known.push(peer("b"));
  const app = await fixture.runPure();
  assert.deepEqual(await answer(app, "/api/v1/network/peers"), { peers: [peer("b")] });
  assert.deepEqual(await answer(app, "/api/v1/network/peers/b"), peer("b"));
  await refused(await ask(app, "/api/v1/network/peers/zz"), 404, "unknown_peer");
});

Deno.test("the topology names members, and links by who dialled", async () => {
  await using fixture = new AdminFixture();
  const b = peer("b");
  fixture.node.peers.known.push(
    { ...b, links: [b.links[0], { ...b.links[0], id: "b-2", direction: "accepted" }] },
    peer("c", { state: "dead", links: [] }),
  );
  const app = await fixture.runPure();
  const found = await answer(app, "/api/v1/network/topology") as {
    localNode: string;
    clusterSize: number;
    members: { id: string; address: string; state: string }[];
    links: { id: string; from: string; to: string; profile: string }[];
  };
  assert.equal(found.localNode, "a");
  assert.equal(found.clusterSize, 2);
  assert.deepEqual(found.members.map(({ id, address, state }) => [id, address, state]), [
    ["a", "a.example:7000", "alive"],
    ["b", "tls://b:7000", "alive"],
    ["c", "tls://c:7000", "dead"],
  ]);
  assert.deepEqual(found.links.map(({ id, from, to }) => [id, from, to]), [
    ["b-1", "a", "b"],
    ["b-2", "b", "a"],
  ]);
  assert.equal(found.links[0].profile, "high-performance");
});

Deno.test("stats are sums over links and the node's metrics", async () => {
  await using fixture = new AdminFixture();
  fixture.node.peers.known.push(peer("b"), peer("c"));
  const app = await fixture.runPure();
  const found = await answer(app, "/api/v1/network/stats") as Record<string, unknown>;
  assert.equal(found.node, "a");
  assert.deepEqual(found.links, {
    up: 2,
    exchanges: 6,
    bytesSent: 20,
    bytesReceived: 40,
    messagesSent: 2,
    messagesReceived: 4,
    averageRoundTripMs: 2,
  });
  assert.deepEqual(found.metrics, { communication: { messages_sent: 7 } });
  assert.ok(found.uptimeMs as number > 0);
});

Deno.test("plugins and services are told as the node has them", async () => {
  await using fixture = new AdminFixture();
  const list = [{ service: { name: "greeter", version: 1, methods: [] }, nodes: ["b"] }];
  fixture.node.services = { list: () => list };
  const app = await fixture.runPure();
  assert.deepEqual(await answer(app, "/api/v1/network/plugins"), {
    plugins: [{ id: "tls", plugin: "tls", provides: "transport", startMs: 1.5 }],
  });
  assert.deepEqual(await answer(app, "/api/v1/services"), { services: list });
});

Deno.test("join tells of every seed who answered, or why nobody did", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure();
  fixture.node.reachable.set("10.0.0.1:7000", "b");
  const seeds = ["10.0.0.1:7000", "tls://10.0.0.2:7000"];
  const joined = await answer(app, "/api/v1/network/join", post({ seed_nodes: seeds }));
  assert.deepEqual(joined, {
    success: true,
    seeds: [
      { address: "10.0.0.1:7000", ok: true, node: "b" },
      {
        address: "tls://10.0.0.2:7000",
        ok: false,
        code: "unreachable",
        message: "nothing answers at tls://10.0.0.2:7000",
      },
    ],
    clusterSize: 1,
  });
  const response = await ask(app, "/api/v1/network/join", post({ seed_nodes: ["nowhere:1"] }));
  assert.equal(response.headers.get("retry-after"), "1");
  const { detail } = await refused(response, 503, "unreachable");
  assert.match(detail, /nothing answers at nowhere:1/);
});

Deno.test("bad input is a 400 that names the field", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure();
  const cases: [unknown, RegExp, string][] = [
    ["{nope", /body: not JSON/, "body"],
    [{}, /seed_nodes/, "seed_nodes"],
    [{ seed_nodes: [] }, /seed_nodes: name at least one seed/, "seed_nodes"],
    [
      { seed_nodes: ["a:1", "b"] },
      /seed_nodes\.1: "b" is no address: write host:port/,
      "seed_nodes.1",
    ],
    [{ seed_nodes: ["a:1"], extra: 1 }, /extra/, ""],
    [{ seed_nodes: Array(65).fill("a:1") }, /at most 64/, "seed_nodes"],
  ];
  for (const [body, detail, field] of cases) {
    const response = await ask(app, "/api/v1/network/join", post(body));
    const document = await refused(response, 400, "invalid_argument");
    assert.match(document.detail, detail);
    assert.equal(document.errors?.[0].field, field);
  }
  const xml = await ask(app, "/api/v1/network/join", {
    method: "POST",
    body: "<seed/>",
    headers: { "content-type": "application/xml" },
  });
  await refused(xml, 415, "unsupported_media_type");
});

Deno.test("leave answers before the node goes", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure();
  const response = await ask(app, "/api/v1/network/leave", post({ reason: "maintenance" }));
  assert.equal(response.status, 202);
  assert.deepEqual(await response.json(), { leaving: true, reason: "maintenance" });
  assert.deepEqual(fixture.node.left, ["maintenance"]);
});

Deno.test("a wrong method is a 405 that names the right ones, an unknown path a 404", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure();
  const cases = [["/api/v1/network/peers/b", "GET"], ["/api/v1/network/join", "POST"]];
  for (const [path, allow] of cases) {
    const response = await ask(app, path, { method: "DELETE" });
    assert.equal(response.headers.get("allow"), allow);
    await refused(response, 405, "method_not_allowed");
  }
  await refused(await ask(app, "/api/v1/nowhere"), 404, "not_found");
  await refused(await ask(app, "/api/v1/network/peers/%ff"), 404, "unknown_peer");
});

Deno.test("only loopback and listed names are taken as Host", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure([], { allowedHosts: ["Admin.Example"] });
  const status = async (host: string) => {
    const response = await ask(app, "/api/v1/network/peers", { headers: { host } });
    return response.status === 421
      ? (await refused(response, 421, "host_refused")).status
      : response.status;
  };
  for (
    const host of ["localhost", "localhost:7080", "127.0.0.1:1", "[::1]:7080", "admin.example:80"]
  ) assert.equal(await status(host), 200, host);
  for (
    const host of [
      "evil.example",
      "10.0.0.1:7080",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
    ]
  ) assert.equal(await status(host), 421, host);
});

Deno.test("a body beyond 1 MiB is refused, however it is sent", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure();
  const megabyte = " ".repeat(1024 * 1024);
  const chunked = await ask(app, "/api/v1/network/join", post(`${megabyte}{}`));
  await refused(chunked, 413, "too_large");
  const declared = await ask(app, "/api/v1/network/join", {
    ...post("{}"),
    headers: { "content-type": "application/json", "content-length": "1048577" },
  });
  await refused(declared, 413, "too_large");
});

function group(path: string, fetch: AdminRoutes["fetch"], open?: boolean): AdminRoutes {
  return { path, fetch, ...(open === undefined ? {} : { open }) };
}

const text = (body: string) => () => new Response(body);

Deno.test("a group that takes bodies of any length gets them as they come, and no other group does", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure();
  const size = async (request: Request) => new Response(`${(await request.bytes()).length}`);
  const bytes = new Uint8Array(2 * 1024 * 1024);
  const large = routesPlugin("large", { ...group("/large", size), unboundedBodies: true });
  const small = routesPlugin("small", group("/small", size));
  await fixture.runPure([{ id: "large", plugin: large }, { id: "small", plugin: small }]);
  const put = { method: "PUT", body: bytes };
  assert.equal(await (await ask(app, "/large/x", put)).text(), `${bytes.length}`);
  await refused(await ask(app, "/small/x", put), 413, "too_large");
  await refused(
    await ask(app, "/api/v1/network/join", { ...put, method: "POST" }),
    413,
    "too_large",
  );
  // A group that overlaps would need a copy of the body; then the limit is that of all.
  const both = routesPlugin("both", group("/", size));
  await fixture.runPure([{ id: "large", plugin: large }, { id: "both", plugin: both }]);
  await refused(await ask(app, "/large/x", put), 413, "too_large");
});

Deno.test("routes of plugins come and go while the endpoint answers", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure();
  await refused(await ask(app, "/x/1"), 404, "not_found");
  const x = routesPlugin("x", group("/x", text("x")));
  assert.equal(await fixture.runPure([{ id: "x", plugin: x }]), app, "admin was not restarted");
  assert.equal(await (await ask(app, "/x/1")).text(), "x");
  assert.equal(await (await ask(app, "/x")).text(), "x");
  await refused(await ask(app, "/xy"), 404, "not_found");
  await fixture.runPure();
  await refused(await ask(app, "/x/1"), 404, "not_found");
});

Deno.test("a group's 404 passes on to the next, with the body whole; the first 404 wins at last", async () => {
  await using fixture = new AdminFixture();
  const first = group("/g", async (request) => {
    if (await request.text() === "mine") return new Response("first");
    throw new MycnetError("not_found", "first knows it not");
  });
  const second = group("/g/sub", async (request) => {
    const body = await request.text();
    return new Response(body, { status: body === "yours" ? 200 : 404 });
  });
  const app = await fixture.runPure([
    { id: "first", plugin: routesPlugin("first", first) },
    { id: "second", plugin: routesPlugin("second", second) },
  ]);
  const send = (body: string) => ask(app, "/g/sub/1", { method: "POST", body });
  assert.equal(await (await send("mine")).text(), "first");
  assert.equal(await (await send("yours")).text(), "yours");
  const { detail } = await refused(await send("nobody's"), 404, "not_found");
  assert.equal(detail, "first knows it not");
});

Deno.test("an open group asks for no token, but for a proper Host", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure([
    { id: "m", plugin: routesPlugin("m", group("/metrics", text("1"), true)) },
  ]);
  const fetch = (url: string) => app.fetch(new Request(url));
  assert.equal(await (await fetch("http://localhost/metrics")).text(), "1");
  await refused(await fetch("http://evil.example/metrics"), 421, "host_refused");
});

Deno.test("what a group throws without a code of ours is an internal error whose text stays in the log", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure([{
    id: "bad",
    plugin: routesPlugin(
      "bad",
      group("/bad", () => {
        throw new Error("secret detail");
      }),
    ),
  }]);
  const { detail } = await refused(await ask(app, "/bad"), 500, "internal");
  assert.doesNotMatch(detail, /secret/);
  const line = fixture.node.logged.find((it) => it.message === "A request failed");
  assert.match(String(line?.fields.error), /secret detail/);
});

Deno.test("a group at a path that is no path is left out and reported", async () => {
  await using fixture = new AdminFixture();
  const app = await fixture.runPure([
    { id: "odd", plugin: routesPlugin("odd", group("/:any", text("odd"))) },
  ]);
  await refused(await ask(app, "/thing"), 404, "not_found");
  assert.ok(fixture.node.logged.some((it) => it.fields.path === "/:any"));
});

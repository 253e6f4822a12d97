import assert from "node:assert/strict";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { Connection, Transport } from "../../core/contracts/transport.ts";
import { maxHandshakes } from "./tls/listener.ts";
import { RecordingEnd } from "../../tests/conformance/ends.ts";
import { transportConformance } from "../../tests/conformance/transport.ts";
import { bareIdentity, type TestAuthority, testAuthority } from "../../tests/harness/authority.ts";
import { clusterTest } from "../../tests/harness/leaks.ts";
import { freePort } from "../../tests/harness/ports.ts";
import { testSettings } from "../../tests/harness/settings.ts";
import { type StartedPlugin, startPlugin } from "../../tests/harness/start_plugin.ts";
import tls from "./tls.ts";

const cluster = await testAuthority(["node-a", "node-b"]);
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());

transportConformance({
  name: "tls",
  plugin: tls,
  needs: async (id) => ({ identity: bareIdentity(await cluster.credentials(id)) }),
  nobody: () => `127.0.0.1:${freePort()}`,
  listenAt: (bindAddress) => ({ bindAddress }),
});

/** Starts the transport with a node's certificate as it is, good or bad. */
async function start(
  authority: TestAuthority,
  id: string,
  config: Record<string, unknown> = {},
): Promise<StartedPlugin<Transport>> {
  return await startPlugin(tls, {
    config,
    needs: {
      settings: testSettings({ id, stateDir: authority.stateDir, baseDir: authority.stateDir }),
      identity: bareIdentity(await authority.credentials(id)),
    },
  });
}

function portOf({ value }: StartedPlugin<Transport>): number {
  return Number(new URL(value.addresses[0]!.replace("tls:", "http:")).port);
}

const addressOf = (it: StartedPlugin<Transport>) => `127.0.0.1:${portOf(it)}`;

const options = () => ({ signal: new AbortController().signal, timeoutMs: 5000 });

/** Both ends of a new connection, opened, the dialler's first. */
async function pair(
  from: StartedPlugin<Transport>,
  to: StartedPlugin<Transport>,
): Promise<[RecordingEnd, RecordingEnd]> {
  const accepted = nextOf(to);
  const near = await from.value.dial(addressOf(to), options());
  return [new RecordingEnd(near), new RecordingEnd(await accepted)];
}

/** The next inbound connection. */
function nextOf(to: StartedPlugin<Transport>): Promise<Connection> {
  return new Promise((resolve) => {
    const accepting = to.value.accept((connection) => {
      // Not within `accept`, where there is no subscription yet.
      queueMicrotask(() => accepting[Symbol.dispose]());
      resolve(connection);
    });
  });
}

function reasonOf({ connection: { authentication } }: RecordingEnd): string {
  assert.equal(authentication.kind, "rejected");
  return (authentication as { readonly reason: string }).reason;
}

const ended = (socket: Socket) =>
  new Promise<void>((resolve) => {
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    socket.resume();
  });

clusterTest("tls names both ends by their certificates", async () => {
  await using authority = await testAuthority(["node-a"]);
  await authority.issue([{ id: "client", type: "hyphae" }], { nodeDays: 7 });
  await using a = await start(authority, "node-a");
  await using b = await start(authority, "client");
  const [near, far] = await pair(b, a);
  assert.deepEqual(
    { ...near.connection.authentication, expiresAt: undefined },
    {
      kind: "verified",
      principal: { cluster: "test", type: "sclerotia", id: "node-a" },
      expiresAt: undefined,
    },
  );
  assert.equal(far.connection.authentication.kind, "verified");
  const { principal, expiresAt } = far.connection.authentication as Extract<
    Connection["authentication"],
    { kind: "verified" }
  >;
  assert.deepEqual(principal, { cluster: "test", type: "hyphae", id: "client" });
  const days = (expiresAt - Date.now()) / 86_400_000;
  assert.ok(days > 6.9 && days <= 7, `${days} days`);
  assert.equal(near.connection.encryption, "standard");
});

clusterTest(
  "tls marks a foreign certificate as rejected, on both ends, and still carries bytes",
  async () => {
    await using ours = await testAuthority(["node-a"]);
    await using theirs = await testAuthority(["node-b"]);
    await using a = await start(ours, "node-a");
    await using b = await start(theirs, "node-b");
    const [near, far] = await pair(b, a);
    assert.match(reasonOf(far), /foreign authority \("CN=mycnet test root"\)/);
    assert.match(reasonOf(near), /foreign authority/);
    await far.write(new TextEncoder().encode("refused"));
    await near.received(7);
    assert.equal(new TextDecoder().decode(near.bytes), "refused");
  },
);

for (
  const [what, aheadDays, reason] of [
    ["an expired", -30, /it has expired: valid until \d{4}-.*, and the clock here says/],
    ["a not yet valid", 30, /it is not valid yet: valid from \d{4}-/],
  ] as const
) {
  clusterTest(`tls rejects ${what} certificate and says so`, async () => {
    await using authority = await testAuthority(["node-a"]);
    await authority.issue([{ id: "odd", type: "sclerotia" }], { aheadDays, nodeDays: 20 });
    await using a = await start(authority, "node-a");
    await using odd = await start(authority, "odd");
    const [near, far] = await pair(odd, a);
    assert.match(reasonOf(far), reason);
    assert.equal(near.connection.authentication.kind, "verified");
    const [back] = await pair(a, odd);
    assert.match(reasonOf(back), reason);
  });
}

clusterTest("tls rejects an authority's certificate in place of a node's", async () => {
  await using authority = await testAuthority(["node-a"]);
  await using a = await start(authority, "node-a");
  const [ca, key] = await Promise.all(
    ["ca.pem", "ca.key"].map((name) => Deno.readTextFile(`${authority.stateDir}/${name}`)),
  );
  await using b = await startPlugin(tls, {
    needs: {
      settings: testSettings({ bindAddress: undefined }),
      identity: bareIdentity({ certificate: ca!, privateKey: key!, authorities: ca! }),
    },
  });
  const [, far] = await pair(b, a);
  assert.match(reasonOf(far), /authority's certificate, not a node's/);
});

clusterTest(
  "tls rejects a client without a certificate, unless verifyClient is false",
  async () => {
    await using authority = await testAuthority(["node-a"]);
    for (
      const [config, kind] of [[{}, "rejected"], [
        { verifyClient: false, insecure: true },
        "fiat",
      ]] as const
    ) {
      await using a = await start(authority, "node-a", config);
      const accepted = nextOf(a);
      const client = connectTls({
        port: portOf(a),
        host: "127.0.0.1",
        rejectUnauthorized: false,
        ALPNProtocols: ["mycnet"],
      });
      const closed = ended(client);
      const { authentication } = await accepted;
      assert.equal(authentication.kind, kind);
      if (authentication.kind === "rejected") {
        assert.match(authentication.reason, /no certificate was presented/);
      }
      client.destroy();
      await closed;
    }
  },
);

Deno.test("tls takes verifyClient: false only together with insecure: true", () => {
  const parsed = tls.parse({ verifyClient: false });
  assert.equal(parsed.ok, false);
  assert.ok(!parsed.ok && parsed.issues[0]!.path[0] === "verifyClient");
  assert.match(!parsed.ok ? parsed.issues[0]!.message : "", /insecure: true/);
});

clusterTest("tls puts new credentials to use without cutting a connection", async () => {
  await using authority = await testAuthority(["node-a", "node-b"]);
  await using identity = await authority.identity({ id: "node-a", type: "sclerotia" });
  await using a = await startPlugin(tls, {
    needs: { settings: testSettings({ id: "node-a" }), identity: identity.value },
  });
  await using b = await start(authority, "node-b");
  const [near, far] = await pair(b, a);
  const changed = new Promise<void>((resolve) => identity.value.onCredentials(() => resolve()));
  await authority.issue([{ id: "node-a", type: "sclerotia" }], { renew: true, nodeDays: 90 });
  await changed;
  const [next] = await pair(b, a);
  const [dialled, seen] = await pair(a, b);
  const daysLeft = ({ connection: { authentication } }: RecordingEnd) =>
    authentication.kind === "verified"
      ? Math.round((authentication.expiresAt - Date.now()) / 86_400_000)
      : undefined;
  assert.deepEqual([near, next, seen].map(daysLeft), [365, 90, 90]);
  assert.equal(daysLeft(dialled), 365);
  await near.write(new Uint8Array(1000));
  await far.received(1000);
  await far.write(new Uint8Array(500));
  await near.received(500);
  assert.deepEqual([near.closedCount, far.closedCount], [0, 0]);
});

clusterTest(
  "tls refuses TLS 1.2, strangers to the protocol and garbage, and serves on",
  async () => {
    await using authority = await testAuthority(["node-a", "node-b"]);
    await using a = await start(authority, "node-a");
    await using b = await start(authority, "node-b");
    const port = portOf(a);
    const { certificate: cert, privateKey: key, authorities: ca } = await authority.credentials(
      "node-b",
    );
    const common = { port, host: "127.0.0.1", cert, key, ca, rejectUnauthorized: false };
    let secured = 0;
    const refused = [
      connectTls({
        ...common,
        ALPNProtocols: ["mycnet"],
        minVersion: "TLSv1.2",
        maxVersion: "TLSv1.2",
      }, () => secured++),
      connectTls({ ...common, ALPNProtocols: ["h2"] }, () => secured++),
      connectTcp({ port, host: "127.0.0.1" }, function (this: Socket) {
        this.write("GET / HTTP/1.1\r\n\r\n");
      }),
    ];
    await Promise.all(refused.map(ended));
    assert.equal(secured, 0);
    const bare = connectTls(common);
    await ended(bare); // It offers no protocol: its handshake is done, but it is let go.
    const [near, far] = await pair(b, a);
    await near.write(new Uint8Array(10));
    await far.received(10);
  },
);

clusterTest("tls has at most 256 handshakes under way, and closes what is more", async () => {
  await using authority = await testAuthority(["node-a"]);
  const a = await start(authority, "node-a", { handshakeTimeout: "1m" });
  let alive = maxHandshakes;
  const silent = Array.from({ length: maxHandshakes }, () => {
    const socket = connectTcp({ port: portOf(a), host: "127.0.0.1" });
    return { socket, closed: ended(socket).then(() => alive--) };
  });
  await Promise.all(
    silent.map(({ socket }) => new Promise((resolve) => socket.once("connect", resolve))),
  );
  await ended(connectTcp({ port: portOf(a), host: "127.0.0.1" }));
  assert.equal(alive, maxHandshakes);
  await a[Symbol.asyncDispose]();
  await Promise.all(silent.map((it) => it.closed));
});

clusterTest("tls ends a handshake that takes too long, and serves on", async () => {
  await using authority = await testAuthority(["node-a", "node-b"]);
  await using a = await start(authority, "node-a", { handshakeTimeout: "2s" });
  await using b = await start(authority, "node-b");
  await ended(connectTcp({ port: portOf(a), host: "127.0.0.1" }));
  const [near] = await pair(b, a);
  assert.equal(near.connection.authentication.kind, "verified");
});

clusterTest("tls stops while a handshake is under way", async () => {
  await using authority = await testAuthority(["node-a"]);
  const a = await start(authority, "node-a");
  const socket = connectTcp({ port: portOf(a), host: "127.0.0.1" });
  const closed = ended(socket);
  await new Promise((resolve) => socket.once("connect", resolve));
  await a[Symbol.asyncDispose]();
  await closed;
});

clusterTest(
  "tls says timeout for a silent server and unreachable for one of another kind",
  async () => {
    await using authority = await testAuthority(["node-a"]);
    await using a = await start(authority, "node-a");
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket));
    const talker = createServer((socket) => {
      void ended(socket);
      socket.end("220 mail.example ESMTP\r\n");
    });
    const { certificate: cert, privateKey: key } = await authority.credentials("node-a");
    const web = createTlsServer({ cert, key });
    for (const server of [silent, talker, web]) {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    }
    const at = (server: typeof silent) =>
      `127.0.0.1:${(server.address() as { port: number }).port}`;
    const dial = (address: string, timeoutMs: number) =>
      a.value.dial(address, { signal: new AbortController().signal, timeoutMs });
    await assert.rejects(dial(at(silent), 50), { code: "timeout", message: /within 50 ms/ });
    await assert.rejects(dial(at(talker), 5000), { code: "unreachable", message: /TLS/ });
    await assert.rejects(dial(at(web), 5000), {
      code: "unreachable",
      message: /not a mycnet node/,
    });
    for (const socket of sockets) socket.destroy();
    for (const server of [silent, talker, web]) {
      await new Promise((resolve) => server.close(resolve));
    }
  },
);

clusterTest("tls rejects a link whose cipher suite is not allowed", async () => {
  await using authority = await testAuthority(["node-a", "node-b"]);
  await using a = await start(authority, "node-a", {
    cipherSuites: ["TLS_CHACHA20_POLY1305_SHA256"],
  });
  await using b = await start(authority, "node-b", { cipherSuites: ["TLS_AES_256_GCM_SHA384"] });
  const [near, far] = await pair(b, a);
  assert.match(reasonOf(far), /TLS_AES_256_GCM_SHA384 is not allowed here: one of TLS_CHACHA20/);
  assert.equal(near.connection.authentication.kind, "verified");
  await assert.rejects(start(authority, "node-a", { cipherSuites: ["ROT13"] }), {
    code: "config_invalid",
    message: /cipherSuites/,
  });
});

clusterTest("tls uses files of its own where the configuration names them", async () => {
  await using authority = await testAuthority(["node-a", "node-b"]);
  const { stateDir } = authority;
  await using a = await startPlugin(tls, {
    config: { certPath: "nodes/node-b/cert.pem", keyPath: "nodes/node-b/key.pem" },
    needs: {
      settings: testSettings({ id: "node-a", stateDir, baseDir: stateDir }),
      identity: { credentials: undefined },
    },
  });
  await using b = await start(authority, "node-a");
  const [near] = await pair(b, a);
  const { authentication } = near.connection;
  assert.equal(authentication.kind === "verified" && authentication.principal.id, "node-b");
});

clusterTest("tls does not start where nodes are known by fiat, and says what to do", async () => {
  const needs = { settings: testSettings(), identity: { credentials: undefined } };
  await assert.rejects(startPlugin(tls, { needs }), {
    code: "identity_missing",
    message: /mycnet init.*tcp with insecure: true/,
  });
});

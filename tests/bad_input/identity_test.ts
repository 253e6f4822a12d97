// Certificates and names that do not fit, over real mutual TLS: each side learns
// why, the node goes on, and the link to its friend does not notice.
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { createNode, type Node } from "../../mod.ts";
import { createHost } from "../../core/kernel/real_host.ts";
import { initCluster, type InitOptions } from "../../core/node/identity/authority.ts";
import { clusterTest } from "../harness/leaks.ts";
import { tempFolder } from "../harness/processes.ts";
import { Guarded, Impostor, portOf, Stranger } from "./stranger.ts";

const dayMs = 86_400_000;

/** A clock that is off, for issuing what has expired or is not valid yet. */
function hostAt(offsetMs: number): InitOptions["host"] {
  const { wallTime, randomBytes } = createHost();
  return { wallTime: () => wallTime() + offsetMs, randomBytes };
}

/** A node over mutual TLS on loopback, with the keys of a state folder. */
function tlsNode(id: string, stateDir: string, cluster?: string): Promise<Node> {
  return createNode({
    config: false,
    log: () => {},
    node: {
      id,
      stateDir,
      bindAddress: "127.0.0.1:0",
      connectionTimeout: "2s",
      ...(cluster === undefined ? {} : { cluster }),
    },
    plugins: { admin: false, "http-gateway": false },
  });
}

/** A cluster in a folder, a node of it under attack, and its friend. */
async function guarded() {
  await using made = new AsyncDisposableStack();
  const folder = made.use(await tempFolder());
  const keys = `${folder.path}/guarded`;
  await initCluster({
    stateDir: keys,
    cluster: "guarded",
    nodes: ["node", "friend", "third"].map((id) => ({ id, type: "sclerotia" })),
    host: createHost(),
  });
  const target = made.use(
    await Guarded.start(await tlsNode("node", keys), await tlsNode("friend", keys)),
  );
  const resources = made.move();
  return {
    target,
    keys,
    folder: folder.path,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Joins a node to the guarded one, and gives the error that this must end with. */
async function refusalOf(intruder: Node, target: Guarded): Promise<Error> {
  const error = await intruder.cluster.join(target.node.addresses).then(
    () => assert.fail("it was let in"),
    (error) => error as Error & { code: string; remedy: string },
  );
  assert.equal(error.code, "unreachable");
  assert.notEqual(error.remedy, "");
  return error;
}

const intruders: Readonly<
  Record<string, { init: Omit<InitOptions, "stateDir" | "nodes">; says: RegExp }>
> = {
  "of a foreign authority, under the right names": {
    init: { cluster: "guarded", host: createHost() },
    says: /authorit|unable to|issuer|not signed|self.signed|verify/i,
  },
  "of another cluster": {
    init: { cluster: "elsewhere", host: createHost() },
    says: /authorit|unable to|issuer|cluster|self.signed|verify/i,
  },
};

for (const [name, { init, says }] of Object.entries(intruders)) {
  clusterTest(`a node with a certificate ${name} is refused, and both sides say why`, async () => {
    await using scene = await guarded();
    const { target, folder } = scene;
    const stateDir = `${folder}/intruder`;
    await initCluster({ ...init, stateDir, nodes: [{ id: "third", type: "sclerotia" }] });
    await using intruder = await tlsNode("third", stateDir);
    const error = await refusalOf(intruder, target);
    assert.match(error.message, says);
    const refused = await target.event("link_refused");
    assert.notEqual(refused.message, "");
    assert.deepEqual(target.node.members().map(({ id }) => id), ["friend"]);
    await target.assertUnharmed();
  });
}

/** Connects over TLS with the keys of a node, or with none, and speaks as whom it likes. */
async function overTls(scene: { target: Guarded; keys: string }, id: string | undefined) {
  const read = (path: string) => Deno.readTextFile(`${scene.keys}/${path}`);
  const identity = id === undefined ? {} : {
    cert: await read(`nodes/${id}/cert.pem`),
    key: await read(`nodes/${id}/key.pem`),
  };
  return new Stranger(
    await Deno.connectTls({
      hostname: "127.0.0.1",
      port: portOf(scene.target.address),
      caCerts: [await read("ca.pem")],
      alpnProtocols: ["mycnet"],
      ...identity,
    }),
  );
}

const lies = {
  "another id": { id: "friend", generation: Number.MAX_SAFE_INTEGER },
  "another type": { id: "third", type: "hyphae" },
} as const;

for (const [name, self] of Object.entries(lies)) {
  clusterTest(`a hello that claims ${name} than the certificate is refused`, async () => {
    await using scene = await guarded();
    const { target } = scene;
    using impostor = new Impostor(await overTls(scene, "third"), self, { encryption: "standard" });
    const reason = await impostor.shake();
    assert.deepEqual([reason?.kind, reason?.code, reason?.by], ["refused", "identity", "peer"]);
    assert.match(reason!.message, /certificate/);
    assert.equal((await target.event("link_refused")).code, "identity");
    await target.assertUnharmed();
  });
}

clusterTest("who shows no certificate is refused, whatever its hello says", async () => {
  await using scene = await guarded();
  const { target } = scene;
  const stranger = await overTls(scene, undefined);
  using impostor = new Impostor(stranger, { id: "third" }, { encryption: "standard" });
  const reason = await impostor.shake();
  assert.deepEqual([reason?.kind, reason?.code], ["refused", "unauthenticated"]);
  assert.match(reason!.message, /certificate/);
  await target.assertUnharmed();
});

clusterTest("an expired certificate neither starts a node nor gets a stranger in", async () => {
  await using scene = await guarded();
  const { target, keys } = scene;
  // Issued three days ago for one day, by the authority of this very cluster.
  await initCluster({
    stateDir: keys,
    nodes: [{ id: "late", type: "sclerotia" }],
    nodeDays: 1,
    host: hostAt(-3 * dayMs),
  });
  await assert.rejects(tlsNode("late", keys), (error: Error & { cause: { code: string } }) => {
    assert.equal(error.cause.code, "identity_invalid");
    assert.match(error.message, /cert\.pem: it has expired: valid until/);
    return true;
  });
  using impostor = new Impostor(await overTls(scene, "late"), { id: "late" }, {
    encryption: "standard",
  });
  const reason = await impostor.shake();
  assert.deepEqual([reason?.kind, reason?.code], ["refused", "unauthenticated"]);
  assert.match(reason!.message, /expired/);
  const refused = await target.event("link_refused");
  assert.equal(refused.code, "unauthenticated");
  assert.match(refused.message, /expired/);
  await target.assertUnharmed();
});

clusterTest("plain text on a TLS port costs nothing", async () => {
  await using scene = await guarded();
  const { target } = scene;
  for (
    const text of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", "", "MYCN".repeat(10_000)]
  ) {
    using stranger = await Stranger.connect(target.address);
    await stranger.send(text);
    await stranger.closeWrite().catch(() => {}); // It hung up already.
    await stranger.ended();
  }
  await target.assertUnharmed();
});

clusterTest("a node that is started twice is refused by those who know the first", async () => {
  await using scene = await guarded();
  const { target, keys } = scene;
  // On another machine: in the same folder it would not even start.
  await using copy = await tempFolder();
  await cp(keys, copy.path, { recursive: true });
  await using twin = await tlsNode("friend", copy.path);
  const error = await refusalOf(twin, target);
  assert.match(error.message, /older start of node "friend"/);
  assert.equal((await target.event("link_refused")).code, "duplicate");
  await target.assertUnharmed();
});

clusterTest("a node without keys does not start, and the error says how to get them", async () => {
  await using folder = await tempFolder();
  await assert.rejects(
    tlsNode("nobody", folder.path),
    (error: Error & { code: string; cause: { code: string } }) => {
      assert.equal(error.code, "plugin_setup_failed");
      assert.equal(error.cause.code, "identity_missing");
      assert.match(error.message, /"identity" failed to start: .*mycnet init/s);
      return true;
    },
  );
});

clusterTest("a node whose settings contradict its certificate does not start", async () => {
  await using folder = await tempFolder();
  const stateDir = folder.path;
  await initCluster({
    stateDir,
    cluster: "guarded",
    nodes: [{ id: "node", type: "sclerotia" }],
    host: createHost(),
  });
  await assert.rejects(tlsNode("node", stateDir, "elsewhere"), (error: Error) => {
    assert.match(error.message, /spiffe:\/\/guarded\/sclerotia\/node.*spiffe:\/\/elsewhere\//s);
    return true;
  });
});

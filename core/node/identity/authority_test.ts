import assert from "node:assert/strict";
import { createPublicKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { isNodeId } from "@mycnet/protocols/identity";
import { createHost } from "../../kernel/real_host.ts";
import { initCluster, type InitOptions, type InitResult } from "./authority.ts";
import { checkChain } from "./chain.ts";
import { nodePaths } from "./paths.ts";

const host = createHost();
const day = 86_400_000;

async function inFolder(body: (stateDir: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "mycnet-test-" });
  try {
    await body(join(folder, "state"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const init = (stateDir: string, options: Partial<InitOptions> = {}): Promise<InitResult> =>
  initCluster({ stateDir, nodes: [{ id: "node-1", type: "sclerotia" }], host, ...options });

async function modeOf(path: string): Promise<number> {
  return (await Deno.stat(path)).mode! & 0o777;
}

Deno.test("init makes a cluster whose private files are private", async () => {
  await inFolder(async (stateDir) => {
    const result = await init(stateDir, { cluster: "prod" });
    assert.equal(result.cluster, "prod");
    assert.equal(result.created, true);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(join(stateDir, "cluster.json"))), {
      version: 1,
      cluster: "prod",
    });
    const { dir, node, certificate, privateKey, adminToken } = nodePaths(stateDir, "node-1");
    assert.deepEqual(JSON.parse(await Deno.readTextFile(node)), {
      version: 1,
      id: "node-1",
      type: "sclerotia",
      cluster: "prod",
    });
    assert.match(await Deno.readTextFile(adminToken), /^[0-9a-f]{64}\n$/);
    const [issued] = result.nodes;
    assert.deepEqual(
      [issued!.certPath, issued!.keyPath, issued!.adminTokenPath, issued!.created],
      [certificate, privateKey, adminToken, true],
    );
    const keys = JSON.parse(await Deno.readTextFile(result.gossipKeyringPath));
    assert.deepEqual(keys.map((key: string) => Uint8Array.fromBase64(key).length), [32]);
    if (Deno.build.os === "windows") return;
    const authorityKey = join(stateDir, "ca.key");
    for (const path of [privateKey, adminToken, authorityKey, result.gossipKeyringPath]) {
      assert.equal(await modeOf(path), 0o600, path);
    }
    for (const path of [stateDir, join(stateDir, "nodes"), dir]) {
      assert.equal(await modeOf(path), 0o700, path);
    }
  });
});

Deno.test("init issues certificates that name the node and lead to the root", async () => {
  await inFolder(async (stateDir) => {
    const { caPath, caFingerprint, nodes } = await init(stateDir, {
      cluster: "prod",
      nodes: [{ id: "hy", type: "hyphae", names: ["hy.example", "10.0.0.7"] }],
      nodeDays: 30,
    });
    const root = new X509Certificate(await Deno.readTextFile(caPath));
    assert.equal(root.fingerprint256.replaceAll(":", "").toLowerCase(), caFingerprint);
    assert.equal(root.ca, true);
    assert.ok(Math.abs(Date.parse(root.validTo) - Date.now() - 3650 * day) < 60_000);
    const leaf = new X509Certificate(await Deno.readTextFile(nodes[0]!.certPath));
    assert.equal(leaf.ca, false);
    assert.equal(
      leaf.subjectAltName,
      "URI:spiffe://prod/hyphae/hy, DNS:localhost, IP Address:127.0.0.1, IP Address:::1, " +
        "DNS:hy.example, IP Address:10.0.0.7",
    );
    assert.ok(Date.now() - Date.parse(leaf.validFrom) >= 3_600_000, "it begins in the past");
    assert.equal(Date.parse(leaf.validTo), nodes[0]!.expiresAt);
    assert.ok(Math.abs(nodes[0]!.expiresAt - Date.now() - 30 * day) < 60_000);
    const key = createPublicKey(await Deno.readTextFile(nodes[0]!.keyPath));
    assert.equal(key.asymmetricKeyType, "ed25519");
    assert.ok(leaf.publicKey.equals(key));
    const verdict = checkChain([leaf.raw], [root], Date.now());
    assert.ok(verdict.ok);
    assert.deepEqual(verdict.principal, { cluster: "prod", type: "hyphae", id: "hy" });
    assert.equal(verdict.expiresAt, nodes[0]!.expiresAt);
  });
});

Deno.test("init adds nodes to the cluster that is there", async () => {
  await inFolder(async (stateDir) => {
    const first = await init(stateDir);
    const gossipKeys = await Deno.readTextFile(first.gossipKeyringPath);
    assert.ok(isNodeId(first.cluster) && first.cluster.startsWith("mycnet-"));
    const second = await init(stateDir, { nodes: [{ id: "node-2", type: "rhizomorph" }] });
    assert.equal(second.created, false);
    assert.equal(second.cluster, first.cluster);
    assert.equal(second.caFingerprint, first.caFingerprint);
    assert.equal(await Deno.readTextFile(second.gossipKeyringPath), gossipKeys);
    const names = [...Deno.readDirSync(join(stateDir, "nodes"))].map((it) => it.name).sort();
    assert.deepEqual(names, ["node-1", "node-2"]);
  });
});

Deno.test("init overwrites neither a node nor a cluster", async () => {
  await inFolder(async (stateDir) => {
    await init(stateDir, { cluster: "one" });
    const files = () =>
      ["ca.key", "ca.pem", "cluster.json", "nodes/node-1/key.pem", "nodes/node-1/cert.pem"]
        .map((name) => Deno.readTextFileSync(join(stateDir, name)));
    const before = files();
    const nodes = [{ id: "node-2", type: "hyphae" }, { id: "node-1", type: "hyphae" }] as const;
    await assert.rejects(init(stateDir, { nodes }), {
      code: "already_exists",
      message: /node-1.*renew/,
    });
    await assert.rejects(init(stateDir, { cluster: "two", nodes: [] }), {
      code: "already_exists",
      message: /holds the cluster "one", not "two"/,
    });
    assert.deepEqual(files(), before);
    const made = [...Deno.readDirSync(join(stateDir, "nodes"))].map((it) => it.name);
    assert.deepEqual(made, ["node-1"], "a call that fails makes nothing");
  });
});

Deno.test("init renews a certificate for the same key when asked", async () => {
  await inFolder(async (stateDir) => {
    await init(stateDir);
    const { certificate, privateKey, adminToken } = nodePaths(stateDir, "node-1");
    const read = () => [certificate, privateKey, adminToken].map((it) => Deno.readTextFileSync(it));
    const before = read();
    const { nodes } = await init(stateDir, { renew: true, nodeDays: 10 });
    const after = read();
    assert.equal(nodes[0]!.created, false);
    assert.notEqual(after[0], before[0]);
    assert.deepEqual(after.slice(1), before.slice(1));
    const leaf = new X509Certificate(after[0]!);
    assert.ok(leaf.publicKey.equals(createPublicKey(after[1]!)));
  });
});

Deno.test("two calls at once make each node once", async () => {
  await inFolder(async (stateDir) => {
    const results = await Promise.allSettled([init(stateDir), init(stateDir), init(stateDir)]);
    assert.deepEqual(results.map((it) => it.status).sort(), ["fulfilled", "rejected", "rejected"]);
    for (const result of results) {
      if (result.status === "rejected") assert.equal(result.reason.code, "already_exists");
    }
  });
});

Deno.test("init names the field that is wrong, and makes nothing", async () => {
  await inFolder(async (stateDir) => {
    const node = { id: "n", type: "sclerotia" } as const;
    const wrong: [Partial<InitOptions>, RegExp][] = [
      [{ cluster: "Prod" }, /^cluster: /],
      [{ nodes: [{ ...node, id: ".." }] }, /^nodes: an id .* not "\.\."/],
      [{ nodes: [{ ...node, id: "a/b" }] }, /^nodes: an id/],
      [{ nodes: [node, node] }, /"n" is named twice/],
      [{ nodes: [{ ...node, type: "king" as "hyphae" }] }, /^nodes\.n: the type/],
      [{ nodeDays: 0 }, /^nodeDays: /],
      [{ authorityDays: NaN }, /^authorityDays: /],
      [{ stateDir: "relative" }, /^stateDir: /],
    ];
    for (const [options, message] of wrong) {
      await assert.rejects(init(stateDir, options), { code: "config_invalid", message });
    }
    await assert.rejects(Deno.stat(stateDir), Deno.errors.NotFound);
  });
});

Deno.test("init says what a damaged state folder lacks", async () => {
  await inFolder(async (stateDir) => {
    await init(stateDir);
    const more = { nodes: [{ id: "node-2", type: "sclerotia" }] } as const;
    await Deno.rename(join(stateDir, "ca.key"), join(stateDir, "elsewhere"));
    await assert.rejects(init(stateDir, more), { code: "identity_missing", message: /ca\.key/ });
    await Deno.rename(join(stateDir, "elsewhere"), join(stateDir, "ca.key"));
    await Deno.writeTextFile(join(stateDir, "cluster.json"), "{");
    await assert.rejects(init(stateDir, more), { code: "identity_invalid", message: /damaged/ });
    await Deno.remove(join(stateDir, "cluster.json"));
    await assert.rejects(init(stateDir, more), { code: "identity_invalid", message: /"node-1"/ });
  });
});

Deno.test("init clears what an interrupted call left aside", async () => {
  await inFolder(async (stateDir) => {
    await init(stateDir);
    const left = join(stateDir, "node-2.0123abcd.tmp");
    await Deno.mkdir(left);
    await Deno.writeTextFile(join(left, "key.pem"), "half");
    await init(stateDir, { nodes: [{ id: "node-2", type: "sclerotia" }] });
    await assert.rejects(Deno.stat(left), Deno.errors.NotFound);
    assert.match(await Deno.readTextFile(nodePaths(stateDir, "node-2").privateKey), /PRIVATE KEY/);
  });
});

Deno.test("a node's certificate never outlives the root", async () => {
  await inFolder(async (stateDir) => {
    const { caPath, nodes } = await init(stateDir, { authorityDays: 5, nodeDays: 90 });
    const root = new X509Certificate(await Deno.readTextFile(caPath));
    assert.equal(nodes[0]!.expiresAt, Date.parse(root.validTo));
  });
});

Deno.test(
  "a call for more nodes than it makes at once is refused before anything is made",
  async () => {
    const stateDir = join(await Deno.makeTempDir({ prefix: "mycnet-test-" }), "state");
    const nodes = Array.from({ length: 10_001 }, (_, at) => ({
      id: `node-${at}`,
      type: "hyphae" as const,
    }));
    const host = createHost();
    await assert.rejects(initCluster({ stateDir, nodes, host }), { code: "config_invalid" });
    await assert.rejects(Deno.stat(stateDir), Deno.errors.NotFound);
    await Deno.remove(join(stateDir, ".."));
  },
);

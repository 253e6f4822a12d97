import assert from "node:assert/strict";
import { sign, X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { HealthReport, HealthSource } from "../../contracts/health.ts";
import type { Credentials, Identity } from "../../contracts/identity.ts";
import type { Host } from "../../kernel/host.ts";
import { createHost } from "../../kernel/real_host.ts";
import { testAuthority } from "../../../tests/harness/authority.ts";
import { clusterTest } from "../../../tests/harness/leaks.ts";
import { testSettings } from "../../../tests/harness/settings.ts";
import { type StartedPlugin, startPlugin } from "../../../tests/harness/start_plugin.ts";
import { runtimeVersion } from "../version.ts";
import { issueNode } from "./certificates.ts";
import { generatePrivateKey } from "./keys.ts";
import identityPlugin from "./mod.ts";
import { nodePaths } from "./paths.ts";
import { rereadPeriodMs } from "./watcher.ts";

const nodeA = { id: "node-a", type: "sclerotia" } as const;
const nodeB = { id: "node-b", type: "sclerotia" } as const;
const note = new TextEncoder().encode("what is signed");

/** A host whose beats are run by the test, and whose files nobody watches in between. */
function beatByHand(): { readonly host: Partial<Host>; beat(): void } {
  const beats = new Set<() => void>();
  return {
    host: {
      every: (periodMs, run) => {
        assert.equal(periodMs, rereadPeriodMs);
        beats.add(run);
        return { [Symbol.dispose]: () => void beats.delete(run) };
      },
      // What an event of the file system would set off.
      after: () => ({ [Symbol.dispose]: () => {} }),
    },
    beat: () => beats.forEach((run) => run()),
  };
}

const nextCredentials = ({ value }: StartedPlugin<Identity>): Promise<Credentials> =>
  new Promise((resolve) => {
    const subscription = value.onCredentials((credentials) => {
      subscription[Symbol.dispose]();
      resolve(credentials);
    });
  });

/** The problem in the warning of that number, awaited. */
async function warning(started: StartedPlugin<Identity>, count: number): Promise<string> {
  const found = () => started.lines.filter((it) => it.level === "warn" && "problem" in it.fields);
  while (found().length < count) await new Promise((resolve) => setTimeout(resolve, 1));
  return String(found()[count - 1]!.fields.problem);
}

function healthOf(started: StartedPlugin<Identity>): HealthReport {
  const [source] = started.contributions.get("health.sources") as readonly HealthSource[];
  return source!();
}

clusterTest("identity describes the node and carries its credentials", async () => {
  await using authority = await testAuthority(["node-a"]);
  const before = Date.now();
  await using a = await authority.identity(nodeA);
  const { generation, ...self } = a.value.self;
  assert.deepEqual(self, { ...nodeA, cluster: "test", version: runtimeVersion });
  assert.ok(generation >= before && generation <= Date.now());
  assert.deepEqual(a.value.credentials, await authority.credentials("node-a"));
});

clusterTest("what one node signs another verifies, and nothing else", async () => {
  await using authority = await testAuthority(["node-a", "node-b"]);
  await using a = await authority.identity(nodeA);
  await using b = await authority.identity(nodeB);
  const proof = a.value.sign(note);
  assert.equal(proof.signature.length, 64);
  assert.deepEqual(b.value.verify(note, proof), {
    ok: true,
    principal: { cluster: "test", ...nodeA },
  });
  const refused = (bytes: Uint8Array, changed: Partial<typeof proof>) => {
    const verdict = b.value.verify(bytes, { ...proof, ...changed });
    assert.equal(verdict.ok, false);
    return verdict.ok ? "" : verdict.reason;
  };
  const other = b.value.sign(note);
  assert.match(refused(note.subarray(1), {}), /not that of spiffe:\/\/test\/sclerotia\/node-a/);
  assert.match(refused(note, { signature: other.signature }), /not that of/);
  assert.match(refused(note, { signature: proof.signature.subarray(1) }), /not that of/);
  assert.match(refused(note, { chain: other.chain }), /not that of .*node-b/);
  assert.match(refused(note, { chain: [] }), /no certificate/);
  assert.match(refused(note, { chain: [new Uint8Array(9)] }), /cannot be read/);
});

clusterTest("a proof of a foreign authority is refused", async () => {
  await using ours = await testAuthority(["node-a"]);
  await using theirs = await testAuthority(["node-a"]);
  await using a = await ours.identity(nodeA);
  await using foreign = await theirs.identity(nodeA);
  const verdict = a.value.verify(note, foreign.value.sign(note));
  assert.match(verdict.ok ? "" : verdict.reason, /foreign authority/);
});

clusterTest("a proof of another cluster is refused, even under the same authority", async () => {
  await using authority = await testAuthority(["node-a"]);
  await using a = await authority.identity(nodeA);
  const read = (name: string) => Deno.readTextFile(join(authority.stateDir, name));
  const privateKey = generatePrivateKey();
  const certificate = await issueNode({
    principal: { ...nodeA, cluster: "other" },
    privateKey,
    authority: { certificate: await read("ca.pem"), privateKey: await read("ca.key") },
    validityMs: 86_400_000,
    names: [],
    host: createHost(),
  });
  const chain = [new X509Certificate(certificate).raw];
  const verdict = a.value.verify(note, { signature: sign(null, note, privateKey), chain });
  assert.match(verdict.ok ? "" : verdict.reason, /a node of the cluster "other"/);
});

clusterTest("an expired signer is refused at the verifier's wall-clock time", async () => {
  await using authority = await testAuthority(["node-a", "node-b"]);
  await using a = await authority.identity(nodeA);
  let ahead = 0;
  await using b = await authority.identity(nodeB, { wallTime: () => Date.now() + ahead });
  const proof = a.value.sign(note);
  assert.equal(b.value.verify(note, proof).ok, true);
  ahead = 400 * 86_400_000;
  const verdict = b.value.verify(note, proof);
  assert.match(verdict.ok ? "" : verdict.reason, /expired/);
});

clusterTest(
  "by fiat everything is believed, and a secure node believes nothing of it",
  async () => {
    await using authority = await testAuthority(["node-a"]);
    await using secure = await authority.identity(nodeA);
    await using fiat = await startPlugin(identityPlugin, {
      config: { insecure: true },
      needs: { settings: testSettings() },
    });
    assert.equal(fiat.value.credentials, undefined);
    const proof = fiat.value.sign(note);
    assert.deepEqual(proof, { signature: new Uint8Array(0), chain: [] });
    assert.deepEqual(fiat.value.verify(note, proof), { ok: true, principal: undefined });
    const verdict = secure.value.verify(note, proof);
    assert.match(verdict.ok ? "" : verdict.reason, /not signed/);
  },
);

clusterTest("without files it does not start, and says what to do", async () => {
  await using authority = await testAuthority(["node-a"]);
  await assert.rejects(authority.identity(nodeB), (error: Error & { code?: string }) => {
    assert.equal(error.code, "identity_missing");
    assert.match(error.message, /nodes\/node-b\/cert\.pem does not exist: run `mycnet init`/);
    return true;
  });
});

clusterTest("a certificate of another node, type or cluster does not start", async () => {
  await using authority = await testAuthority(["node-a"]);
  await assert.rejects(authority.identity({ id: "node-a", type: "hyphae" }), {
    code: "identity_invalid",
    message:
      /names spiffe:\/\/test\/sclerotia\/node-a, but the settings say spiffe:\/\/test\/hyphae/,
  });
});

clusterTest("a key of another certificate, or none, does not start", async () => {
  await using authority = await testAuthority(["node-a", "node-b"]);
  const { privateKey } = nodePaths(authority.stateDir, "node-a");
  await Deno.copyFile(nodePaths(authority.stateDir, "node-b").privateKey, privateKey);
  await assert.rejects(authority.identity(nodeA), {
    code: "identity_invalid",
    message: /key\.pem: it is not the key of the certificate/,
  });
  await Deno.writeTextFile(privateKey, "rubbish");
  await assert.rejects(authority.identity(nodeA), {
    code: "identity_invalid",
    message: /key\.pem: no private key/,
  });
});

clusterTest("a file that is larger than any certificate is not read", async () => {
  await using authority = await testAuthority(["node-a"]);
  const { certificate } = nodePaths(authority.stateDir, "node-a");
  await Deno.truncate(certificate, 1024 * 1024 + 1);
  await assert.rejects(authority.identity(nodeA), {
    code: "identity_invalid",
    message: `${certificate}: larger than 1048576 bytes`,
  });
});

clusterTest("an expired certificate does not start", async () => {
  await using authority = await testAuthority(["node-a"]);
  const late = { wallTime: () => Date.now() + 400 * 86_400_000 };
  await assert.rejects(authority.identity(nodeA, late), {
    code: "identity_invalid",
    message: /expired/,
  });
});

clusterTest("the generation grows at every start, though the clock is set back", async () => {
  await using authority = await testAuthority(["node-a"]);
  const now = Date.now();
  const start = async (time: number): Promise<number> => {
    await using a = await authority.identity(nodeA, { wallTime: () => time });
    return a.value.self.generation;
  };
  assert.equal(await start(now), now);
  assert.equal(await start(now), now + 1);
  assert.equal(await start(now - 60_000), now + 2);
  assert.equal(await start(now + 60_000), now + 60_000);
});

clusterTest(
  "by fiat the generation is kept where the node has a folder, and no folder is made",
  async () => {
    await using authority = await testAuthority(["node-a"]);
    const now = Date.now();
    const start = async (id: string, time: number, config = {}): Promise<number> => {
      const node = { id, type: "sclerotia", insecure: true, ...config } as const;
      await using a = await authority.identity(node, { wallTime: () => time });
      return a.value.self.generation;
    };
    assert.equal(await start("node-a", now), now);
    assert.equal(await start("node-a", now - 60_000), now + 1);
    assert.equal(await start("node-a", now - 60_000, { folder: false }), now - 60_000);
    assert.equal(await start("stranger", now), now);
    assert.equal(await start("stranger", now - 60_000), now - 60_000);
    const { dir } = nodePaths(authority.stateDir, "stranger");
    await assert.rejects(Deno.stat(dir), Deno.errors.NotFound);
  },
);

clusterTest("a folder holds one running node, by certificate or by fiat", async () => {
  await using authority = await testAuthority(["node-a", "node-b"]);
  const { lock } = nodePaths(authority.stateDir, "node-a");
  const refused = {
    code: "node_running",
    message: `node "node-a" runs already: process ${Deno.pid} holds ${lock}`,
    remedy: /Stop the process that is named, or start this one as another node/,
  };
  {
    await using _a = await authority.identity(nodeA);
    await using _b = await authority.identity(nodeB);
    await assert.rejects(authority.identity(nodeA), refused);
    await assert.rejects(authority.identity({ ...nodeA, insecure: true }), refused);
  }
  await using _again = await authority.identity({ ...nodeA, insecure: true });
});

clusterTest("a folder that takes no lock is no reason not to start, and is said", async () => {
  await using authority = await testAuthority(["node-a"]);
  await Deno.mkdir(nodePaths(authority.stateDir, "node-a").lock);
  await using a = await authority.identity(nodeA);
  assert.ok(a.lines.some((it) => it.level === "warn" && /cannot be locked/.test(it.message)));
});

clusterTest("a damaged generation is begun anew, and said", async () => {
  await using authority = await testAuthority(["node-a"]);
  const { generation } = nodePaths(authority.stateDir, "node-a");
  for (const damage of ["rubbish", "-5", "1e300", String(Number.MAX_SAFE_INTEGER)]) {
    await Deno.writeTextFile(generation, damage);
    await using a = await authority.identity(nodeA);
    assert.ok(Math.abs(a.value.self.generation - Date.now()) < 60_000);
    assert.ok(a.lines.some((it) => it.level === "warn" && /damaged/.test(it.message)), damage);
  }
});

clusterTest("new certificates are taken up soon after they were written", async () => {
  await using authority = await testAuthority(["node-a"]);
  await using a = await authority.identity(nodeA);
  const next = nextCredentials(a);
  await authority.issue([nodeA], { renew: true });
  assert.deepEqual(await next, await authority.credentials("node-a"));
  assert.deepEqual(a.value.credentials, await next);
});

clusterTest("new files that do not fit are ignored, once said, until they do", async () => {
  await using authority = await testAuthority(["node-a", "node-b"]);
  await using foreign = await testAuthority(["node-a"]);
  const { host, beat } = beatByHand();
  await using a = await authority.identity(nodeA, host);
  const before = a.value.credentials;
  const mine = nodePaths(authority.stateDir, "node-a");
  const other = nodePaths(authority.stateDir, "node-b");
  const theirs = nodePaths(foreign.stateDir, "node-a");
  const good = await authority.credentials("node-a");
  a.value.onCredentials(({ certificate }) => assert.notEqual(certificate, "rubbish"));

  const steps: [() => Promise<void>, RegExp][] = [
    [() => Deno.writeTextFile(mine.certificate, "rubbish"), /cert\.pem: no certificate/],
    [() => Deno.copyFile(other.certificate, mine.certificate), /not the key of the certificate/],
    [
      () => Deno.copyFile(other.privateKey, mine.privateKey),
      /names spiffe:\/\/test\/sclerotia\/node-b/,
    ],
    [
      async () => {
        await Deno.copyFile(theirs.certificate, mine.certificate);
        await Deno.copyFile(theirs.privateKey, mine.privateKey);
      },
      /foreign authority/,
    ],
    [() => Deno.remove(mine.certificate), /does not exist/],
  ];
  for (const [at, [step, problem]] of steps.entries()) {
    await step();
    beat();
    assert.match(await warning(a, at + 1), problem);
    assert.equal(a.value.credentials, before);
  }
  beat();
  await Deno.writeTextFile(mine.privateKey, good.privateKey);
  await Deno.writeTextFile(mine.certificate, good.certificate);
  await authority.issue([nodeA], { renew: true });
  const next = nextCredentials(a);
  beat();
  await next;
  const warnings = a.lines.filter((it) => it.level === "warn");
  assert.equal(warnings.length, steps.length, "each problem is said once");
});

clusterTest("a symlink swap is followed at the next beat", async () => {
  await using authority = await testAuthority(["node-a"]);
  const { stateDir } = authority;
  const folder = (name: string) => join(stateDir, name);
  const copy = async (name: string) => {
    await Deno.mkdir(folder(name));
    const files = nodePaths(stateDir, "node-a");
    await Deno.copyFile(files.certificate, folder(`${name}/cert.pem`));
    await Deno.copyFile(files.privateKey, folder(`${name}/key.pem`));
    await Deno.copyFile(folder("ca.pem"), folder(`${name}/ca.pem`));
  };
  await copy("v1");
  await authority.issue([nodeA], { renew: true });
  await copy("v2");
  await Deno.symlink("v1", folder("current"), { type: "dir" });
  const { host, beat } = beatByHand();
  await using a = await startPlugin(identityPlugin, {
    config: {
      certPath: "current/cert.pem",
      keyPath: "current/key.pem",
      caCertPath: "current/ca.pem",
    },
    needs: { settings: testSettings({ ...nodeA, stateDir, baseDir: stateDir }) },
    host,
  });
  const v2 = await Deno.readTextFile(folder("v2/cert.pem"));
  assert.notEqual(a.value.credentials!.certificate, v2);
  await Deno.symlink("v2", folder("next"), { type: "dir" });
  await Deno.rename(folder("next"), folder("current"));
  const next = nextCredentials(a);
  beat();
  assert.equal((await next).certificate, v2);
});

clusterTest("its health follows the certificate to its end", async () => {
  await using authority = await testAuthority(["node-a"]);
  let ahead = 0;
  await using a = await authority.identity(nodeA, { wallTime: () => Date.now() + ahead });
  assert.deepEqual(healthOf(a), { status: "healthy" });
  ahead = 340 * 86_400_000;
  assert.equal(healthOf(a).status, "degraded");
  assert.match(healthOf(a).reason!, /expires at .*; renew it/);
  ahead = 366 * 86_400_000;
  assert.equal(healthOf(a).status, "unhealthy");
  assert.match(healthOf(a).reason!, /expired at/);
});

/**
 * Who is kept out, and how both sides learn why: nodes of another cluster, of
 * another authority, with a certificate that is over or not yet begun. The one
 * who refuses is a process of its own; the strangers are nodes in this process,
 * some of them with a clock that is days off, without which they would not
 * present such a certificate. A link between two members runs on all the while.
 */
import assert from "node:assert/strict";
import tls from "node:tls";
import { X509Certificate } from "node:crypto";
import { createNode, type NodeEvent } from "../../mod.ts";
import { createHost, type Host } from "../../core/kernel/mod.ts";
import { issueNode } from "../../core/node/identity/certificates.ts";
import { clusterPaths, nodePaths } from "../../core/node/identity/paths.ts";
import { clusterTest } from "../harness/leaks.ts";
import { startMycnet } from "../harness/processes.ts";
import { ask, logged, logLines, type RunningProcess, TestCluster } from "./cluster.ts";

const dayMs = 86_400_000;
const real = createHost();

/** The real host with another wall clock. */
function hostAt(offsetMs: number): Host {
  const host = createHost({ log: () => {} });
  return new Proxy(host, {
    get(target, key) {
      if (key === "wallTime") return () => target.wallTime() + offsetMs;
      const value = target[key as keyof Host] as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Gives `stranger` of `own` a certificate by the authority of `by`. */
async function certify(
  own: TestCluster,
  by: TestCluster,
  request: { readonly cluster: string; readonly issuedAt: number; readonly days: number },
): Promise<void> {
  const files = nodePaths(own.stateDir, "stranger");
  const authority = clusterPaths(by.stateDir);
  const read = (path: string) => Deno.readTextFile(path);
  const certificate = await issueNode({
    principal: { cluster: request.cluster, type: "sclerotia", id: "stranger" },
    privateKey: await read(files.privateKey),
    authority: {
      certificate: await read(authority.authority),
      privateKey: await read(authority.authorityKey),
    },
    validityMs: request.days * dayMs,
    names: [],
    host: {
      wallTime: () => request.issuedAt,
      randomBytes: (length) => real.randomBytes(length),
    },
  });
  await Deno.writeTextFile(files.certificate, certificate);
  await Deno.writeTextFile(`${own.stateDir}/ca.pem`, await read(authority.authority));
}

/** A stranger and the word that is given for its refusal. */
interface Stranger {
  readonly name: string;
  /** Prepares the certificate of `stranger` in a state folder of its own. */
  prepare(own: TestCluster, members: TestCluster): Promise<void>;
  /** How far its clock is off, in ms. */
  readonly clockMs?: number;
  readonly cluster?: string;
  readonly code: string;
  /** True: it finds the same fault with the member, and whoever is faster says so. */
  readonly mutual?: boolean;
  readonly reason: RegExp;
}

const strangers: readonly Stranger[] = [
  {
    name: "a node of another cluster under the same authority",
    prepare: (own, members) =>
      certify(own, members, { cluster: "other", issuedAt: Date.now(), days: 1 }),
    cluster: "other",
    code: "cluster",
    mutual: true,
    reason: /cluster (other, not test|test, not other)/,
  },
  {
    name: "a node whose certificate is from another authority",
    prepare: () => Promise.resolve(), // As it was made: by its own folder's authority.
    code: "unauthenticated",
    mutual: true,
    reason: /authorit/,
  },
  {
    name: "a node whose certificate has expired",
    prepare: (own, members) =>
      certify(own, members, { cluster: "test", issuedAt: Date.now() - 3 * dayMs, days: 1 }),
    clockMs: -2.5 * dayMs,
    code: "unauthenticated",
    reason: /expired/,
  },
  {
    name: "a node whose certificate is not valid yet",
    prepare: (own, members) =>
      certify(own, members, { cluster: "test", issuedAt: Date.now() + 2 * dayMs, days: 1 }),
    clockMs: 2.5 * dayMs,
    code: "unauthenticated",
    reason: /not valid before|not yet valid|valid from/,
  },
];

/** The first event of a kind. */
async function eventOf<T extends NodeEvent["type"]>(
  events: AsyncIterable<NodeEvent>,
  type: T,
): Promise<NodeEvent & { readonly type: T }> {
  for await (const event of events) {
    if (event.type === type) return event as NodeEvent & { readonly type: T };
  }
  throw new Error(`no ${type} came`);
}

interface LinkView {
  readonly id: string;
  readonly state: string;
}

/** The links of a node to another. */
async function linksTo(node: RunningProcess, id: string): Promise<readonly LinkView[]> {
  return (await (await ask(node, `/api/v1/network/peers/${id}`)).json()).links;
}

clusterTest(
  "strangers are refused with the reason on both sides, and members notice nothing",
  async (t) => {
    const nodes = [{ id: "a", type: "sclerotia" }, { id: "b", type: "rhizomorph" }] as const;
    // Issued long ago, so that strangers whose clocks are off do not refuse the members first.
    await using cluster = await TestCluster.create(nodes, Date.now() - 30 * dayMs);
    await cluster.declare("a", []);
    await cluster.declare("b", ["a"]);
    await using a = await cluster.start("a");
    await using b = await cluster.start("b");
    await logged(b, "A node is linked.", { node: "a" });
    const [member] = await linksTo(b, "a");

    for (const stranger of strangers) {
      await t.step(stranger.name, async () => {
        await using own = await TestCluster.create([{ id: "stranger", type: "sclerotia" }]);
        await stranger.prepare(own, cluster);
        await using node = await createNode({
          config: false,
          host: hostAt(stranger.clockMs ?? 0),
          node: {
            id: "stranger",
            type: "sclerotia",
            cluster: stranger.cluster ?? "test",
            stateDir: own.stateDir,
            bindAddress: "127.0.0.1:0",
          },
          plugins: { admin: false, "http-gateway": false },
        });
        const before = logLines(a).length;
        const events = node.events();
        await assert.rejects(node.cluster.join([cluster.address("a")]), stranger.reason);
        const told = await eventOf(events, "link_refused");
        assert.equal(told.code, stranger.code);
        if (!stranger.mutual) assert.equal(told.by, "peer");
        assert.match(told.message, stranger.reason);

        // And the other way round: a member that is told to join the stranger refuses it, too.
        const joined = await ask(a, "/api/v1/network/join", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ seed_nodes: node.addresses }),
        });
        const problem = await joined.json();
        assert.equal(joined.status, 503);
        assert.match(problem.detail, stranger.reason);

        const lines = () => logLines(a).slice(before).filter((it) => it.code === stranger.code);
        const refusal = await a.child.log("the refusal", () => lines()[0]);
        assert.equal(refusal.message, "A link was refused.");
        if (!stranger.mutual) assert.equal(refusal.by, "us");
        assert.match(String(refusal.reason), stranger.reason);
        assert.ok(refusal.remedy);
        assert.deepEqual((await linksTo(b, "a")).map((it) => it.id), [member.id]);
        const unknown = await ask(a, "/api/v1/network/peers/stranger");
        assert.equal(unknown.status, 404, "a stranger is no peer");
        await unknown.body?.cancel();
      });
    }

    await t.step(
      "a certificate renewed on disk is shown to newcomers and cuts no link",
      async () => {
        const { certificate } = nodePaths(cluster.stateDir, "a");
        await using renewing = startMycnet(
          ["init", "--config", cluster.configPath("a"), "--nodes", "a:sclerotia", "--force"],
        );
        assert.equal((await renewing.ended()).code, 0, renewing.stderr.join("\n"));
        await logged(a, "New credentials are in use");
        const renewed = new X509Certificate(await Deno.readTextFile(certificate));
        assert.equal(await shownBy(cluster.address("a")), renewed.serialNumber);
        assert.deepEqual((await linksTo(b, "a")).map((it) => it.id), [member.id]);
        // A new link is made with it, too.
        await b[Symbol.asyncDispose]();
        await using again = await cluster.start("b");
        await logged(again, "A node is linked.", { node: "a" });
      },
    );
  },
);

/** The serial number of the certificate that is shown at an address. */
function shownBy(address: string): Promise<string> {
  const [host, port] = address.split(":");
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = tls.connect({
    host,
    port: Number(port),
    ALPNProtocols: ["mycnet"],
    rejectUnauthorized: false,
  });
  socket.once("error", reject);
  socket.once("secureConnect", () => {
    const { serialNumber } = socket.getPeerCertificate();
    socket.once("close", () => resolve(serialNumber));
    socket.destroy();
  });
  return promise;
}

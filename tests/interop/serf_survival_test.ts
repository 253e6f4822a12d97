/**
 * Three nodes and three Serf agents, each a process of its own, under one key made by
 * `mycnet init`: whichever two are killed, the other four agree on it, and take them
 * back. The command line asks the survivors.
 */
import assert from "node:assert/strict";
import { freePort } from "../harness/ports.ts";
import { patienceMs, rootPath, startDeno, taskPermissions } from "../harness/processes.ts";
import { SerfAgent, serfMissing } from "../harness/serf.ts";
import { ask, type RunningProcess, TestCluster } from "../cluster/cluster.ts";

const missing = serfMissing();
if (missing !== undefined) {
  console.error(`The tests beside Serf agents cannot run here: ${missing}`);
}

const nodeIds = ["node-1", "node-2", "node-3"];
const agentIds = ["agent-1", "agent-2", "agent-3"];

/** A cluster of both kinds, whose members keep their addresses over restarts. */
class Mixed implements AsyncDisposable {
  readonly nodes = new Map<string, RunningProcess>();
  readonly agents = new Map<string, SerfAgent>();
  readonly #cluster: TestCluster;
  readonly #key: string;
  readonly #gossip = new Map(
    [...nodeIds, ...agentIds].map((id) => [id, `127.0.0.1:${freePort()}`]),
  );

  private constructor(cluster: TestCluster, key: string) {
    this.#cluster = cluster;
    this.#key = key;
  }

  static async form(): Promise<Mixed> {
    const cluster = await TestCluster.create(
      nodeIds.map((id) => ({ id, type: "sclerotia" as const })),
    );
    const [key] = JSON.parse(await Deno.readTextFile(`${cluster.stateDir}/gossip.keyring`));
    const mixed = new Mixed(cluster, key);
    for (const id of nodeIds) {
      await cluster.declare(id, [], {
        plugins: {
          sockets: {},
          file: {},
          swim: {
            bindAddress: mixed.#gossip.get(id),
            preset: "local",
            reconnectInterval: "1s",
            join: [...mixed.#gossip.values()],
          },
        },
      });
    }
    try {
      await Promise.all([...nodeIds, ...agentIds].map((id) => mixed.start(id)));
      return mixed;
    } catch (error) {
      await mixed[Symbol.asyncDispose]();
      throw error;
    }
  }

  async start(id: string): Promise<void> {
    if (nodeIds.includes(id)) this.nodes.set(id, await this.#cluster.start(id));
    else {
      this.agents.set(
        id,
        await SerfAgent.start({
          name: id,
          address: this.#gossip.get(id)!,
          key: this.#key,
          tags: { role: "agent" },
        }),
      );
    }
  }

  /** kill -9. */
  async kill(id: string): Promise<void> {
    await (this.nodes.get(id)?.child ?? this.agents.get(id)!).kill();
    this.nodes.delete(id);
    this.agents.delete(id);
  }

  /** Who is alive as each survivor sees it, the survivor's id first. */
  async views(): Promise<readonly (readonly [string, readonly string[]])[]> {
    const alive = (members: readonly { readonly id: string; readonly state: string }[]) =>
      members.filter(({ state }) => state === "alive").map(({ id }) => id).sort();
    return await Promise.all([
      ...[...this.nodes].map(async ([id, node]) => {
        const { members } = await (await ask(node, "/api/v1/network/members")).json();
        return [id, alive(members)] as const;
      }),
      ...[...this.agents].map(async ([id, agent]) => {
        const members = Object.values(await agent.members());
        return [id, alive(members.map((it) => ({ id: it.name, state: it.status })))] as const;
      }),
    ]);
  }

  /** Waits until all who run see exactly each other. Nobody announces that: look until it shows. */
  async agreed(): Promise<void> {
    const running = [...this.nodes.keys(), ...this.agents.keys()].sort();
    const deadline = performance.now() + 2 * patienceMs;
    while (true) {
      const views = await this.views();
      if (views.every(([, alive]) => alive.join() === running.join())) return;
      if (performance.now() > deadline) {
        throw new Error(
          `no agreement on ${running}:\n${views.map((it) => it.join(": ")).join("\n")}`,
        );
      }
      await new Promise((resume) => setTimeout(resume, 100));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.nodes.values(), ...this.agents.values()];
    await Promise.all(all.map((it) => it[Symbol.asyncDispose]()));
    await this.#cluster[Symbol.asyncDispose]();
  }
}

Deno.test({
  name: "three nodes and three agents survive kill -9 of any two, and take them back",
  ignore: missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1",
  async fn(context) {
    await using mixed = await Mixed.form();
    await mixed.agreed();
    const pairs = [["node-1", "node-2"], ["agent-1", "agent-2"], ["node-3", "agent-3"]];
    for (const pair of pairs) {
      await context.step(`without ${pair.join(" and ")}`, async () => {
        await Promise.all(pair.map((id) => mixed.kill(id)));
        await mixed.agreed();
        await Promise.all(pair.map((id) => mixed.start(id)));
        await mixed.agreed();
      });
    }
    await context.step("the command line lists agents beside nodes", async () => {
      const node = mixed.nodes.get("node-1")!;
      const args = ["members", "--json", "--admin", node.admin, "--token", node.token];
      await using command = startDeno([
        "run",
        "--quiet",
        "--no-prompt",
        ...taskPermissions("node"),
        `${rootPath}mod.ts`,
        ...args,
      ]);
      const members = await command.json(
        "the members",
        ({ members }) => members as { id: string; tags: Record<string, string> }[] | undefined,
      );
      assert.deepEqual(members.map(({ id }) => id), [...agentIds, ...nodeIds]);
      assert.deepEqual(members[0]!.tags, { role: "agent" });
      assert.equal(members[3]!.tags.type, "sclerotia");
      assert.equal((await command.ended()).code, 0);
    });
  },
});

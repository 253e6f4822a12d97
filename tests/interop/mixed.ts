/**
 * Three nodes and three programs of another make, each a process of its own, under
 * one key made by `mycnet init`: whichever two are killed, the other four agree on
 * it, and take them back.
 */
import { freePort } from "../harness/ports.ts";
import { patienceMs } from "../harness/processes.ts";
import { ask, type RunningProcess, TestCluster } from "../cluster/cluster.ts";

/** The nodes' ids. */
export const nodeIds: readonly string[] = ["node-1", "node-2", "node-3"];

/** A program of another make. */
export interface Foreign extends AsyncDisposable {
  /** kill -9. */
  kill(): Promise<void>;
  /** Who is alive as it sees it, itself included. */
  alive(): Promise<readonly string[]>;
}

/** How programs of another make are started, and what nodes need to speak with them. */
export interface ForeignKind {
  readonly ids: readonly string[];
  readonly interop: "serf" | "memberlist";
  start(options: { name: string; address: string; key: string }): Promise<Foreign>;
}

/** A cluster of both kinds, whose members keep their addresses over restarts. */
export class Mixed implements AsyncDisposable {
  readonly nodes: Map<string, RunningProcess> = new Map();
  readonly foreign: Map<string, Foreign> = new Map();
  readonly #kind: ForeignKind;
  readonly #cluster: TestCluster;
  readonly #key: string;
  readonly #gossip: ReadonlyMap<string, string>;

  private constructor(kind: ForeignKind, cluster: TestCluster, key: string) {
    this.#kind = kind;
    this.#cluster = cluster;
    this.#key = key;
    const ids = [...nodeIds, ...kind.ids];
    this.#gossip = new Map(ids.map((id) => [id, `127.0.0.1:${freePort()}`]));
  }

  /** Starts all six. */
  static async form(kind: ForeignKind): Promise<Mixed> {
    const cluster = await TestCluster.create(
      nodeIds.map((id) => ({ id, type: "sclerotia" as const })),
    );
    const [key] = JSON.parse(await Deno.readTextFile(`${cluster.stateDir}/gossip.keyring`));
    const mixed = new Mixed(kind, cluster, key);
    for (const id of nodeIds) {
      await cluster.declare(id, [], {
        plugins: {
          sockets: {},
          file: {},
          swim: {
            bindAddress: mixed.#gossip.get(id),
            interop: kind.interop,
            preset: "local",
            reconnectInterval: "1s",
            // The preset is thrifty, and so are the others: a word that reaches one of them too
            // late costs it a whole suspicion.
            retransmitMult: 4,
            pushPullInterval: "1s",
            join: [...mixed.#gossip.values()],
          },
        },
      });
    }
    try {
      await Promise.all([...nodeIds, ...kind.ids].map((id) => mixed.start(id)));
      return mixed;
    } catch (error) {
      await mixed[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts one that does not run. */
  async start(id: string): Promise<void> {
    if (nodeIds.includes(id)) this.nodes.set(id, await this.#cluster.start(id));
    else {
      const address = this.#gossip.get(id)!;
      this.foreign.set(id, await this.#kind.start({ name: id, address, key: this.#key }));
    }
  }

  /** kill -9. */
  async kill(id: string): Promise<void> {
    const [node, foreign] = [this.nodes.get(id), this.foreign.get(id)];
    this.nodes.delete(id);
    this.foreign.delete(id);
    await (node?.child ?? foreign!).kill();
    await (node ?? foreign!)[Symbol.asyncDispose]();
  }

  /** Who is alive as each survivor sees it, the survivor's id first. */
  async views(): Promise<readonly (readonly [string, readonly string[]])[]> {
    return await Promise.all([
      ...[...this.nodes].map(async ([id, node]) => {
        const { members } = await (await ask(node, "/api/v1/network/members")).json();
        const alive = (members as { id: string; state: string }[])
          .filter(({ state }) => state === "alive").map(({ id }) => id);
        return [id, alive.sort()] as const;
      }),
      ...[...this.foreign].map(async ([id, it]) => [id, [...await it.alive()].sort()] as const),
    ]);
  }

  /** Waits until all who run see exactly each other. Nobody announces that: look until it shows. */
  async agreed(): Promise<void> {
    const running = [...this.nodes.keys(), ...this.foreign.keys()].sort();
    const deadline = performance.now() + 2 * patienceMs;
    while (true) {
      const views = await this.views();
      if (views.every(([, alive]) => alive.join() === running.join())) return;
      if (performance.now() > deadline) {
        const seen = views.map((it) => it.join(": ")).join("\n");
        throw new Error(`no agreement on ${running}:\n${seen}`);
      }
      await new Promise((resume) => setTimeout(resume, 100));
    }
  }

  /** Kills pairs of all kinds, one pair after the other, and has them come back. */
  async survive(context: Deno.TestContext): Promise<void> {
    const [node1, node2, node3] = nodeIds as [string, string, string];
    const [other1, other2, other3] = this.#kind.ids as [string, string, string];
    for (const pair of [[node1, node2], [other1, other2], [node3, other3]]) {
      await context.step(`without ${pair.join(" and ")}`, async () => {
        await Promise.all(pair.map((id) => this.kill(id)));
        await this.agreed();
        await Promise.all(pair.map((id) => this.start(id)));
        await this.agreed();
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.nodes.values(), ...this.foreign.values()];
    await Promise.all(all.map((it) => it[Symbol.asyncDispose]()));
    await this.#cluster[Symbol.asyncDispose]();
  }
}

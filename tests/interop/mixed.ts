/**
 * Three nodes and three programs of another make, each a process of its own, under
 * one key made by `mycnet init`: whichever two are killed, the other four agree on
 * who is dead, speak with each other, and take them back.
 */
import assert from "node:assert/strict";
import { readEvents } from "../../core/cli/sse.ts";
import { freePort } from "../harness/ports.ts";
import { patienceMs } from "../harness/processes.ts";
import { ask, type RunningProcess, TestCluster } from "../cluster/cluster.ts";
import { until } from "../cluster/gossip.ts";

/** The nodes' ids. */
export const nodeIds: readonly string[] = ["node-1", "node-2", "node-3"];

/** A program of another make. */
export interface Foreign extends AsyncDisposable {
  /** kill -9. */
  kill(): Promise<void>;
  /** Who is alive as it sees it, itself included. */
  alive(): Promise<readonly string[]>;
  /** Whom it calls failed; absent where it cannot tell. */
  failed?(): Promise<readonly string[]>;
  /** Resolves once a user event of a name has reached it; absent where there are none. */
  heard?(event: string): Promise<unknown>;
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

  /** What each survivor says, by its id: who is alive and who has failed, in order. */
  async views(): Promise<Readonly<Record<string, string>>> {
    const shown = (id: string, alive: readonly string[], failed?: readonly string[]) => {
      const gone = failed === undefined ? "" : `, failed ${[...failed].sort().join(" ")}`;
      return [id, `alive ${[...alive].sort().join(" ")}${gone}`] as const;
    };
    const views = await Promise.all([
      ...[...this.nodes].map(async ([id, node]) => {
        const { members } = await (await ask(node, "/api/v1/network/members")).json();
        const having = (wanted: string) =>
          (members as { id: string; state: string }[])
            .filter(({ state }) => state === wanted).map(({ id }) => id);
        return shown(id, having("alive"), having("dead"));
      }),
      ...[...this.foreign].map(async ([id, it]) =>
        shown(id, await it.alive(), await it.failed?.())
      ),
    ]);
    return Object.fromEntries(views);
  }

  /**
   * Waits until all who run see exactly each other alive, and whoever does not run as
   * failed. Nobody announces that: look until it shows.
   */
  async agreed(): Promise<void> {
    const running = [...this.nodes.keys(), ...this.foreign.keys()].sort();
    const gone = [...this.#gossip.keys()].filter((id) => !running.includes(id)).sort();
    const alive = `alive ${running.join(" ")}`;
    const wanted = [alive, `${alive}, failed ${gone.join(" ")}`];
    const deadline = performance.now() + 2 * patienceMs;
    while (true) {
      const views = await this.views();
      if (Object.values(views).every((it) => wanted.includes(it))) return;
      if (performance.now() > deadline) {
        throw new Error(`no agreement on ${wanted[1]}:\n${JSON.stringify(views, undefined, 2)}`);
      }
      await new Promise((resume) => setTimeout(resume, 100));
    }
  }

  /** A user event reaches all who run, and a query is acknowledged by all of them. */
  async speak(event: string): Promise<void> {
    const body = (what: Record<string, unknown>): RequestInit => ({
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify(what),
    });
    const nodes = [...this.nodes.values()];
    const counted = async (node: RunningProcess): Promise<number> =>
      (await (await ask(node, "/api/v1/network/gossip")).json()).counters.user_events;
    const before = await Promise.all(nodes.map(counted));
    const sent = await ask(nodes[0]!, "/api/v1/network/gossip/event", body({ name: event }));
    assert.ok(sent.ok, await sent.text());
    await Promise.all([...this.foreign.values()].map((it) => it.heard!(event)));
    for (const [at, node] of nodes.entries()) {
      await until(`event ${event} at ${node.id}`, async () => await counted(node) > before[at]!);
    }
    const everybody = [...this.nodes.keys(), ...this.foreign.keys()].sort();
    // A query is a rumour that is told a few times and not kept, and some of its packets go to the
    // two who have just died: one that misses somebody is the protocol's to lose, so ask again.
    for (let tries = 10;; tries--) {
      const acks = await this.#acksOf(nodes.at(-1)!, everybody.length, body);
      if (acks.join() === everybody.join()) return;
      assert.ok(tries > 1, `of ${everybody} only ${acks} answer`);
    }
  }

  /** Who acknowledges one query in time. */
  async #acksOf(
    asker: RunningProcess,
    enough: number,
    body: (what: Record<string, unknown>) => RequestInit,
  ): Promise<string[]> {
    const query = { name: "anybody", ack: true, timeout: "2s" };
    const answer = await ask(asker, "/api/v1/network/gossip/query", body(query));
    const acks: string[] = [];
    for await (const { name, data } of readEvents(answer.body!)) {
      if (name === "item") acks.push(JSON.parse(data).from);
      if (acks.length === enough || name === "end" || name === "error") break;
    }
    return acks.sort();
  }

  /** Kills two, sees how the others do, and has the two come back. */
  async survive(pair: readonly string[]): Promise<void> {
    await Promise.all(pair.map((id) => this.kill(id)));
    await this.agreed();
    if (this.#kind.interop === "serf") await this.speak(`without-${pair.join("-and-")}`);
    await Promise.all(pair.map((id) => this.start(id)));
    await this.agreed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.nodes.values(), ...this.foreign.values()];
    await Promise.all(all.map((it) => it[Symbol.asyncDispose]()));
    await this.#cluster[Symbol.asyncDispose]();
  }
}

/**
 * Kills every pair of the six, one pair after the other, in two clusters at a time.
 * @throws naming each pair that was not survived.
 */
export async function surviveAllPairs(kind: ForeignKind): Promise<void> {
  const ids = [...nodeIds, ...kind.ids];
  const pairs = ids.flatMap((id, at) => ids.slice(at + 1).map((other) => [id, other]));
  assert.equal(pairs.length, 15);
  const run = async () => {
    await using mixed = await Mixed.form(kind);
    await mixed.agreed();
    for (let pair = pairs.shift(); pair !== undefined; pair = pairs.shift()) {
      try {
        await mixed.survive(pair);
      } catch (error) {
        throw new Error(`without ${pair.join(" and ")}: ${(error as Error).message}`);
      }
    }
  };
  const runs = await Promise.allSettled([run(), run()]);
  const failures = runs.flatMap((it) => it.status === "rejected" ? [it.reason.message] : []);
  assert.deepEqual(failures, []);
}

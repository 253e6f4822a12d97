/**
 * What the whole-node simulations share: a cluster of servers and callers in
 * virtual time, a service that writes down each execution, load, and faults.
 *
 * How many seeds: what each scenario says, chosen so that all of them together
 * take half a minute. `deno task sim --seeds 500` gives 500 to those that have
 * 10 and to the others in proportion; `--from 1000` begins elsewhere.
 */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { z } from "zod";
import { type CallError, type Client, codeOf, defineService, type Node } from "../../mod.ts";
import {
  type CrashOptions,
  type LinkConditions,
  type SimNode,
  simulate,
  simulatedNode,
  type SimulateOptions,
  type Simulation,
} from "../../simulation.ts";

const { values: given } = parseArgs({
  args: Deno.args,
  strict: false,
  options: { seeds: { type: "string" }, from: { type: "string" } },
});

/** What `--seeds` is the number for. */
const usualSeeds = 10;

/** A scenario over many seeds, each run twice. */
export function scenario(
  sentence: string,
  options: Omit<SimulateOptions, "seed"> & { readonly seeds: number },
  script: (sim: Simulation) => Promise<void>,
): void {
  const { seeds, ...simulation } = options;
  const count = given.seeds === undefined
    ? seeds
    : Math.ceil(Number(given.seeds) * seeds / usualSeeds);
  const from = Number(given.from ?? 1);
  Deno.test(`${sentence} (${count} seeds from ${from})`, async () => {
    for (let seed = from; seed < from + count; seed++) {
      await simulate({ ...simulation, seed }, script);
    }
  });
}

/** A wide-area network that loses and delays. */
export const lossy: Partial<LinkConditions> = {
  delay: { kind: "exponential", minMs: 5, meanMs: 20 },
  loss: 0.02,
};

/** Work that tells who did it. `again` may run twice, `once` must not. */
export const work = defineService("work", {
  version: 1,
  methods: {
    again: { input: z.object({ id: z.int() }), output: z.string(), idempotent: true },
    once: { input: z.object({ id: z.int() }), output: z.string() },
    count: { input: z.object({ to: z.int() }), stream: z.int(), idempotent: true },
  },
});

/** What became of calls, seen from outside of the cluster. */
export class Book {
  /** How often each call's handler ran. */
  readonly executions = new Map<number, number>();
  /** How many calls each start of a server (`name#incarnation`) ran. */
  readonly byServer = new Map<string, number>();
  /** Calls that were answered. */
  answered = 0;
  /** Calls that failed, with what they failed with. */
  readonly failed: { readonly id: number; readonly error: CallError; readonly tookMs: number }[] =
    [];
  /** The longest that an answered call took, in virtual ms. */
  slowestMs = 0;
  #ids = 0;

  /** A call that nobody made yet. */
  nextId(): number {
    return ++this.#ids;
  }

  /** A handler ran. */
  executed(id: number, server: string): void {
    this.executions.set(id, (this.executions.get(id) ?? 0) + 1);
    this.byServer.set(server, (this.byServer.get(server) ?? 0) + 1);
  }

  /** No call ran twice, none that was answered did not run, and none ran that is said to have not. */
  assertAtMostOnce(): void {
    const failed = new Map(this.failed.map((it) => [it.id, it.error]));
    for (let id = 1; id <= this.#ids; id++) {
      const runs = this.executions.get(id) ?? 0;
      const error = failed.get(id);
      assert.ok(runs <= 1, `call ${id} ran ${runs} times; it ended with ${error?.message ?? "ok"}`);
      if (error === undefined) assert.equal(runs, 1, `call ${id} was answered without having run`);
      else if (!error.mayHaveRun) {
        assert.equal(runs, 0, `call ${id} ran, but its failure says it did not: ${error.message}`);
      }
    }
  }

  /** Every call was answered. */
  assertAllAnswered(): void {
    const [first] = this.failed;
    if (first === undefined) return;
    const { id, error, tookMs } = first;
    assert.fail(
      `${this.failed.length} of ${this.failed.length + this.answered} calls failed, first call ` +
        `${id} after ${tookMs.toFixed(0)} ms: ${error.code}: ${error.message}`,
    );
  }
}

/** A cluster of servers (s1, s2 ...) and callers (c1, c2 ...), and what becomes of its calls. */
export class World {
  readonly sim: Simulation;
  readonly book: Book = new Book();
  readonly servers: SimNode<Node>[] = [];
  readonly callers: SimNode<Node>[] = [];
  #loading = false;
  readonly #load: Promise<void>[] = [];
  readonly #taken = new Set<SimNode<Node>>();

  constructor(sim: Simulation) {
    this.sim = sim;
  }

  /** Every node. */
  get nodes(): readonly SimNode<Node>[] {
    return [...this.servers, ...this.callers];
  }

  /** Starts them and waits until each server is linked to all. */
  static async start(
    sim: Simulation,
    { servers, callers, handlerMs = 0 }: {
      readonly servers: number;
      readonly callers: number;
      /** How long a handler takes at most. */
      readonly handlerMs?: number;
    },
  ): Promise<World> {
    const world = new World(sim);
    const { book } = world;
    const names = Array.from({ length: servers }, (_, at) => `s${at + 1}`);
    const bare = simulatedNode({ plugins: { static: { seeds: names.map((it) => `${it}:7000`) } } });
    for (const name of names) {
      world.servers.push(
        await sim.node(name, async (host, context) => {
          const node = await bare(host, context);
          const self = `${name}#${context.incarnation}`;
          const run = async (id: number) => {
            book.executed(id, self);
            if (handlerMs > 0) await host.sleep(host.random() * handlerMs);
            return self;
          };
          node.serve(work, {
            again: ({ id }) => run(id),
            once: ({ id }) => run(id),
            async *count({ to }) {
              for (let at = 1; at <= to; at++) {
                yield at;
                if (handlerMs > 0) await host.sleep(host.random() * handlerMs);
              }
            },
          });
          return node;
        }),
      );
    }
    for (let at = 1; at <= callers; at++) world.callers.push(await sim.node(`c${at}`, bare));
    // Seeds name no ids, so two nodes may dial each other once more to find out that they need not.
    await sim.run(2000);
    await world.whole();
    return world;
  }

  /** Lets time pass until every running node has one link to every running server, and knows what it serves. */
  async whole(maxMs = 60_000): Promise<void> {
    await this.sim.until(() => this.isWhole(), maxMs);
  }

  /** See {@linkcode World.whole}. */
  isWhole(): boolean {
    const running = this.nodes.filter(({ state }) => state === "running");
    const serving = this.servers.filter(({ state }) => state === "running");
    return running.every((node) =>
      serving.every((server) => server === node || isSettled(node, server) && knows(node, server))
    );
  }

  /** Makes calls without pause, `width` at once from each caller, until {@linkcode World.rest}. */
  load(
    method: "again" | "once",
    { width, timeoutMs, attempts, pauseMs = 100 }: {
      readonly width: number;
      readonly timeoutMs: number;
      /** Default: that of the runtime. */
      readonly attempts?: number;
      /** Between one call and the next, at most. */
      readonly pauseMs?: number;
    },
  ): void {
    this.#loading = true;
    for (const caller of this.callers) {
      const client = caller.value.client(work, attempts === undefined ? {} : { attempts });
      for (let at = 0; at < width; at++) {
        const lane = async () => {
          while (this.#loading) {
            await this.call(client, method, timeoutMs);
            await this.sim.run(this.sim.random.float() * pauseMs);
          }
        };
        this.#load.push(this.sim.track(`load of ${caller.name}`, lane()));
      }
    }
  }

  /** Ends the load and waits for the calls under way. */
  async rest(): Promise<void> {
    this.#loading = false;
    await Promise.all(this.#load.splice(0));
  }

  /** Makes one call and books it. */
  async call(
    client: Client<typeof work>,
    method: "again" | "once",
    timeoutMs: number,
  ): Promise<string | undefined> {
    const { book, sim } = this;
    const id = book.nextId();
    const begun = sim.now;
    try {
      const server = await client[method]({ id }, { timeout: timeoutMs });
      book.answered++;
      book.slowestMs = Math.max(book.slowestMs, sim.now - begun);
      return server;
    } catch (error) {
      assert.ok(codeOf(error), `a failure without a code: ${error}`);
      book.failed.push({ id, error: error as CallError, tookMs: sim.now - begun });
      return undefined;
    }
  }

  /** Makes an idempotent call from within a handler of a node. */
  nested(node: Node, id: number): Promise<string> {
    return node.client(work).again({ id });
  }

  /** Has a node's peers, and all that rests on them, start anew with another configuration. */
  async reload({ value }: SimNode<Node>, peers: Readonly<Record<string, unknown>>): Promise<void> {
    const { started } = await this.sim.track(
      "reload",
      value.reconfigure({ plugins: { peers } }),
    );
    assert.ok(started.some(({ id }) => id === "services"), "nothing was started anew");
  }

  /** A random server. */
  anyServer(): SimNode<Node> {
    return this.sim.random.pick(this.servers);
  }

  /** A random way to die. */
  anyDeath(): Required<Pick<CrashOptions, "connections">> {
    return { connections: this.sim.random.pick(["silent", "reset", "clean"]) };
  }

  /** Does `count` things, at random moments, that a cluster has to live with, `lanes` at a time, and undoes them. */
  async chaos(count: number, lanes: number): Promise<void> {
    let left = count;
    const lane = async () => {
      while (left-- > 0) {
        await this.sim.run(this.sim.random.float() * 2000);
        await this.#trouble();
      }
    };
    await Promise.all(Array.from({ length: lanes }, () => this.sim.track("chaos", lane())));
  }

  async #trouble(): Promise<void> {
    const { sim } = this;
    const { random } = sim;
    const node = random.pick(this.nodes);
    const forMs = random.float() * 8000;
    const others = this.nodes.map(({ name }) => name).filter((it) => it !== node.name);
    const kinds: Record<string, () => Promise<void> | void> = {
      crash: () =>
        this.#restarting(async (server) => {
          server.crash(this.anyDeath());
          await sim.run(forMs);
        }),
      stop: () =>
        this.#restarting(async (server) => {
          await server.stop();
          await sim.run(forMs);
        }),
      crashWhileStopping: () =>
        this.#restarting(async (server) => {
          const stopped = server.stop().catch((error) => assert.equal(codeOf(error), "closed"));
          await sim.run(random.float() * 50);
          server.crash(this.anyDeath());
          await stopped;
        }),
      pause: () => node.pause(random.float() * 6000),
      split: async () => {
        const side = this.nodes.filter(() => random.chance(0.5)).map(({ name }) => name);
        using _cut = sim.partition(side, [node.name, ...others].filter((it) => !side.includes(it)));
        await sim.run(forMs);
      },
      deafen: async () => {
        using _cut = sim.partitionOneWay(others, [node.name]);
        await sim.run(forMs);
      },
      mute: async () => {
        using _cut = sim.partitionOneWay([node.name], others);
        await sim.run(forMs);
      },
      // Forwards only, since the generation of a simulated node is the time of its start.
      clock: () => node.clock.step(random.float() * 3_600_000),
    };
    const kind = random.pick(Object.keys(kinds));
    sim.note(`trouble: ${kind} ${node.name} for ${forMs.toFixed(0)} ms`);
    await kinds[kind]();
  }

  /** Takes a server that nobody else is taking down, does it in, and starts it again. */
  async #restarting(down: (server: SimNode<Node>) => Promise<void>): Promise<void> {
    const up = this.servers.filter((it) => it.state === "running" && !this.#taken.has(it));
    if (up.length === 0) return;
    const server = this.sim.random.pick(up);
    this.#taken.add(server);
    await down(server);
    await server.start();
    this.#taken.delete(server);
  }
}

/** Whether a node has a link that is up to another. */
export function isLinked({ value }: SimNode<Node>, name: string): boolean {
  const peer = value.members().find(({ id }) => id === name);
  return peer?.links.some(({ state, health }) => state === "up" && health !== "unhealthy") ?? false;
}

/** Whether a node has one link to the present start of another, and it is up: of two that were dialled at once, the loser is gone. */
export function isSettled({ value }: SimNode<Node>, other: SimNode<Node>): boolean {
  const peer = value.members().find(({ id }) => id === other.name);
  if (peer?.generation !== other.value.self.generation || peer.links.length !== 1) return false;
  const [{ state, health }] = peer.links;
  return state === "up" && health !== "unhealthy";
}

/** Whether a node has the other's own record, at its present version. */
export function knows({ value }: SimNode<Node>, other: SimNode<Node>): boolean {
  const own = other.value.services().find(({ node }) => node === other.name);
  const seen = value.services().find(({ node }) => node === other.name);
  return own !== undefined && seen !== undefined && seen.generation === own.generation &&
    seen.version === own.version;
}

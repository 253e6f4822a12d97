/**
 * A simulation as its script sees it: nodes, faults, and the passing of time.
 *
 * The script is an async function. While it awaits anything, whether `run()`,
 * `until()` or the answer of a node, events fire one at a time, and after each
 * the real event loop is crossed once, so that all work which the event set in
 * motion is done before virtual time moves on. The driver of that is in
 * simulate.ts; here are the script's verbs.
 */
import { MycnetError } from "../kernel/errors.ts";
import { MachineClock } from "./clock.ts";
import type { LinkConditions } from "./machine.ts";
import { Network } from "./network.ts";
import {
  type CrashOptions,
  type NodeWorld,
  SimNode,
  type StartNode,
  type Stoppable,
} from "./node.ts";
import { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import type { SimLogLine } from "./sim_host.ts";
import { SimDisk } from "./store.ts";
import type { Trace } from "./trace.ts";
import type { SimTransportOptions } from "./transport.ts";
import { callSite, Waits } from "./waits.ts";

/** What a simulation is made with. */
export interface SimulationOptions {
  /** What determines everything. */
  readonly seed: number | string;
  /** Conditions between all nodes unless set apart. Default: a fast local network without faults. */
  readonly network?: Partial<LinkConditions>;
  /** Who peers are on simulated links. */
  readonly transport?: SimTransportOptions;
  /** Wall-clock ms since the Unix epoch at the start. Default 2026-01-01T00:00:00Z. */
  readonly startWallTime?: number;
}

/** Log lines kept for {@linkcode Simulation.logs}. */
const maxLogLines = 10_000;
const defaultWallTime = 1_767_225_600_000;
/** How long `until` waits unless told. */
const defaultUntilMs = 60_000;

interface Watcher {
  readonly condition: () => boolean;
  readonly met: () => void;
  readonly failed: (error: unknown) => void;
}

/** A run under way. */
export class Simulation {
  /** What determines everything. */
  readonly seed: number | string;
  /** Virtual time and what happens in it. Bare protocol machines may use it beside nodes. */
  readonly scheduler: Scheduler;
  /** The network, for faults beyond the verbs below, and for bare machines. */
  readonly network: Network;
  /** A stream of randomness for the script itself. */
  readonly random: Random;
  readonly #trace: Trace;
  readonly #root: Random;
  readonly #startWallTime: number;
  readonly #nodes = new Map<string, SimNode>();
  readonly #waits = new Waits();
  readonly #world: NodeWorld;
  readonly #logs: SimLogLine[] = [];
  #watchers: Watcher[] = [];
  #failure: { readonly error: unknown } | undefined;
  #lastCall = "";

  /** Made by `simulate()`. */
  constructor(options: SimulationOptions, trace: Trace) {
    const root = new Random(options.seed);
    this.seed = options.seed;
    this.#root = root;
    this.#trace = trace;
    this.#startWallTime = options.startWallTime ?? defaultWallTime;
    this.random = root.fork("script");
    this.scheduler = new Scheduler();
    this.network = new Network({
      scheduler: this.scheduler,
      random: root.fork("network"),
      trace: (line) => trace.add(line),
      onHandlerError: (who, error) =>
        this.fail(`a handler of ${who} threw, which it must not`, error),
      ...(options.network === undefined ? {} : { conditions: options.network }),
    });
    this.#world = {
      network: this.network,
      random: root.fork("node"),
      trace,
      transport: options.transport ?? {},
      onLog: (line) => {
        if (this.#logs.length >= maxLogLines) this.#logs.shift();
        this.#logs.push(line);
      },
      track: (what, work) => this.#waits.track(what, this.now, work),
    };
  }

  /** Virtual ms since the start. */
  get now(): number {
    return this.scheduler.now;
  }

  /** What nodes logged: the last 10,000 lines. */
  get logs(): readonly SimLogLine[] {
    return this.#logs;
  }

  /** Every node made so far. */
  get nodes(): readonly SimNode[] {
    return [...this.#nodes.values()];
  }

  /**
   * Starts a node.
   * @param name its host name on the network: `[a-z0-9._-]{1,63}`.
   * @param start run at every start of the node.
   * @returns the node, running.
   */
  async node<T extends Stoppable>(name: string, start: StartNode<T>): Promise<SimNode<T>> {
    this.#called(`sim.node(${JSON.stringify(name)})`);
    if (this.#nodes.has(name)) {
      throw new MycnetError(
        "simulation_failed",
        `there is a node ${name} already; restart it instead`,
      );
    }
    this.network.machine(name); // Throws if the name will not do.
    const random = this.#root.fork(`machine/${name}`);
    const startMonotonic = 1000 * (1 + random.below(1_000_000));
    const clock = new MachineClock(this.scheduler, this.#startWallTime, startMonotonic);
    const note = (line: string) => this.#trace.add(`${this.now.toFixed(3)} ${name} ${line}`);
    const disk = new SimDisk(this.scheduler, random.fork("disk"), note);
    const node = new SimNode(name, clock, disk, this.#world, start);
    this.#nodes.set(name, node as unknown as SimNode);
    await node.start();
    return node;
  }

  /** Kills a node on the spot. */
  crash(name: string, options?: CrashOptions): void {
    this.#node(name).crash(options);
  }

  /** Starts a node that crashed or was stopped; one that runs crashes first. */
  async restart(name: string, options?: CrashOptions): Promise<void> {
    this.#called(`sim.restart(${JSON.stringify(name)})`);
    const node = this.#node(name);
    node.crash(options);
    await node.start();
  }

  /** Stops a node in good order. */
  async stop(name: string): Promise<void> {
    this.#called(`sim.stop(${JSON.stringify(name)})`);
    await this.#node(name).stop();
  }

  /** A node's event loop takes nothing in for `ms`: timers, bytes and datagrams wait. */
  pause(name: string, ms: number): void {
    this.#node(name).pause(ms);
  }

  /** A node's clocks: `step`, `skew`, `drift`. */
  clock(name: string): MachineClock {
    return this.#node(name).clock;
  }

  /** Cuts groups of nodes off from each other, until disposed of or healed. */
  partition(...groups: readonly (readonly string[])[]): Disposable {
    return this.network.partition(groups);
  }

  /** Nothing from the first group reaches the second, while the way back stays open. */
  partitionOneWay(from: readonly string[], to: readonly string[]): Disposable {
    return this.network.partitionOneWay(from, to);
  }

  /** Ends every partition. */
  heal(): void {
    this.network.heal();
  }

  /** Breaks every connection between two nodes; they may dial again at once. */
  reset(a: string, b: string): void {
    this.network.reset(a, b);
  }

  /** Changes the conditions between two nodes in both directions. */
  link(a: string, b: string, conditions: Partial<LinkConditions>): void {
    this.network.setConditions(a, b, conditions);
    this.network.setConditions(b, a, conditions);
  }

  /** Lets `ms` of virtual time pass. */
  run(ms: number): Promise<void> {
    this.#called(`sim.run(${ms})`);
    return new Promise((resolve) => {
      this.scheduler.after(ms, () => resolve());
    });
  }

  /**
   * Lets time pass until a condition holds, which is asked after every event.
   * Rejects with code `timeout` after `maxMs` (default 60 s).
   */
  until(condition: () => boolean, maxMs: number = defaultUntilMs): Promise<void> {
    const place = this.#called("sim.until()");
    return new Promise((resolve, reject) => {
      if (condition()) return resolve();
      const forget = () => {
        timer[Symbol.dispose]();
        this.#watchers = this.#watchers.filter((other) => other !== watcher);
      };
      const failed = (error: unknown) => {
        forget();
        reject(error);
      };
      const watcher: Watcher = {
        condition,
        met: () => {
          forget();
          resolve();
        },
        failed,
      };
      const timer = this.scheduler.after(maxMs, () => {
        const what = condition.toString().replaceAll(/\s+/g, " ").slice(0, 200);
        failed(
          new MycnetError("timeout", `not so within ${maxMs} virtual ms: ${what}, at ${place}`),
        );
      });
      this.#watchers.push(watcher);
    });
  }

  /** Writes a line to the trace: what two runs must agree on, and what the report of a failure shows. */
  note(text: string): void {
    this.#trace.add(`${this.now.toFixed(3)} script ${text}`);
  }

  /** Names a promise in the report of a run that hangs. */
  track<T>(what: string, work: Promise<T>): Promise<T> {
    return this.#waits.track(what, this.now, work);
  }

  /** Ends the run with a failure. */
  fail(message: string, cause?: unknown): void {
    const detail = cause instanceof Error ? `: ${cause.message}` : "";
    this.#failure ??= {
      error: new MycnetError("simulation_failed", `${message}${detail}`, { cause }),
    };
  }

  /** For the driver: what went wrong beside the script, if anything did. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** For the driver: resolves what waits for conditions that hold now. True if there was any. */
  settleWatchers(): boolean {
    let any = false;
    for (const watcher of this.#watchers) {
      try {
        if (!watcher.condition()) continue;
        watcher.met();
      } catch (error) {
        watcher.failed(error);
      }
      any = true;
    }
    return any;
  }

  /** For the driver: who waits, a line each. */
  waiting(): string[] {
    const script = this.#lastCall === "" ? "the script" : `the script, after ${this.#lastCall}`;
    return [...this.#waits.describe(), script];
  }

  /** For the driver: stops what runs, the latest first. */
  async stopAll(): Promise<void> {
    for (const node of this.nodes.toReversed()) {
      if (node.state === "running") await node.stop();
    }
  }

  /** For the driver: ends everything on the spot. */
  abandon(): void {
    for (const node of this.#nodes.values()) node.abandon();
  }

  #node(name: string): SimNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new MycnetError("simulation_failed", `there is no node ${name}`);
    return node;
  }

  /** Remembers where the script stands. */
  #called(what: string): string {
    const place = callSite();
    this.#lastCall = `${what} at ${place}`;
    return place;
  }
}

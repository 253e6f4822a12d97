/**
 * A simulated node: a machine (its clock, its disk, its name on the network)
 * and on it one process after another.
 *
 * Each start makes a new incarnation: a new event loop, a new Host and a new
 * stream of randomness. A crash kills the loop and tells nobody inside: what
 * the old incarnation still holds can run no more, and its connections end as
 * the operating system or the lack of power would end them.
 */
import { type Datagrams, datagrams as datagramsCapability } from "../contracts/datagrams.ts";
import { databases as databasesCapability } from "../contracts/databases.ts";
import { sockets as socketsCapability } from "../contracts/sockets.ts";
import { type Store, store as storeCapability } from "../contracts/store.ts";
import { type Transport, transport as transportCapability } from "../contracts/transport.ts";
import type { Entry } from "../kernel/entry.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { Host } from "../kernel/host.ts";
import type { Plugin } from "../kernel/plugin.ts";
import type { MachineClock } from "./clock.ts";
import { SimDatabases, simulatedDatabases } from "./databases.ts";
import { simulatedDatagrams } from "./datagrams.ts";
import { Loop } from "./loop.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import { SimHost, type SimLogLine } from "./sim_host.ts";
import { simulatedSockets } from "./sockets.ts";
import { type SimDisk, simulatedStore } from "./store.ts";
import type { Trace } from "./trace.ts";
import { plainTransport, type SimTransportOptions, simulatedTransport } from "./transport.ts";

/** The least that a started node can do. */
export interface Stoppable {
  /** Stops it in good order. */
  stop(): Promise<void>;
}

/** Starts a node on a host. Its plugins must have been imported before. */
export type StartNode<T extends Stoppable> = (host: Host, context: NodeContext) => Promise<T>;

/** What a starting node is given beside its Host. */
export interface NodeContext {
  /** The name of the machine: its host name on the simulated network. */
  readonly name: string;
  /** 1 at the first start, and one more at each further one. */
  readonly incarnation: number;
  /** A simulated transport, for nodes that declare none: `{ bindAddress?: "host:port" | false }`. */
  readonly transport: Plugin<Transport>;
  /** Simulated datagrams: `{ bindAddress?: "host:port" }`. */
  readonly datagrams: Plugin<Datagrams>;
  /** This machine's disk as a store plugin; no configuration. */
  readonly store: Plugin<Store>;
  /**
   * The same declaration with every transport, datagrams, sockets, store and databases plugin
   * replaced by its simulated stand-in, and every set-up named while it is
   * awaited. The same plugin gives the same stand-in, so a later declaration
   * can be compared with an earlier one.
   */
  substitute(entries: readonly Entry[]): Entry[];
  /** Names a promise in the report of a run that hangs. */
  track<T>(what: string, work: Promise<T>): Promise<T>;
}

/** How a node dies. */
export interface CrashOptions {
  /**
   * What its peers notice. `reset`: connections are reset. `clean`: what was
   * written still arrives, then the end, as after `kill -9`. `silent`: nothing,
   * as when power is lost; dialling it times out until it restarts. Default `reset`.
   */
  readonly connections?: "reset" | "clean" | "silent";
  /**
   * Whether its store loses what was not synced, as when power is lost. A killed
   * process alone loses nothing that it wrote: false. Default true, the unkinder.
   */
  readonly loseUnsynced?: boolean;
}

/** What all nodes share. */
export interface NodeWorld {
  /** What connects them. */
  readonly network: Network;
  /** Each incarnation draws from a fork of it. */
  readonly random: Random;
  /** Where what they do is written. */
  readonly trace: Trace;
  /** How their transports know peers. */
  readonly transport: SimTransportOptions;
  /** Told of every line they log. */
  readonly onLog: (line: SimLogLine) => void;
  /** Names a promise in the report of a run that hangs. */
  track<T>(what: string, work: Promise<T>): Promise<T>;
}

/** Where a node is in its life. */
export type NodeState = "new" | "starting" | "running" | "stopping" | "stopped" | "crashed";

/** A machine and what runs on it. */
export class SimNode<T extends Stoppable = Stoppable> {
  readonly #world: NodeWorld;
  readonly #start: StartNode<T>;
  /** They survive crashes. */
  readonly #databases = new SimDatabases();
  #state: NodeState = "new";
  #incarnation = 0;
  #loop: Loop;
  #host: SimHost | undefined;
  #value: T | undefined;
  #crashed: (error: Error) => void = () => {};

  /** Made by `sim.node()`. */
  constructor(
    /** Its name on the network. */
    readonly name: string,
    /** Its clocks; they survive crashes. */
    readonly clock: MachineClock,
    /** Its disk; it survives crashes. */
    readonly disk: SimDisk,
    world: NodeWorld,
    start: StartNode<T>,
  ) {
    this.#world = world;
    this.#start = start;
    this.#loop = new Loop(world.network.scheduler, name);
  }

  /** Where it is in its life. */
  get state(): NodeState {
    return this.#state;
  }

  /** How often it was started. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /** What its start function returned. @throws with code `closed` unless it runs. */
  get value(): T {
    if (this.#state !== "running") {
      throw new MycnetError("closed", `node ${this.name} is ${this.#state}`);
    }
    return this.#value!;
  }

  /** The Host of the present incarnation. @throws with code `closed` before the first start. */
  get host(): Host {
    if (this.#host === undefined) throw new MycnetError("closed", `node ${this.name} is new`);
    return this.#host;
  }

  /** Starts the next incarnation. Rejects as the start function does, or with code `closed` if it crashes meanwhile. */
  async start(): Promise<void> {
    if (this.#state === "starting" || this.#state === "running" || this.#state === "stopping") {
      throw new MycnetError("simulation_failed", `node ${this.name} is ${this.#state} already`);
    }
    const { network, random, trace, onLog } = this.#world;
    const { scheduler } = network;
    this.#state = "starting";
    const incarnation = ++this.#incarnation;
    const label = incarnation === 1 ? this.name : `${this.name}#${incarnation}`;
    const loop = this.#loop = new Loop(scheduler, label);
    network.machine(this.name).up = true;
    this.#note("starts");
    const host = this.#host = new SimHost({
      scheduler,
      loop,
      clock: this.clock,
      random: random.fork(label),
      trace,
      onLog,
    });
    const crashed = new Promise<never>((_resolve, reject) => this.#crashed = reject);
    const started = this.#start(host, this.#context(loop));
    started.catch(() => {}); // Nobody hears of it if the crash comes first.
    try {
      const start = this.#world.track(`node "${label}": its start`, started);
      const value = await Promise.race([start, crashed]);
      this.#value = value;
      this.#state = "running";
      this.#note("runs");
    } catch (error) {
      if (this.#loop === loop && this.#state === "starting") {
        this.#state = "crashed";
        this.#kill({});
      }
      throw error;
    }
  }

  /** Stops it in good order. Rejects as its `stop` does, or with code `closed` if it crashes meanwhile. */
  async stop(): Promise<void> {
    const value = this.value;
    const loop = this.#loop;
    this.#state = "stopping";
    const crashed = new Promise<never>((_resolve, reject) => this.#crashed = reject);
    const stopped = value.stop();
    stopped.catch(() => {});
    try {
      await Promise.race([
        this.#world.track(`node "${loop.label}": its stop`, stopped),
        crashed,
      ]);
    } finally {
      if (this.#loop === loop && this.#state === "stopping") {
        this.#state = "stopped";
        this.#note("stopped");
        this.#kill({ connections: "clean", loseUnsynced: false });
      }
    }
  }

  /** It dies on the spot. Nothing happens if it does not run. */
  crash(options: CrashOptions = {}): void {
    if (!this.#loop.alive || this.#incarnation === 0) return;
    this.#note(`crashes ${options.connections ?? "reset"}`);
    this.#state = "crashed";
    this.#kill(options);
    this.#crashed(new MycnetError("closed", `node ${this.name} crashed`));
  }

  /** The run is over: it does nothing more, and nobody is told. */
  abandon(): void {
    this.#loop.kill();
    this.#databases[Symbol.dispose]();
  }

  /** Its event loop takes nothing in for a while. */
  pause(ms: number): void {
    this.#note(`pauses ${ms} ms`);
    this.#loop.pause(ms);
  }

  #kill({ connections = "reset", loseUnsynced = true }: CrashOptions): void {
    const machine = this.#world.network.machine(this.name);
    this.#loop.kill();
    this.#value = undefined;
    for (const end of [...machine.ends]) {
      if (connections === "reset") end.reset();
      else if (connections === "clean") end.orphan();
      else end.abandon();
    }
    machine.listeners.clear();
    machine.sockets.clear();
    machine.up = connections !== "silent";
    this.disk.crash(loseUnsynced);
  }

  #context(loop: Loop): NodeContext {
    const { network, transport } = this.#world;
    const place = { network, machine: network.machine(this.name), loop };
    const track = <V>(what: string, work: Promise<V>) =>
      this.#world.track(`node "${loop.label}": ${what}`, work);
    const stand = (plugin: Plugin<unknown>): Plugin<unknown> => {
      switch (plugin.provides.id) {
        case transportCapability.id:
          return simulatedTransport(plugin, place, transport);
        case datagramsCapability.id:
          return simulatedDatagrams(place, plugin);
        case socketsCapability.id:
          return simulatedSockets(place, plugin);
        case storeCapability.id:
          return simulatedStore(this.disk, loop, plugin);
        case databasesCapability.id:
          return simulatedDatabases(this.#databases, plugin);
        default:
          return plugin;
      }
    };
    const known = new Map<Plugin<unknown>, Map<string, Plugin<unknown>>>();
    const substitute = ({ id, plugin, ...rest }: Entry): Entry => {
      let byId = known.get(plugin);
      if (byId === undefined) known.set(plugin, byId = new Map());
      let standIn = byId.get(id);
      if (standIn === undefined) byId.set(id, standIn = named(id, stand(plugin), track));
      return { ...rest, id, plugin: standIn };
    };
    return {
      name: this.name,
      incarnation: this.#incarnation,
      transport: simulatedTransport(plainTransport, place, transport),
      datagrams: simulatedDatagrams(place),
      store: simulatedStore(this.disk, loop),
      substitute: (entries) => entries.map(substitute),
      track,
    };
  }

  #note(what: string): void {
    const { trace, network } = this.#world;
    trace.add(`${network.scheduler.now.toFixed(3)} ${this.#loop.label} ${what}`);
  }
}

/** The plugin with its set-up named while it is awaited. */
function named(
  id: string,
  plugin: Plugin<unknown>,
  track: NodeContext["track"],
): Plugin<unknown> {
  return {
    name: plugin.name,
    summary: plugin.summary,
    provides: plugin.provides,
    needs: plugin.needs,
    parse: (config) => plugin.parse(config),
    schema: () => plugin.schema(),
    permissions: (config) => plugin.permissions(config),
    setup(scope) {
      const value = plugin.setup(scope);
      return value instanceof Promise ? track(`setup of plugin "${id}"`, value) : value;
    },
  };
}

/**
 * Serf machines above real SWIM machines, on one virtual clock and a network that
 * loses and splits. Streams carry their bytes whole; everything else is as in the
 * real thing.
 */
import type { Timer } from "../../core/kernel/host.ts";
import { Random } from "../../core/simulation/random.ts";
import { Scheduler } from "../../core/simulation/scheduler.ts";
import {
  type SerfConfig,
  serfDefaults,
  type SerfEvent,
  SerfMachine,
  type SerfStatus,
} from "@mycnet/protocols/serf";
import { SwimMachine, swimPresets, type SwimStream } from "@mycnet/protocols/swim";

/** How a cluster is made. */
export interface SerfClusterOptions {
  readonly members: number;
  readonly seed: number | string;
  readonly config?: Partial<SerfConfig>;
  /** Share of packets lost. Default 0. */
  readonly loss?: number;
}

/** One process: a Serf machine on a SWIM machine. */
export class SerfNode {
  readonly told: SerfEvent[] = [];
  up = true;
  timer: Timer | undefined;
  serf!: SerfMachine;
  swim!: SwimMachine;

  constructor(readonly index: number, readonly name: string, readonly address: string) {}

  /** What was told of members, in short. */
  story(): string[] {
    return this.told.flatMap((event) =>
      "member" in event ? [`${event.member.name} ${event.type}`] : []
    );
  }

  /** The states of all members, by name. */
  view(): Record<string, SerfStatus> {
    const members = this.serf.members().sort((a, b) => a.name < b.name ? -1 : 1);
    return Object.fromEntries(members.map(({ name, status }) => [name, status]));
  }
}

/** A cluster in virtual time. */
export class SerfCluster {
  readonly scheduler: Scheduler = new Scheduler();
  readonly nodes: SerfNode[] = [];
  /** True where nothing gets through from one to the other. */
  cut: (from: number, to: number) => boolean = () => false;
  loss: number;
  readonly #random: Random;
  readonly #config: SerfConfig;

  constructor(options: SerfClusterOptions) {
    this.loss = options.loss ?? 0;
    this.#random = new Random(options.seed);
    this.#config = { ...serfDefaults, ...options.config };
    for (let i = 0; i < options.members; i++) this.add();
  }

  get now(): number {
    return this.scheduler.now;
  }

  /** One more process, alone. */
  add(): SerfNode {
    const index = this.nodes.length;
    const node = new SerfNode(index, `n${index}`, `10.0.0.${index + 1}:7946`);
    this.nodes.push(node);
    this.#start(node, 1);
    return node;
  }

  /** All join through the first, and have time to hear of each other. */
  form(ms = 5000): void {
    for (const node of this.nodes.slice(1)) this.join(node, this.nodes[0]!);
    this.run(ms);
  }

  join(node: SerfNode, seed: SerfNode): void {
    node.serf.join([seed.address], this.now);
    this.settle(node);
  }

  /** The process is gone, at once. */
  crash(node: SerfNode): void {
    node.up = false;
    node.timer?.[Symbol.dispose]();
    node.swim.stop();
  }

  /** A new process under the same name, which remembers nothing but its incarnation. */
  restart(node: SerfNode): void {
    const incarnation = node.swim.self.incarnation + 1;
    node.told.length = 0;
    this.#start(node, incarnation);
  }

  run(ms: number): void {
    this.scheduler.run(ms);
  }

  /** Does something with a machine, and looks after its timer. */
  act<T>(node: SerfNode, action: (serf: SerfMachine, nowMs: number) => T): T {
    const result = action(node.serf, this.now);
    this.settle(node);
    return result;
  }

  /** The views of all that are up, which should be one. */
  views(): Record<string, SerfStatus>[] {
    return this.nodes.filter(({ up }) => up).map((node) => node.view());
  }

  settle(node: SerfNode): void {
    node.timer?.[Symbol.dispose]();
    const next = node.serf.nextTimerMs;
    if (!node.up || next === undefined || next === Infinity) return;
    node.timer = this.scheduler.at(next, () => {
      node.serf.handleTimer(this.now);
      this.settle(node);
    });
  }

  #start(node: SerfNode, incarnation: number): void {
    const random = this.#random.fork(`${node.name} ${this.now}`);
    const draw = () => random.float();
    node.up = true;
    node.serf = new SerfMachine(
      { name: node.name, tags: { index: String(node.index) }, config: this.#config, random: draw },
      { event: (event) => void node.told.push(event) },
    );
    const { serf } = node;
    node.swim = new SwimMachine(
      {
        self: {
          name: node.name,
          ip: Uint8Array.of(10, 0, 0, node.index + 1),
          port: 7946,
          meta: serf.meta,
        },
        config: swimPresets.default,
        incarnation,
        random: draw,
      },
      {
        packet: (to, bytes) => this.#packet(node, to, bytes),
        open: (stream) => this.#open(node, stream),
        event: (event) => serf.handleSwimEvent(event, this.now),
      },
      this.now,
      serf.delegate,
    );
    serf.start(node.swim, this.now);
    this.settle(node);
  }

  #at(address: string): SerfNode | undefined {
    return this.nodes.find((node) => node.address === address);
  }

  #later(run: () => void): void {
    this.scheduler.after(0.2 - 0.3 * Math.log(1 - this.#random.float()), run);
  }

  #packet(from: SerfNode, to: string, bytes: Uint8Array): void {
    const target = this.#at(to);
    if (target === undefined || this.#random.float() < this.loss) return;
    const copy = bytes.slice();
    this.#later(() => {
      if (!target.up || this.cut(from.index, target.index)) return;
      target.swim.handlePacket(copy, from.address, this.now);
      this.settle(target);
    });
  }

  #open(from: SerfNode, stream: SwimStream): void {
    const target = this.#at(stream.to);
    const close = (error: string | undefined) => {
      deadline[Symbol.dispose]();
      if (!stream.done || error !== undefined) stream.handleClosed(error, this.now);
      this.settle(from);
    };
    const deadline = this.scheduler.at(stream.deadlineMs, () => close("timed out"));
    this.#later(() => {
      if (target === undefined || !target.up) return close("refused");
      if (this.cut(from.index, target.index) || this.cut(target.index, from.index)) return;
      stream.handleConnected(this.now);
      const request = stream.takeOutput();
      this.settle(from);
      this.#later(() => {
        if (request === undefined || !target.up) return;
        const served = target.swim.accept(from.address, this.now);
        served?.handleBytes(request, this.now);
        const answer = served?.takeOutput();
        this.settle(target);
        this.#later(() => {
          if (answer !== undefined && from.up && !stream.done) {
            stream.handleBytes(answer, this.now);
          }
          close(undefined);
        });
      });
    });
  }
}

/**
 * Many SWIM machines on one virtual clock, with a network that loses and splits.
 *
 * Machines are bare: no plugin, no asynchronous code, so ten thousand fit into a
 * process. Packets take a random time; streams carry their bytes with the same
 * delays, never lose any, and fail where nobody is reachable. A paused machine
 * receives everything when it wakes, as a stopped process does from its sockets.
 */
import type { Timer } from "../../core/kernel/host.ts";
import { Random } from "../../core/simulation/random.ts";
import { Scheduler } from "../../core/simulation/scheduler.ts";
import {
  CardStore,
  type SwimConfig,
  type SwimDelegate,
  type SwimEvent,
  SwimMachine,
  type SwimMember,
  swimPresets,
  type SwimStream,
} from "@mycnet/protocols/swim";

/** How a cluster is made. */
export interface ClusterOptions {
  readonly members: number;
  readonly seed: number | string;
  /** Overrides of the default preset. */
  readonly config?: Partial<SwimConfig>;
  /** Share of packets lost. Default 0. */
  readonly loss?: number;
  /** Least and mean extra delay of a packet, ms. Default 0.2 and 0.3. */
  readonly delayMs?: readonly [least: number, extra: number];
  /** Everybody knows everybody at the start. Default true. */
  readonly formed?: boolean;
  /** The layer above, for each member. */
  readonly delegate?: (cluster: Cluster, index: number) => SwimDelegate;
  /** Keep events. Default true. */
  readonly events?: boolean;
}

/** An event with its time and the member that it was told to. */
export type Told = SwimEvent & { readonly atMs: number; readonly at: number };

/** One member of the cluster. */
export class Node {
  machine: SwimMachine;
  up = true;
  paused = false;
  /** What waits for a paused process, in order. */
  readonly waiting: (() => void)[] = [];
  timer: Timer | undefined;
  armedMs = Infinity;

  constructor(readonly index: number, readonly address: string, make: (node: Node) => SwimMachine) {
    this.machine = make(this);
  }
}

/** A cluster of bare machines. */
export class Cluster {
  readonly scheduler: Scheduler = new Scheduler({ maxPending: 2 ** 24 });
  readonly random: Random;
  readonly nodes: Node[] = [];
  readonly events: Told[] = [];
  readonly store: CardStore = new CardStore();
  readonly config: SwimConfig;
  /** True where nothing gets through from one to the other. */
  cut: (from: number, to: number) => boolean = () => false;
  loss: number;
  packets = 0;
  bytes = 0;
  readonly #byAddress: Map<string, Node> = new Map();
  readonly #options: ClusterOptions;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.random = new Random(options.seed);
    this.config = { ...swimPresets.default, ...options.config };
    this.loss = options.loss ?? 0;
    for (let i = 0; i < options.members; i++) this.add();
    if (options.formed ?? true) this.form();
  }

  get now(): number {
    return this.scheduler.now;
  }

  /** One more member, alone. */
  add(incarnation = 1): Node {
    const index = this.nodes.length;
    const address = `10.${index >> 16}.${index >> 8 & 255}.${index & 255}:7946`;
    const node = new Node(index, address, (node) => this.#machine(node, incarnation));
    this.nodes.push(node);
    this.#byAddress.set(address, node);
    this.settle(node);
    return node;
  }

  /** Everybody knows everybody, and nobody has news. */
  form(): void {
    SwimMachine.form(this.nodes.map((node) => node.machine));
    for (const node of this.nodes) this.settle(node);
  }

  run(ms: number): void {
    this.scheduler.run(ms);
  }

  /** The process is gone, at once. */
  crash(index: number): void {
    const node = this.nodes[index]!;
    node.up = false;
    node.timer?.[Symbol.dispose]();
    node.timer = undefined;
    node.machine.stop();
  }

  /** A new process under the same name. */
  restart(index: number, incarnation = 1): void {
    const node = this.nodes[index]!;
    node.up = true;
    node.paused = false;
    node.waiting.length = 0;
    node.armedMs = Infinity;
    node.machine = this.#machine(node, incarnation);
    this.settle(node);
  }

  pause(index: number): void {
    this.nodes[index]!.paused = true;
  }

  resume(index: number): void {
    const node = this.nodes[index]!;
    node.paused = false;
    for (const run of node.waiting.splice(0)) run();
    this.#fire(node);
  }

  join(index: number, seed: number): void {
    const node = this.nodes[index]!;
    node.machine.join([this.nodes[seed]!.address], this.now);
    this.settle(node);
  }

  /** What one member believes of another: its state, or undefined if it does not know it. */
  view(of: number, about: number): SwimMember["state"] | undefined {
    return this.nodes[of]!.machine.member(nameOf(about))?.state;
  }

  /** Those that are up and believe something else of `about`. */
  disagree(about: number, state: SwimMember["state"] | undefined): number[] {
    return this.nodes.filter((node) =>
      node.up && node.index !== about && this.view(node.index, about) !== state
    ).map((node) => node.index);
  }

  told(type: SwimEvent["type"]): Told[] {
    return this.events.filter((event) => event.type === type);
  }

  /** Arms the timer anew. To be called after commands. */
  settle(node: Node): void {
    if (!node.up) return;
    const next = node.machine.nextTimerMs ?? Infinity;
    // A timer that is armed earlier fires in vain, which is cheaper than moving it each time.
    if (next >= node.armedMs || next === Infinity) return;
    node.timer?.[Symbol.dispose]();
    node.armedMs = next;
    node.timer = this.scheduler.at(next, (node: Node) => this.#fire(node), node);
  }

  #fire(node: Node): void {
    node.timer?.[Symbol.dispose]();
    node.timer = undefined;
    node.armedMs = Infinity;
    if (!node.up || node.paused) return;
    if (this.now >= (node.machine.nextTimerMs ?? Infinity)) node.machine.handleTimer(this.now);
    this.settle(node);
  }

  #machine(node: Node, incarnation: number): SwimMachine {
    const { delegate, members, events } = this.#options;
    const random = this.random.fork(`machine ${node.index} ${this.now}`);
    const { index } = node;
    return new SwimMachine(
      {
        self: {
          name: nameOf(index),
          ip: Uint8Array.of(10, index >> 16, index >> 8 & 255, index & 255),
          port: 7946,
        },
        config: this.config,
        incarnation,
        random: () => random.float(),
        cards: this.store,
        expectedMembers: members,
      },
      {
        packet: (to, bytes) => this.#packet(node, to, bytes),
        open: (stream) => this.#open(node, stream),
        ...(events === false ? {} : {
          event: (event: SwimEvent) => {
            this.events.push({ ...event, atMs: this.now, at: index });
          },
        }),
      },
      this.now,
      delegate?.(this, index),
    );
  }

  #packet(from: Node, to: string, bytes: Uint8Array): void {
    this.packets++;
    this.bytes += bytes.length;
    const target = this.#byAddress.get(to);
    if (target === undefined || this.random.chance(this.loss)) return;
    const copy = bytes.slice();
    this.#later(() => {
      if (!target.up || this.cut(from.index, target.index)) return;
      this.#deliver(target, () => {
        target.machine.handlePacket(copy, from.address, this.now);
        this.settle(target);
      });
    });
  }

  #deliver(target: Node, run: () => void): void {
    if (!target.paused) return run();
    if (target.waiting.length < 512) target.waiting.push(() => target.up && run());
  }

  #later(run: () => void): void {
    const [least, extra] = this.#options.delayMs ?? [0.2, 0.3];
    this.scheduler.after(least - extra * Math.log(1 - this.random.float()), run);
  }

  #open(from: Node, stream: SwimStream): void {
    const target = this.#byAddress.get(stream.to);
    const close = (error: string | undefined) => {
      stream.handleClosed(error, this.now);
      this.settle(from);
    };
    const deadline = this.scheduler.at(stream.deadlineMs, () => close("timed out"));
    this.#later(() => {
      if (stream.done) return;
      if (target === undefined || !target.up) {
        deadline[Symbol.dispose]();
        return close("refused");
      }
      if (this.cut(from.index, target.index) || this.cut(target.index, from.index)) return;
      stream.handleConnected(this.now);
      const request = stream.takeOutput()!;
      this.settle(from);
      if (stream.done) deadline[Symbol.dispose]();
      this.#later(() =>
        this.#deliver(target, () => {
          const served = target.machine.accept(from.address, this.now);
          served?.handleBytes(request, this.now);
          const answer = served?.takeOutput();
          this.settle(target);
          this.#later(() => {
            if (!from.up || stream.done) return;
            this.#deliver(from, () => {
              deadline[Symbol.dispose]();
              if (answer !== undefined) stream.handleBytes(answer, this.now);
              close(undefined);
            });
          });
        })
      );
    });
  }
}

/** The name of a member by its index. */
export function nameOf(index: number): string {
  return `n${index}`;
}

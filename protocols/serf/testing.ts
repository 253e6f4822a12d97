/** A SWIM machine that does nothing but write down what Serf asks of it, for tests. */
import type {
  Swim,
  SwimCounters,
  SwimEvent,
  SwimMember,
  SwimStream,
  Versions,
} from "../swim/types.ts";
import { type SerfConfig, serfDefaults } from "./config.ts";
import { SerfMachine } from "./machine.ts";
import type { SerfEvent, SerfOptions } from "./types.ts";
import { encodeTags, type Tags } from "./wire/tags.ts";

const serfVersions: Versions = [1, 5, 2, 2, 5, 5];

/** A member as SWIM tells of it; its address follows from its number. */
export function swimMember(
  name: string,
  number: number,
  overrides: Partial<SwimMember> & { readonly tags?: Tags } = {},
): SwimMember {
  const { tags, ...rest } = overrides;
  const ip = Uint8Array.of(10, 0, 0, number);
  return {
    name,
    ip,
    address: `10.0.0.${number}:7946`,
    port: 7946,
    meta: encodeTags(tags ?? {}),
    state: "alive",
    incarnation: 1,
    versions: serfVersions,
    ...rest,
  };
}

/** Numbers in [0, 1) that repeat for a seed (mulberry32). */
export function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The machine below, as Serf sees it. */
export class FakeSwim implements Swim {
  readonly sent: { readonly to: string; readonly message: Uint8Array }[] = [];
  readonly joins: string[] = [];
  readonly known: Map<string, SwimMember> = new Map();
  left = 0;
  wakes = 0;
  nextTimerMs: number | undefined = Infinity;
  self: SwimMember;

  constructor(self: SwimMember) {
    this.self = self;
    this.known.set(self.name, self);
  }

  get counters(): Readonly<SwimCounters> {
    throw new TypeError("the fake counts nothing");
  }
  get liveCount(): number {
    return this.known.size;
  }
  get size(): number {
    return this.known.size;
  }
  readonly healthScore: number = 0;
  readonly status = "active";
  members(): SwimMember[] {
    return [...this.known.values()];
  }
  member(name: string): SwimMember | undefined {
    return this.known.get(name);
  }
  memberAt(address: string): SwimMember | undefined {
    return this.members().find((member) => member.address === address);
  }
  handlePacket(): void {}
  handleTimer(): void {}
  accept(): SwimStream | undefined {
    return undefined;
  }
  join(addresses: readonly string[]): void {
    this.joins.push(...addresses);
  }
  sync(): void {}
  leave(): void {
    this.left++;
  }
  stop(): void {
    this.nextTimerMs = undefined;
  }
  updateMeta(meta: Uint8Array): void {
    this.self = { ...this.self, meta, incarnation: this.self.incarnation + 1 };
  }
  updateAddress(): void {}
  ping(): boolean {
    return false;
  }
  suspect(): boolean {
    return false;
  }
  forget(): boolean {
    return false;
  }
  sendBestEffort(to: string, message: Uint8Array): boolean {
    this.sent.push({ to, message: message.slice() });
    return true;
  }
  sendReliable(): boolean {
    return false;
  }
  wake(): void {
    this.wakes++;
  }
  noteLag(): void {}
}

/** One Serf machine on a fake, with what it told. */
export class Bench {
  readonly swim: FakeSwim;
  readonly serf: SerfMachine;
  readonly told: SerfEvent[] = [];
  nowMs = 0;

  constructor(
    options: Partial<Omit<SerfOptions, "config">> & { readonly config?: Partial<SerfConfig> } = {},
    others: readonly SwimMember[] = [],
  ) {
    const name = options.name ?? "self";
    this.swim = new FakeSwim(swimMember(name, 1, { tags: options.tags ?? {} }));
    this.serf = new SerfMachine(
      { name, random: seeded(1), ...options, config: { ...serfDefaults, ...options.config } },
      { event: (event) => this.told.push(event) },
    );
    this.serf.start(this.swim, 0);
    for (const member of others) this.hear({ type: "joined", member });
    this.told.length = 0;
  }

  /** SWIM tells something. */
  hear(event: SwimEvent): void {
    if (event.type === "joined") this.swim.known.set(event.member.name, event.member);
    if (event.type === "failed" || event.type === "left") this.swim.known.delete(event.member.name);
    this.serf.handleSwimEvent(event, this.nowMs);
  }

  /** A user message arrives. */
  receive(message: Uint8Array): void {
    this.serf.delegate.notifyMsg!(message, this.nowMs);
  }

  /** Time passes, with every timer that is due. */
  pass(ms: number): void {
    const end = this.nowMs + ms;
    for (let next = this.serf.nextTimerMs; next !== undefined && next <= end;) {
      this.nowMs = Math.max(this.nowMs, next);
      this.serf.handleTimer(this.nowMs);
      next = this.serf.nextTimerMs;
    }
    this.nowMs = end;
  }

  /** Rumours that would go out now, each once. */
  rumours(): readonly Uint8Array[] {
    return this.serf.delegate.getBroadcasts!(2, 60_000);
  }

  /** What was told, in short. */
  story(): string[] {
    const lines = this.told.map((event) => {
      if ("member" in event) return `${event.member.name} ${event.type}`;
      if (event.type === "user_event") return `event ${event.name}`;
      if (event.type === "query") return `query ${event.query.name}`;
      return event.type;
    });
    this.told.length = 0;
    return lines;
  }
}

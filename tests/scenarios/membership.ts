/**
 * The commands of membership stories, on a cluster of bare SWIM machines.
 *
 * Packets take a millisecond each way and nothing is lost unless the story says
 * so; the seed determines the rest. What machines tell is answered as it comes:
 * `1203 a: suspected c, by b` is a's word at 1203 ms. `show=` adds the packets that
 * carry messages of some types.
 */
import { parseIp, type SwimConfig, type SwimEvent, swimPresets } from "@mycnet/protocols/swim";
import { messagesOf, verdict } from "../../protocols/swim/testing.ts";
import { messageType, writeAlive } from "../../protocols/swim/wire/messages.ts";
import { MsgpackWriter } from "../../protocols/swim/wire/msgpack.ts";
import { encodeUtf8 } from "../../protocols/utf8.ts";
import { SwimCluster } from "../harness/swim/cluster.ts";
import type { Site } from "../harness/swim/site.ts";
import type { Step } from "./story.ts";

type Message = ReturnType<typeof messagesOf>[number];

/** Packets from one member to another, `*` for any, that carry a message of this type, are lost. */
interface Drop {
  readonly from: string;
  readonly to: string;
  readonly type: string;
}

/** What a story runs in. */
export class MembershipStory {
  #config: SwimConfig = swimPresets.default;
  #seed = "1";
  #cluster: SwimCluster | undefined;
  #lines: string[] = [];
  #shown: readonly string[] = [];
  #drops: Drop[] = [];
  readonly #commands: Readonly<Record<string, (step: Step) => void>> = {
    // config preset=lan probeIntervalMs=500 seed=7: before anything else
    config: (step) => this.#configure(step),
    // add-nodes a b c [formed=false]: they know each other from the start
    "add-nodes": (step) => this.#add(step),
    // join b a: b asks a
    join: ({ words: [site, ...seeds] }) =>
      this.#world.join(this.#site(site), ...seeds.map((it) => this.#site(it))),
    // sync b a: a push/pull that is no join
    sync: ({ words: [site, other] }) =>
      this.#act(site, (it, now) => it.machine.sync(this.#site(other).address, now)),
    crash: ({ words: [site, power] }) => this.#world.crash(this.#site(site), power === "power"),
    restart: ({ words: [site], options: { incarnation } }) =>
      this.#world.restart(
        this.#site(site),
        incarnation === undefined ? {} : { incarnation: Number(incarnation) },
      ),
    stop: ({ words: [site] }) => this.#world.halt(this.#site(site), "stopped"),
    block: ({ words: [site] }) => this.#world.halt(this.#site(site), "blocked"),
    resume: ({ words: [site] }) => this.#world.resume(this.#site(site)),
    leave: ({ words: [site] }) => this.#act(site, (it, now) => it.machine.leave(now)),
    meta: ({ words: [site, text = ""] }) =>
      this.#act(site, (it, now) => it.machine.updateMeta(encodeUtf8(text), now)),
    // suspect a b: a doubts b, as if a probe had failed
    suspect: ({ words: [site, about] }) =>
      this.#act(site, (it, now) => it.machine.suspect(about!, now)),
    // partition a,b c,d
    partition: ({ words }) =>
      void this.#world.network.partition(words.map((group) => group.split(","))),
    // one-way a,b c: nothing from a and b reaches c
    "one-way": ({ words: [from, to] }) =>
      void this.#world.network.partitionOneWay(from!.split(","), to!.split(",")),
    // drop a b ping: packets from a to b with a ping in them are lost
    drop: ({ words: [from = "*", to = "*", type = "*"] }) =>
      void this.#drops.push({ from, to, type }),
    heal: () => {
      this.#world.network.heal();
      this.#drops = [];
    },
    // forge to=a from=b alive node=c ip=10.9.9.9 incarnation=5 | suspect node=c by=b incarnation=5
    forge: (step) => this.#forge(step),
    // run 5s [show=ping,nack]
    run: ({ words: [span], options: { show = "" } }) => {
      this.#shown = show === "" ? [] : show.split(",");
      this.#world.run(milliseconds(span));
      this.#shown = [];
    },
    // until a: suspected c (runs until a says so, at most two minutes)
    until: ({ words, options: { show = "" } }) => {
      this.#shown = show === "" ? [] : show.split(",");
      this.#until(words.join(" "));
      this.#shown = [];
    },
    // members a: whom a knows
    members: ({ words: [name] }) => this.#members(this.#site(name)),
    // health a b: their local health
    health: ({ words }) =>
      words.forEach((it) => this.#lines.push(`${it}: ${this.#site(it).machine.healthScore}`)),
    // counters a refused incarnationJumps
    counters: ({ words: [name, ...counters] }) => {
      const found = this.#site(name).machine.counters as unknown as Record<string, number>;
      for (const counter of counters) this.#lines.push(`${counter}: ${found[counter]}`);
    },
  };

  /** Carries out one step and answers. */
  handle(step: Step): string {
    const command = this.#commands[step.command];
    if (command === undefined) {
      throw new Error(
        `line ${step.line}: no command "${step.command}"; there are ` +
          Object.keys(this.#commands).join(", "),
      );
    }
    this.#lines = [];
    command(step);
    return this.#lines.join("\n") || "ok";
  }

  get #world(): SwimCluster {
    this.#cluster ??= new SwimCluster({
      seed: this.#seed,
      config: this.#config,
      conditions: { delay: { kind: "constant", ms: 1 } },
      shareCards: true,
      onEvent: (site, event) => this.#tell(site, event),
      onPacket: (from, to, bytes) => this.#packet(from, to, bytes),
    });
    return this.#cluster;
  }

  #site(name: string | undefined): Site {
    return this.#world.site(name ?? "");
  }

  #act(name: string | undefined, run: (site: Site, now: number) => void): void {
    const site = this.#site(name);
    run(site, this.#world.clock(site));
    this.#world.settle(site);
  }

  #configure({ options: { preset, seed, ...fields } }: Step): void {
    if (this.#cluster !== undefined) throw new Error("config comes before everything else");
    if (seed !== undefined) this.#seed = seed;
    const base = preset === undefined
      ? this.#config
      : swimPresets[preset as keyof typeof swimPresets];
    const changes = Object.entries(fields).map(([name, value]) => {
      if (!(name in base)) throw new Error(`there is no setting ${name}`);
      return [name, JSON.parse(value)];
    });
    this.#config = { ...base, ...Object.fromEntries(changes) };
  }

  #add({ words, options: { formed = "true" } }: Step): void {
    for (const name of words) this.#world.add(name);
    if (formed === "true") this.#world.form();
  }

  #forge({ words: [type], options }: Step): void {
    const to = this.#site(options.to);
    const from = this.#site(options.from);
    const { node = "", by = "", incarnation = "1", meta = "" } = options;
    let message: Uint8Array;
    if (type === "alive") {
      const writer = new MsgpackWriter();
      const ip = parseIp(options.ip ?? this.#site(node).address.split(":")[0]!)!;
      const bytes = meta.endsWith("B") ? new Uint8Array(parseInt(meta)) : encodeUtf8(meta);
      const versions = [1, 5, 2, 2, 5, 5];
      writeAlive(writer, Number(incarnation), encodeUtf8(node), ip, 7946, bytes, versions);
      message = writer.copy();
    } else if (type === "suspect" || type === "dead") {
      message = verdict(type, node, by, Number(incarnation));
    } else throw new Error(`cannot forge ${type}; can ${Object.keys(messageType).join(", ")}`);
    to.machine.handlePacket(message, from.address, this.#world.clock(to));
    this.#world.settle(to);
  }

  #until(wanted: string): void {
    const endMs = this.#world.now + 120_000;
    const said = () => this.#lines.some((line) => line.replace(/^\d+ /, "").startsWith(wanted));
    while (!said() && this.#world.now < endMs) if (!this.#world.scheduler.step()) break;
    if (!said()) throw new Error(`nobody said "${wanted}"; heard:\n${this.#lines.join("\n")}`);
  }

  #members(site: Site): void {
    const members = site.machine.members().sort((a, b) => a.name < b.name ? -1 : 1);
    for (const { name, state, incarnation, meta, address } of members) {
      const text = new TextDecoder().decode(meta);
      const moved = this.#world.at(address)?.name === name ? "" : ` at ${address}`;
      this.#lines.push(`${name} ${state} ${incarnation}${moved}${text && ` ${text}`}`);
    }
  }

  #say(text: string): void {
    this.#lines.push(`${Math.floor(this.#world.now)} ${text}`);
  }

  #tell(site: Site, event: SwimEvent): void {
    const said = describe(event);
    if (said !== undefined) this.#say(`${site.name}: ${said}`);
  }

  #packet(from: Site, to: Site | undefined, bytes: Uint8Array): boolean {
    if (this.#shown.length === 0 && this.#drops.length === 0) return true;
    const messages = messagesOf(bytes);
    const dropped = this.#drops.some((drop) =>
      [from.name, "*"].includes(drop.from) && [to?.name, "*"].includes(drop.to) &&
      messages.some(({ type }) => type === drop.type || drop.type === "*")
    );
    if (messages.some(({ type }) => this.#shown.includes(type))) {
      const what = messages.map(write).join(" + ");
      this.#say(`${from.name} -> ${to?.name ?? "nobody"}: ${what}${dropped ? " (lost)" : ""}`);
    }
    return !dropped;
  }
}

/** What a machine tells, in words; undefined for what stories leave out. */
function describe(event: SwimEvent): string | undefined {
  switch (event.type) {
    case "joined":
    case "updated":
    case "recovered":
    case "left":
    case "reaped":
      return `${event.type} ${event.member.name}`;
    case "suspected":
    case "failed":
      return `${event.type} ${event.member.name}, by ${event.by}`;
    case "conflict":
      return `conflict over ${event.member.name} with ${event.other.address}`;
    case "incarnation":
      return event.refuting ? `refutes at ${event.incarnation}` : `speaks at ${event.incarnation}`;
    case "synced":
      return event.error === undefined ? undefined : `push/pull failed, ${event.error}`;
    case "leave_sent":
      return "has told that it leaves";
    case "health":
      return `health ${event.score}`;
    case "paused":
      return `stood still for ${Math.round(event.ms)} ms`;
    case "sent":
    case "pinged":
      return undefined;
  }
}

function write({ type, node, from, incarnation, nack }: Message): string {
  switch (type) {
    case "ping":
      return `ping ${node}`;
    case "indirectPing":
      return `indirectPing ${node}${nack === true ? " or nack" : ""}`;
    case "alive":
      return `alive ${node} ${incarnation}`;
    case "suspect":
    case "dead":
      return `${type} ${node} ${incarnation} by ${from}`;
    default:
      return type;
  }
}

function milliseconds(text = ""): number {
  const [, value, unit] = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(text) ?? [];
  if (value === undefined) throw new Error(`"${text}" is no time; write 500ms or 5s`);
  return Number(value) * (unit === "s" ? 1000 : 1);
}

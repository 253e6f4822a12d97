/**
 * Mutated byte streams against the link machine, out of one seed.
 *
 * Streams begin as what a real machine said, in the handshake and after it, and
 * are then cut, flipped, doubled, spliced and torn apart. The machine that
 * reads them has a user who answers, streams, resets and hangs up at random.
 * Whatever happens, nothing may throw, every bound must hold, and the end must
 * be told once. A failure names the seed and the stream that repeat it.
 *
 * Not exported by the package; `deno task fuzz` runs millions, a test thousands.
 */
import { noFields } from "../frame/fields.ts";
import { headerBytes } from "../frame/header.ts";
import { runLength } from "../frame/testing.ts";
import { messageTypes } from "../frame/types.ts";
import { join, pick, Random } from "./fuzz_random.ts";
import { LinkMachine } from "./machine.ts";
import { bytes, capabilities, node, options, Pair } from "./testing.ts";
import type { LinkCloseReason, LinkHandler, LinkLimits, LinkOptions } from "./types.ts";

/** What a run came to. */
export interface FuzzReport {
  /** Streams fed. */
  streams: number;
  /** Bytes in all of them. */
  bytes: number;
  /** How links ended, by kind and code; `open` for those that survived their stream. */
  readonly ends: Record<string, number>;
  /** The most that was ever held or queued by one link. */
  mostInputBytes: number;
  mostOutputBytes: number;
}

/** Small bounds, so that streams reach them. */
const limits: Partial<LinkLimits> = {
  maxFrameBytes: 2048,
  maxHandshakeFrameBytes: 1024,
  maxExchanges: 8,
  maxStreams: 5,
  sliceBytes: 1024,
  compressionThresholdBytes: 300,
  streamWindowBytes: 512,
  outputHighWaterBytes: 1024,
  maxOutputBytes: 3 * 1024,
};

/** What the machine makes of it: two frames and the high water at least. */
const maxOutputBytes = 2 * limits.maxFrameBytes! + limits.outputHighWaterBytes!;

/** Both ends compress, by a hook that knows one trick. */
const compressing: Partial<LinkOptions> = {
  limits,
  capabilities: { ...capabilities, compressions: ["zstd", "none"] },
  compression: () => runLength,
};

/** Feeds `count` streams; `from` skips ahead to the number that a failure named. */
export function fuzzLink(seed: number, count: number, from: number = 0): FuzzReport {
  const report: FuzzReport = {
    streams: 0,
    bytes: 0,
    ends: {},
    mostInputBytes: 0,
    mostOutputBytes: 0,
  };
  const corpus = recordCorpus();
  for (let number = from; number < from + count; number++) {
    try {
      feedOne(new Random(seed, number), corpus, report);
    } catch (error) {
      throw new Error(`seed ${seed}, stream ${number}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
  return report;
}

interface Corpus {
  /** What each side says until it is up. */
  readonly handshakes: readonly Uint8Array[];
  /** What a dialler says on a link that is up. */
  readonly traffic: readonly Uint8Array[];
}

/** Real conversations: a handshake, and everything that can be said after it. */
function recordCorpus(): Corpus {
  const handshakes: Uint8Array[] = [];
  const opening = new Pair({ gossip: "10.0.0.1:7946" });
  const dialled = opening.dialer.takeOutput()!;
  opening.acceptor.handleBytes(dialled, 0);
  const accepted = opening.acceptor.takeOutput()!;
  opening.dialer.handleBytes(accepted, 0);
  handshakes.push(join(dialled, opening.dialer.takeOutput()!), dialled.slice());

  const call = messageTypes["service.call"];
  const traffic: Uint8Array[] = [];
  const record = (say: (pair: Pair) => void) => {
    const pair = Pair.up(compressing, compressing);
    say(pair);
    const said: Uint8Array[] = [];
    for (let output; (output = pair.dialer.takeOutput()) !== undefined;) said.push(output);
    traffic.push(join(...said));
  };
  record(({ dialer }) => {
    dialer.send(call, { route: "a/b", deadlineMs: 9, metadata: bytes("meta") }, bytes("body"));
    dialer.send(messageTypes.custom, { priority: "critical", route: "note" }, bytes("x"));
    dialer.open(call, { source: { id: "a", generation: 1 }, hopLimit: 3 }, bytes("q"), false, 0);
  });
  // In fragments, compressed or not; and compressed in one frame.
  record(({ dialer }) => {
    dialer.send(call, noFields, Uint8Array.from({ length: 1500 }, (_, i) => i));
    dialer.send(call, { priority: "high", route: "r" }, new Uint8Array(2000).fill(7));
    dialer.send(call, { sequence: 7, durable: true }, new Uint8Array(900).fill(8));
  });
  record(({ dialer }) => {
    const stream = dialer.open(call, { priority: "low", retryBudget: 1 }, bytes("up"), true, 0);
    for (let i = 0; i < 4; i++) dialer.item(stream, new Uint8Array(50 * i));
    dialer.end(stream);
  });
  record((pair) => {
    const streams = [1, 2, 3].map(() => pair.acceptor.open(call, noFields, bytes("q"), true, 0));
    pair.acceptor.item(streams[0]!, new Uint8Array(400));
    pair.carry(pair.acceptor, pair.dialer);
    pair.dialer.grant(streams[0]!, 400);
    pair.dialer.item(streams[0]!, bytes("item"));
    pair.dialer.respond(streams[0]!, { loadHint: 9 }, bytes("answer"));
    pair.dialer.fail(streams[1]!, noFields, bytes("failure"));
    pair.dialer.reset(streams[2]!, "internal", "reason");
  });
  record((pair) => {
    pair.dialer.handleTimer(pair.dialer.nextTimerMs!);
    pair.acceptor.handleTimer(pair.acceptor.nextTimerMs!);
    pair.carry(pair.acceptor, pair.dialer);
    pair.dialer.goodbye("leaving", "done", 0);
  });
  // More requests than the other side allows, whose resets fill its output.
  const { dialer } = Pair.up();
  for (let i = 0; i < 250; i++) dialer.open(call, noFields, bytes("q"), false, 0);
  traffic.push(dialer.takeOutput()!.slice());
  return { handshakes, traffic };
}

function feedOne(random: Random, corpus: Corpus, report: FuzzReport): void {
  const up = random.to(3) > 0;
  const machine = new Subject(random, up ? "up" : "handshake", report);
  let stream = pick(random, up ? corpus.traffic : corpus.handshakes);
  // Now and then a whole conversation, so that mutations reach the far end of one.
  if (up && random.to(2) === 0) stream = join(stream, pick(random, corpus.traffic));
  if (!up && random.to(4) === 0) stream = join(stream, pick(random, corpus.traffic));
  stream = mutate(random, stream, corpus);
  report.streams++;
  report.bytes += stream.length;
  machine.feed(stream);
}

/** A machine, and the user who does with it what the dice say. */
class Subject implements LinkHandler {
  readonly #random: Random;
  readonly #report: FuzzReport;
  readonly #machine: LinkMachine;
  // One link in four has a connection that takes nothing.
  readonly #stuck: boolean;
  #ended: LinkCloseReason | undefined;
  #nowMs = 0;

  constructor(random: Random, state: "up" | "handshake", report: FuzzReport) {
    this.#random = random;
    this.#report = report;
    this.#stuck = random.to(4) === 0;
    const role = state === "up" || random.to(2) === 0 ? "acceptor" : "dialer";
    this.#machine = new LinkMachine(
      options(role, { ...compressing, self: node("b") }),
      this,
      0,
    );
    if (state === "handshake") return;
    const other = new LinkMachine(options("dialer", compressing), silent, 0);
    this.#machine.handleBytes(other.takeOutput()!, 0);
    other.handleBytes(this.#machine.takeOutput()!, 0);
    this.#machine.handleBytes(other.takeOutput()!, 0);
    // Its user may have hung up already.
    if (this.#machine.state !== "up") return;
    // Streams of its own, for the corpus to answer.
    for (let i = 0; i < 3; i++) {
      const stream = this.#machine.open(
        messageTypes["service.call"],
        noFields,
        bytes("q"),
        true,
        0,
      );
      this.#machine.item(stream, new Uint8Array(200));
    }
  }

  feed(stream: Uint8Array): void {
    let at = 0;
    while (at < stream.length) {
      const end = Math.min(stream.length, at + 1 + this.#random.to(600));
      this.#nowMs += this.#random.to(40);
      this.#machine.handleBytes(stream.subarray(at, end), this.#nowMs);
      at = end;
      this.#act();
      this.#check();
    }
    if (this.#random.to(4) === 0) this.#machine.handleTransportClosed("gone", this.#nowMs);
    for (let i = 0; i < 8; i++) {
      const due = this.#machine.nextTimerMs;
      if (due === undefined) break;
      this.#machine.handleTimer(this.#nowMs = Math.max(this.#nowMs, due));
      this.#check();
    }
    const ended = this.#ended;
    const name = ended === undefined ? "open" : `${ended.kind}/${ended.code.slice(0, 16)}`;
    this.#report.ends[name] = (this.#report.ends[name] ?? 0) + 1;
    if ((ended !== undefined) !== (this.#machine.state === "closed")) {
      throw new Error(`state ${this.#machine.state}, told end: ${ended?.kind}`);
    }
  }

  #check(): void {
    const { inputBytes, outputBytes, exchanges } = this.#machine;
    this.#report.mostInputBytes = Math.max(this.#report.mostInputBytes, inputBytes);
    this.#report.mostOutputBytes = Math.max(this.#report.mostOutputBytes, outputBytes);
    // A frame that is not all there, and a message in fragments in each lane.
    if (inputBytes > 5 * limits.maxFrameBytes! + headerBytes) {
      throw new Error(`holds ${inputBytes}`);
    }
    // The bound, and what one chunk and one answer may add before it is looked at.
    if (outputBytes > maxOutputBytes + 8192) throw new Error(`queued ${outputBytes}`);
    if (exchanges > 2 * limits.maxExchanges!) throw new Error(`${exchanges} exchanges`);
  }

  /** Something that users do, between events or in the middle of one. */
  #act(stream = this.#random.to(12)): void {
    const machine = this.#machine;
    const body = new Uint8Array(this.#random.to(100));
    switch (this.#random.to(16)) {
      case 0:
        return machine.respond(stream, noFields, body);
      case 1:
        return machine.fail(stream, noFields, body);
      case 2:
        return machine.grant(stream, this.#random.to(600));
      case 3:
        return machine.end(stream);
      case 4:
        return machine.reset(stream, "cancelled", "enough");
      case 5:
        return this.#try(() => machine.item(stream, body));
      case 6:
        return this.#try(() => machine.send(0x0301, { route: "r" }, body));
      case 7:
        return this.#try(() => machine.open(0x0301, noFields, body, true, this.#nowMs));
      case 8:
        if (this.#random.to(8) === 0) machine.goodbye("leaving", "enough", this.#nowMs);
        return;
      case 9:
        if (this.#random.to(30) === 0) machine.close("idle", "enough");
        return;
      default: {
        if (this.#stuck) return;
        const output = machine.takeOutput();
        if (output !== undefined) machine.giveBack(output);
      }
    }
  }

  /** Commands may fail as they say they may. */
  #try(command: () => void): void {
    try {
      command();
    } catch (error) {
      if ((error as Error).name !== "LinkError") throw error;
    }
  }

  #told(stream?: number): void {
    if (this.#ended !== undefined) throw new Error("an event after the end");
    if (this.#random.to(3) === 0) this.#act(stream);
  }

  up(): void {
    this.#told();
  }
  message(): void {
    this.#told();
  }
  request(stream: number): undefined {
    this.#told(stream);
  }
  response(): void {
    this.#told();
  }
  failure(): void {
    this.#told();
  }
  item(stream: number): void {
    this.#told(stream);
  }
  end(stream: number): void {
    this.#told(stream);
  }
  reset(): void {
    this.#told();
  }
  writable(stream: number): void {
    this.#told(stream);
  }
  health(): void {
    this.#told();
  }
  ack(): void {}
  roundTrip(): void {
    this.#told();
  }
  goodbye(): void {
    this.#told();
  }
  lost(): void {
    if (this.#ended !== undefined) throw new Error("an exchange lost after the end");
  }
  closed(reason: LinkCloseReason): void {
    if (this.#ended !== undefined) throw new Error("the end was told twice");
    this.#ended = reason;
  }
}

const ignore = () => undefined;
const silent: LinkHandler = {
  up: ignore,
  message: ignore,
  request: ignore,
  response: ignore,
  failure: ignore,
  item: ignore,
  end: ignore,
  reset: ignore,
  writable: ignore,
  health: ignore,
  ack: ignore,
  roundTrip: ignore,
  goodbye: ignore,
  lost: ignore,
  closed: ignore,
};

function mutate(random: Random, stream: Uint8Array, corpus: Corpus): Uint8Array {
  let mutated = stream.slice();
  // One stream in sixteen stays whole, so that good ones are among them.
  for (let left = random.to(16) === 0 ? 0 : 1 + random.to(4); left > 0; left--) {
    const at = random.to(mutated.length || 1);
    const length = random.to(40);
    switch (random.to(8)) {
      case 0:
      case 1:
        if (mutated.length > 0) mutated[at] = mutated[at]! ^ 1 << random.to(8);
        break;
      case 2:
        if (mutated.length > 0) mutated[at] = random.to(256);
        break;
      case 3:
        mutated = join(mutated.subarray(0, at), mutated.subarray(at + length));
        break;
      case 4:
        mutated = join(mutated.subarray(0, at + length), mutated.subarray(at));
        break;
      case 5: {
        const noise = Uint8Array.from({ length }, () => random.to(256));
        mutated = join(mutated.subarray(0, at), noise, mutated.subarray(at));
        break;
      }
      case 6: {
        const other = pick(random, random.to(4) === 0 ? corpus.handshakes : corpus.traffic);
        mutated = join(mutated.subarray(0, at), other.subarray(random.to(other.length)));
        break;
      }
      default:
        // Small numbers where fields are: lengths, kinds, streams.
        if (mutated.length > 0) mutated[at] = random.to(2) === 0 ? random.to(8) : 0xff;
    }
  }
  return mutated;
}

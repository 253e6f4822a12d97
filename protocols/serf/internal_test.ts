import assert from "node:assert/strict";
import { formatAddress } from "../swim/address.ts";
import { GossipKeyring } from "../swim/wire/keyring.ts";
import { Bench, swimMember } from "./testing.ts";
import type { SerfKeyReply } from "./types.ts";
import {
  decodeConflictVote,
  decodeKeyResponse,
  decodeQuery,
  decodeQueryResponse,
} from "./wire/decode.ts";
import {
  encodeConflictVote,
  encodeKeyRequest,
  encodeKeyResponse,
  encodeQuery,
  encodeQueryResponse,
  queryFlag,
  type QueryMessage,
  serfMessage,
} from "./wire/messages.ts";
import { SerfWriter } from "./wire/pack.ts";

const writer = new SerfWriter();
const cipher = {
  seal: (_key: Uint8Array, plain: Uint8Array) => plain,
  open: (_key: Uint8Array, sealed: Uint8Array) => sealed,
};
const key = (fill: number, length = 16) => new Uint8Array(length).fill(fill);
const bytes = (text: string) => new TextEncoder().encode(text);
const a = swimMember("a", 2);
const b = swimMember("b", 3);
let id = 0;

/** What a machine answers to one of the cluster's own queries. */
function internal(bench: Bench, name: string, payload: Uint8Array): Uint8Array[] {
  bench.swim.sent.length = 0;
  bench.receive(encodeQuery(writer, {
    time: 1,
    id: id++,
    ip: a.ip,
    port: a.port,
    source: "a",
    filters: [],
    flags: name === "ping" ? queryFlag.ack : 0,
    relayFactor: 0,
    timeoutMs: 1000,
    name: `_serf_${name}`,
    payload,
  }));
  return bench.swim.sent.map(({ message }) => decodeQueryResponse(message).payload);
}

const change = (bench: Bench, name: string, value: Uint8Array) => {
  const [payload] = internal(bench, name, encodeKeyRequest(writer, value));
  assert.equal(payload![0], serfMessage.keyResponse);
  return decodeKeyResponse(payload!);
};

Deno.test("the cluster's own queries are answered here and told to nobody", () => {
  const bench = new Bench({}, [a]);
  assert.deepEqual(internal(bench, "ping", new Uint8Array(0)), [new Uint8Array(0)]);
  assert.deepEqual(internal(bench, "unheard-of", new Uint8Array(0)), []);
  assert.equal(bench.serf.counters.unknown, 1);
  assert.deepEqual(bench.story(), []);
});

Deno.test("keys are installed, used and removed, and told so that they can be persisted", () => {
  const keyring = new GossipKeyring(cipher, [key(1)]);
  const bench = new Bench({ keyring }, [a]);
  assert.equal(change(bench, "install-key", key(2, 32)).result, true);
  assert.equal(change(bench, "install-key", key(2, 32)).result, true);
  assert.equal(change(bench, "use-key", key(2, 32)).result, true);
  assert.equal(change(bench, "remove-key", key(1)).result, true);
  assert.deepEqual(keyring.keys, [key(2, 32)]);
  const operations = bench.told.map((event) =>
    event.type === "keyring" ? `${event.operation} ${event.keys.length}` : event.type
  );
  assert.deepEqual(operations, ["install 2", "install 2", "use 2", "remove 1"]);
});

Deno.test("a change of keys that would lock members out is refused with the reason", () => {
  const bench = new Bench({ keyring: new GossipKeyring(cipher, [key(1)]) }, [a]);
  const refused = (name: string, value: Uint8Array, reason: RegExp) => {
    const response = change(bench, name, value);
    assert.equal(response.result, false);
    assert.match(response.message, reason);
  };
  refused("use-key", key(9), /install it first/);
  refused("remove-key", key(1), /use another one first/);
  refused("install-key", key(1, 5), /16, 24 or 32 bytes/);
  refused("install-key", new Uint8Array(0), /16, 24 or 32 bytes/);
  const [payload] = internal(bench, "install-key", bytes("nonsense"));
  assert.match(decodeKeyResponse(payload!).message, /carries no key/);
  assert.deepEqual(bench.story(), []);
});

Deno.test("without encryption there are no keys to change or to list", () => {
  for (const keyring of [undefined, new GossipKeyring(cipher)]) {
    const bench = new Bench(keyring === undefined ? {} : { keyring }, [a]);
    assert.match(change(bench, "install-key", key(1)).message, /not encrypted/);
    const [payload] = internal(bench, "list-keys", new Uint8Array(0));
    assert.match(decodeKeyResponse(payload!).message, /not encrypted/);
    assert.deepEqual(bench.story(), []);
  }
});

Deno.test("keys are listed, as many as an answer holds", () => {
  const keys = Array.from({ length: 16 }, (_, i) => key(i, 32));
  const keyring = new GossipKeyring(cipher, keys);
  const [all] = internal(new Bench({ keyring }, [a]), "list-keys", new Uint8Array(0));
  assert.deepEqual(decodeKeyResponse(all!), {
    result: true,
    message: "",
    keys: keys.map((it) => it.toBase64()),
    primaryKey: keys[0]!.toBase64(),
  });
  const config = { maxResponseBytes: 400 };
  const [some] = internal(new Bench({ keyring, config }, [a]), "list-keys", new Uint8Array(0));
  const response = decodeKeyResponse(some!);
  assert.ok(response.keys.length > 0 && response.keys.length < 16);
  assert.equal(response.message, `the first ${response.keys.length} of 16 keys`);
});

/** Answers a query of the machine. */
function reply(bench: Bench, to: QueryMessage, from: string, payload: Uint8Array): void {
  bench.receive(
    encodeQueryResponse(writer, { time: to.time, id: to.id, from, flags: 0, payload }),
  );
}

Deno.test("changing keys everywhere says who did and who did not", () => {
  const bench = new Bench({ keyring: new GossipKeyring(cipher, [key(1)]) }, [a, b]);
  const replies: SerfKeyReply[] = [];
  const done = (it: SerfKeyReply) => void replies.push(it);
  bench.serf.keys("install", key(2), 0, done);
  const sent = decodeQuery(bench.rumours()[0]!);
  assert.equal(sent.name, "_serf_install-key");
  const no = { result: false, message: "disk full", keys: [], primaryKey: "" };
  reply(bench, sent, "a", encodeKeyResponse(writer, no));
  reply(bench, sent, "b", bytes("gibberish"));
  assert.deepEqual({ ...replies[0], failures: { ...replies[0]!.failures } }, {
    members: 3,
    replies: 3,
    failures: { a: "disk full", b: "an answer that cannot be read" },
    keys: replies[0]!.keys,
    primaryKeys: replies[0]!.primaryKeys,
  });
});

Deno.test("listing keys everywhere counts who holds which", () => {
  const bench = new Bench({ keyring: new GossipKeyring(cipher, [key(1), key(2)]) }, [a, b]);
  const replies: SerfKeyReply[] = [];
  bench.serf.keys("list", undefined, 0, (it) => replies.push(it));
  const sent = decodeQuery(bench.rumours()[0]!);
  const [one, two] = [key(1).toBase64(), key(2).toBase64()];
  const yes = { result: true, message: "", keys: [two, two], primaryKey: two };
  reply(bench, sent, "a", encodeKeyResponse(writer, yes));
  assert.equal(replies.length, 0);
  bench.pass(3200);
  assert.deepEqual({ ...replies[0]!.keys }, { [one]: 1, [two]: 2 });
  assert.deepEqual({ ...replies[0]!.primaryKeys }, { [one]: 1, [two]: 1 });
  assert.deepEqual([replies[0]!.members, replies[0]!.replies], [3, 2]);
});

Deno.test("asked who has a name, a member tells the address, unless it is the one in question", () => {
  const bench = new Bench({}, [a, b]);
  const vote = (name: string) => internal(bench, "conflict", bytes(name));
  const [known] = vote("b");
  const { ip, port } = decodeConflictVote(known!)!;
  assert.equal(formatAddress(ip, port), b.address);
  assert.equal(decodeConflictVote(vote("nobody")[0]!), undefined);
  assert.deepEqual(vote("self"), []);
});

/** Lets others vote about the name of the machine, and gives the verdict. */
function conflict(votes: readonly ("us" | "other" | "nobody" | "gibberish")[]) {
  const others = votes.map((_, i) => swimMember(`v${i}`, i + 10));
  const bench = new Bench({}, others);
  const event = {
    type: "conflict",
    member: bench.swim.self,
    other: swimMember("self", 99),
  } as const;
  bench.hear(event);
  bench.hear(event);
  assert.deepEqual(bench.story(), ["conflict"]);
  const sent = decodeQuery(bench.rumours()[0]!);
  assert.equal(sent.name, "_serf_conflict");
  assert.deepEqual(sent.payload, bytes("self"));
  votes.forEach((vote, i) => {
    const { ip, port } = vote === "us" ? bench.swim.self : swimMember("self", 99);
    const payload = encodeConflictVote(
      writer,
      vote === "nobody" ? undefined : { name: "self", ip, port },
    );
    reply(bench, sent, `v${i}`, vote === "gibberish" ? bytes("x") : payload);
  });
  bench.pass(10_000);
  const last = bench.told.at(-1)!;
  assert.ok(last.type === "conflict_resolved");
  return [last.outcome, last.votes, last.forUs];
}

Deno.test("a conflict about our name is decided by the majority of those who answer", () => {
  assert.deepEqual(conflict(["us", "us", "other"]), ["kept", 3, 2]);
  assert.deepEqual(conflict(["us", "other"]), ["lost", 2, 1]);
  assert.deepEqual(conflict(["us", "nobody", "other", "gibberish"]), ["lost", 3, 1]);
  assert.deepEqual(conflict([]), ["undecided", 0, 0]);
});

Deno.test("a conflict about another's name is not ours, and votes can be switched off", () => {
  const bench = new Bench({}, [a]);
  bench.hear({ type: "conflict", member: a, other: swimMember("a", 99) });
  assert.deepEqual(bench.story(), []);
  const off = new Bench({ config: { resolveConflicts: false } });
  off.hear({ type: "conflict", member: off.swim.self, other: swimMember("self", 99) });
  assert.deepEqual(off.story(), ["conflict"]);
  assert.equal(off.serf.queued, 0);
});

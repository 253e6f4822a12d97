import assert from "node:assert/strict";
import { type Member, memberEvent, servicesTag } from "../../contracts/membership.ts";
import { chainOf, serve, signed, view } from "./directory_fakes_test.ts";
import { FakeNetwork, type FakeNode } from "./fakes_test.ts";

/** Nothing is compared by itself within the time of a test. */
const settings = { directoryIntervalMs: 3_600_000 };

/** A member as gossip tells of it. */
function member(id: string, tag: string | undefined, over: Partial<Member> = {}): Member {
  return {
    id,
    address: `${id}:7946`,
    state: "alive",
    incarnation: 1,
    tags: tag === undefined ? {} : { [servicesTag]: tag },
    node: { type: "sclerotia", cluster: "test", version: "0.0.0" },
    linkAddresses: [`mem://${id}`],
    since: 0,
    phi: undefined,
    distanceMs: undefined,
    ...over,
  };
}

/** Has a node hear of a member. */
function tell(node: FakeNode, it: Member): void {
  node.host.emit(memberEvent, { type: "updated", member: it });
}

/** Has a node hear what another really says. */
function tellOf(node: FakeNode, other: FakeNode): void {
  tell(node, member(other.id, other.layer.tag.value()));
}

const fetches = ({ layer }: FakeNode) => layer.metrics("communication").directory_records_fetched!;

Deno.test("what a node without links serves is fetched when its hash is heard", async () => {
  await using network = new FakeNetwork();
  const [a, b, c] = ["a", "b", "c"].map((id) => network.add(id, { trust: signed, settings }));
  network.link("b", "c");
  await using clock = serve(a!, "clock");
  await network.clock.advance(60_000);
  assert.deepEqual(view(c!), {}, "b, its only link, knows nothing of a");
  tellOf(c!, a!);
  await network.clock.advance(3000);
  assert.deepEqual(view(c!), { clock: ["a"] });
  assert.deepEqual(view(b!), { clock: ["a"] }, "and whoever is linked to it knows as well");
  assert.equal(fetches(c!), 1);
  // The link that it took carries what comes after.
  await using _more = serve(a!, "calendar");
  tellOf(c!, a!);
  await network.clock.advance(3000);
  assert.deepEqual(view(c!), { calendar: ["a"], clock: ["a"] });
  assert.equal(fetches(c!), 1);
  // A service that is withdrawn is news too, when no link tells of it.
  c!.peers.link("a")!.cut();
  await clock[Symbol.asyncDispose]();
  tellOf(c!, a!);
  await network.clock.advance(6000);
  assert.deepEqual(view(c!), { calendar: ["a"] });
});

Deno.test("a linked node that holds the record is asked before its owner is dialled", async () => {
  await using network = new FakeNetwork();
  const [a, b, c] = ["a", "b", "c"].map((id) => network.add(id, { trust: signed, settings }));
  network.link("a", "b");
  await using _clock = serve(a!, "clock");
  await network.clock.advance(100);
  assert.deepEqual(view(b!), { clock: ["a"] });
  // The comparison with which a link begins is lost on the way to c.
  const toC = network.link("b", "c");
  toC.silent = true;
  await network.clock.advance(100);
  toC.silent = false;
  assert.deepEqual(view(c!), {});
  tellOf(c!, a!);
  await network.clock.advance(1000);
  assert.deepEqual(view(c!), { clock: ["a"] });
  assert.equal(c!.peers.link("a"), undefined);
});

Deno.test("what is on its way over links is not fetched", async () => {
  await using network = new FakeNetwork();
  const [a, , c] = chainOf(network, ["a", "b", "c"], signed);
  await using _clock = serve(a!, "clock");
  tellOf(c!, a!);
  await network.clock.advance(10_000);
  assert.deepEqual(view(c!), { clock: ["a"] });
  assert.equal(fetches(c!), 0);
});

Deno.test("a hash that nobody's record has costs a fetch, however often it is heard", async () => {
  await using network = new FakeNetwork();
  const [a, c] = ["a", "c"].map((id) => network.add(id, { trust: signed, settings }));
  await using _clock = serve(a!, "clock");
  for (let i = 0; i < 100; i++) {
    tell(c!, member("a", "forged"));
    await network.clock.advance(1000);
  }
  assert.equal(fetches(c!), 1);
  assert.deepEqual(view(c!), { clock: ["a"] }, "what the owner signed, whatever the hash says");
});

Deno.test("ever new hashes that nobody's record has cost ever fewer fetches", async () => {
  await using network = new FakeNetwork();
  const [a, c] = ["a", "c"].map((id) => network.add(id, { trust: signed, settings }));
  await using _clock = serve(a!, "clock");
  const perHour: number[] = [];
  for (let hour = 0; hour < 3; hour++) {
    const before = fetches(c!);
    for (let i = 0; i < 1800; i++) {
      tell(c!, member("a", `forged ${hour} ${i}`));
      await network.clock.advance(2000);
    }
    perHour.push(fetches(c!) - before);
  }
  assert.ok(perHour[0]! < 25 && perHour[1]! <= 13 && perHour[2]! <= 13, String(perHour));
  tellOf(c!, a!);
  await network.clock.advance(1000);
  assert.equal(c!.peers.dials, 1, "one link served all of them");
});

Deno.test("an owner that does not answer is tried a few times, and again when it says something else", async () => {
  await using network = new FakeNetwork();
  const [a, c] = ["a", "c"].map((id) => network.add(id, { trust: signed, settings }));
  await using _clock = serve(a!, "clock");
  c!.peers.unreachable.add("a");
  tellOf(c!, a!);
  await network.clock.advance(3_000_000);
  assert.equal(fetches(c!), 4);
  assert.equal(c!.peers.dials, 4);
  c!.peers.unreachable.delete("a");
  await using _more = serve(a!, "calendar");
  tellOf(c!, a!);
  await network.clock.advance(300_000);
  assert.deepEqual(view(c!), { calendar: ["a"], clock: ["a"] });
});

Deno.test("many members at once are fetched from a few at a time; who is gone is not asked", async () => {
  await using network = new FakeNetwork();
  const c = network.add("c", { trust: signed, settings });
  const waiting: (() => void)[] = [];
  let [under, most] = [0, 0];
  c.peers.connect = () => {
    most = Math.max(most, ++under);
    return new Promise((_, reject) =>
      waiting.push(() => {
        under--;
        reject(new Error("nobody there"));
      })
    );
  };
  const ids = Array.from({ length: 50 }, (_, i) => `m${i}`);
  for (const id of ids) tell(c, member(id, "hash"));
  await network.clock.advance(1000);
  assert.equal(most, 4);
  for (const id of ids.slice(4)) tell(c, member(id, "hash", { state: "dead" }));
  for (const id of ids.slice(0, 4)) tell(c, member(id, "hash", { node: undefined }));
  for (const giveUp of waiting) giveUp();
  await network.clock.advance(600_000);
  assert.equal(waiting.length, 4, "the others are dead, or no nodes of this cluster");
});

Deno.test("the tag is there while something is served, and changes with it", async () => {
  await using network = new FakeNetwork();
  const a = network.add("a", { trust: signed });
  const { tag } = a.layer;
  const told: (string | undefined)[] = [];
  using _listening = tag.onChange(() => told.push(tag.value()));
  a.layer.setAddresses(["mem://a:1"]);
  assert.equal(tag.value(), undefined);
  const clock = serve(a, "clock");
  const first = tag.value();
  assert.match(first!, /^[\w-]{11}$/);
  a.layer.setAddresses(["mem://a:2"]);
  await clock[Symbol.asyncDispose]();
  assert.equal(told.length, 3);
  assert.equal(told[0], first);
  assert.notEqual(told[1], first);
  assert.equal(told[2], undefined);
});

import assert from "node:assert/strict";
import { type DiscoveredNode, discovery } from "../../core/contracts/discovery.ts";
import { createHost, Kernel } from "../../core/kernel/mod.ts";
import staticPlugin from "./static.ts";

/** The plugin in a kernel, which can be told another configuration. */
class Fixture implements AsyncDisposable {
  readonly #kernel = new Kernel(createHost({ log: () => {} }));

  async apply(seeds: readonly unknown[]): Promise<readonly string[]> {
    const report = await this.#kernel.apply([
      {
        id: "static",
        plugin: staticPlugin,
        config: { seeds },
        path: ["mycnet", "plugins", "static"],
      },
    ]);
    return report.reconfigured;
  }

  get source() {
    return this.#kernel.get(discovery);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#kernel.stop();
  }
}

Deno.test("the seeds are what the configuration lists, with the ids that it knows", async () => {
  await using fixture = new Fixture();
  await fixture.apply(["10.0.0.1:7000", "tls://b.example:7000", {
    id: "c",
    address: "[::1]:7000",
  }]);
  const seeds: DiscoveredNode[] = [
    { addresses: ["10.0.0.1:7000"] },
    { addresses: ["tls://b.example:7000"] },
    { id: "c", addresses: ["[::1]:7000"] },
  ];
  assert.deepEqual(await fixture.source.discover(new AbortController().signal), seeds);
  assert.equal(fixture.source.id, "static");
  await using _registered = await fixture.source.register({ id: "d", addresses: ["d:1"] });
  assert.deepEqual(await fixture.source.discover(new AbortController().signal), seeds);
});

Deno.test("a changed list is taken over without a restart and told to whoever watches", async () => {
  await using fixture = new Fixture();
  await fixture.apply(["a:1"]);
  const abort = new AbortController();
  const lists = fixture.source.watch(abort.signal)[Symbol.asyncIterator]();
  assert.deepEqual((await lists.next()).value, [{ addresses: ["a:1"] }]);
  const next = lists.next();
  assert.deepEqual(await fixture.apply(["a:1", "b:1"]), ["static"]);
  assert.deepEqual((await next).value, [{ addresses: ["a:1"] }, { addresses: ["b:1"] }]);
  await fixture.apply([]);
  await fixture.apply(["c:1"]);
  assert.deepEqual((await lists.next()).value, [{ addresses: ["c:1"] }], "the newest, not each");
  const last = lists.next();
  abort.abort();
  assert.equal((await last).done, true);
});

Deno.test("watching ends when the plugin stops", async () => {
  const fixture = new Fixture();
  await fixture.apply(["a:1"]);
  const lists = fixture.source.watch(new AbortController().signal)[Symbol.asyncIterator]();
  await lists.next();
  const last = lists.next();
  await fixture[Symbol.asyncDispose]();
  assert.equal((await last).done, true);
});

Deno.test("a seed that nobody could dial is refused with its place in the list", async () => {
  await using fixture = new Fixture();
  const at = "mycnet\\.plugins\\.static\\.seeds";
  const cases: [readonly unknown[], RegExp][] = [
    [["a:1", "localhost"], new RegExp(`^${at}\\[1\\]: "localhost" is no address: write host:port`)],
    [["a:0"], new RegExp(`^${at}\\[0\\]: .*the port is a number from 1 to 65535`)],
    [["::1:7000"], new RegExp(`^${at}\\[0\\]: .*brackets around an IPv6 host`)],
    [[{ id: "c" }], new RegExp(`^${at}\\[0\\]\\.address: is required`)],
    [[{ id: "C", address: "c:1" }], new RegExp(`^${at}\\[0\\]\\.id: must be 1 to 63`)],
    [
      [{ adress: "c:1" }],
      new RegExp(`^${at}\\[0\\]: unknown key "adress", did you mean "address"`),
    ],
    [Array(1001).fill("a:1"), new RegExp(`^${at}: .*1000`)],
  ];
  for (const [seeds, message] of cases) {
    await assert.rejects(fixture.apply(seeds), { code: "config_invalid", message });
  }
});

Deno.test("it asks for no more of the network than its seeds", () => {
  const parsed = staticPlugin.parse({ seeds: ["tls://a:1", { address: "b:2" }] });
  assert.ok(parsed.ok);
  assert.deepEqual(staticPlugin.permissions(parsed.value), { net: ["a:1", "b:2"] });
});

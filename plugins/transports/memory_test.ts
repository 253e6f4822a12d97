import assert from "node:assert/strict";
import type { Connection } from "../../core/contracts/transport.ts";
import { RecordingEnd } from "../../tests/conformance/ends.ts";
import { clusterTest } from "../../tests/harness/leaks.ts";
import { testSettings } from "../../tests/harness/settings.ts";
import { startPlugin } from "../../tests/harness/start_plugin.ts";
import { transportConformance } from "../../tests/conformance/transport.ts";
import memory, { MemoryNetwork } from "./memory.ts";

transportConformance({
  name: "memory",
  plugin: memory,
  config: { network: new MemoryNetwork() },
  nobody: () => "nobody",
  listenAt: (address) => ({ address }),
});

const start = (id: string, config: Record<string, unknown>, bindAddress?: string) =>
  startPlugin(memory, { config, needs: { settings: testSettings({ id, bindAddress }) } });
const limits = () => ({ signal: new AbortController().signal, timeoutMs: 1000 });

clusterTest(
  "memory networks know nothing of each other, and the process has one of its own",
  async () => {
    await using apart = await start("node-1", { network: new MemoryNetwork() }, "127.0.0.1:0");
    await using shared = await start("node-1", {}, "127.0.0.1:0");
    await using quiet = await start("node-2", {});
    await using listener = await start("node-3", { address: "elsewhere" });
    assert.deepEqual(apart.value.addresses, ["memory://node-1"]);
    assert.deepEqual(quiet.value.addresses, []);
    assert.deepEqual(listener.value.addresses, ["memory://elsewhere"]);
    await assert.rejects(apart.value.dial("elsewhere", limits()), { code: "unreachable" });
    const accepted = new Promise<Connection>((resolve) => void shared.value.accept(resolve));
    const near = await quiet.value.dial("node-1", limits());
    assert.equal((await accepted).remoteAddress, near.localAddress);
  },
);

clusterTest("memory gives up a close that nobody reads, after its time", async () => {
  const network = new MemoryNetwork();
  await using a = await start("a", { network, closeTimeout: "20ms" }, "127.0.0.1:0");
  await using b = await start("b", { network, closeTimeout: "20ms" });
  const near = new RecordingEnd(await b.value.dial("a", limits()));
  near.connection.write(new Uint8Array(10), () => assert.fail("nobody has read it"));
  near.connection.close();
  await near.closed;
  assert.equal(near.error, undefined);
  const late: Connection[] = [];
  using _ = a.value.accept((connection) => late.push(connection));
  assert.deepEqual(late, [], "what was held is forgotten when it is gone");
});

Deno.test("memory takes a network by value only", () => {
  const parsed = memory.parse({ network: "mine" });
  assert.match(parsed.ok ? "" : parsed.issues[0]!.message, /MemoryNetwork, passed by value/);
  assert.equal(memory.parse({ network: new MemoryNetwork() }).ok, true);
  assert.equal(memory.schema().type, "object");
});

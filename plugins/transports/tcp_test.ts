import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { RecordingEnd } from "../../tests/conformance/ends.ts";
import { clusterTest } from "../../tests/harness/leaks.ts";
import { testSettings } from "../../tests/harness/settings.ts";
import { startPlugin } from "../../tests/harness/start_plugin.ts";
import { freePort } from "../../tests/harness/ports.ts";
import { transportConformance } from "../../tests/conformance/transport.ts";
import tcp from "./tcp.ts";

transportConformance({
  name: "tcp",
  plugin: tcp,
  config: { insecure: true },
  nobody: () => `127.0.0.1:${freePort()}`,
  listenAt: (bindAddress) => ({ bindAddress }),
});

Deno.test("tcp is switched on by insecure: true and by nothing else", () => {
  for (const config of [{}, { insecure: false }, { insecure: "true" }]) {
    const parsed = tcp.parse(config);
    assert.ok(!parsed.ok && parsed.issues[0]!.path[0] === "insecure", JSON.stringify(config));
  }
  assert.match(
    JSON.stringify(tcp.parse({ insecure: false })),
    /neither encrypts nor authenticates: write true to allow it, or use tls/,
  );
  assert.equal(tcp.parse({ insecure: true }).ok, true);
});

clusterTest("tcp announces the real port under the advertised host", async () => {
  await using a = await startPlugin(tcp, {
    config: { insecure: true },
    needs: {
      settings: testSettings({ bindAddress: "127.0.0.1:0", advertiseAddress: "box.example:0" }),
    },
  });
  assert.match(a.value.addresses[0]!, /^tcp:\/\/box\.example:[1-9]\d*$/);
});

clusterTest("tcp says which address it cannot listen at, and why", async () => {
  const listen = (bindAddress: string) =>
    startPlugin(tcp, {
      config: { insecure: true, bindAddress },
      needs: { settings: testSettings() },
    });
  // What is no address is refused with the configuration, before anything listens.
  await assert.rejects(listen("nowhere"), { message: /^bindAddress: must be host:port/ });
  await assert.rejects(listen("192.0.2.1:0"), {
    code: "address_invalid",
    message: /192\.0\.2\.1:0 is no address of this machine/,
  });
});

clusterTest("tcp reports a connection that the other end broke", async () => {
  await using a = await startPlugin(tcp, {
    config: { insecure: true },
    needs: { settings: testSettings({ bindAddress: undefined }) },
  });
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", () => socket.resetAndDestroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const near = new RecordingEnd(
    await a.value.dial(address, { signal: new AbortController().signal, timeoutMs: 1000 }),
  );
  await near.write(new Uint8Array(1000));
  await near.closed;
  assert.equal((near.error as { code?: string } | undefined)?.code, "link_lost");
  assert.match(near.error!.message, new RegExp(`${address} broke`));
  await new Promise((resolve) => server.close(resolve));
});

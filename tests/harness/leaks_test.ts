import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import tls from "node:tls";
import { clusterTest, withoutLeaks } from "./leaks.ts";

/** Each opens something that Deno's own sanitizers do not see, and returns how to close it. */
const leaks: Record<string, () => Promise<() => Promise<unknown>>> = {
  "a server of node:net": () => listening(net.createServer()),
  "a server of node:tls": () => listening(tls.createServer()),
  "a server of node:http": () => listening(http.createServer()),
  "a socket of node:net": async () => {
    const server = net.createServer();
    const closeServer = await listening(server);
    const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
    await once(socket, "connect");
    return () => {
      socket.destroy();
      return closeServer();
    };
  },
  "a worker": () => {
    const worker = new Worker("data:text/javascript,", { type: "module" });
    return Promise.resolve(() => Promise.resolve(worker.terminate()));
  },
  "a timer": () => {
    const timer = setInterval(() => {}, 60_000);
    return Promise.resolve(() => Promise.resolve(clearInterval(timer)));
  },
};

async function listening(server: net.Server): Promise<() => Promise<unknown>> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return () => new Promise((closed) => server.close(closed));
}

for (const [what, open] of Object.entries(leaks)) {
  Deno.test(`${what} left open by a test fails it`, async () => {
    let close: (() => Promise<unknown>) | undefined;
    await assert.rejects(
      withoutLeaks(async () => {
        close = await open();
      }, 50),
      /The test leaves \d+ \w+.* open/,
    );
    await close?.();
  });

  clusterTest(`${what} closed by the test is no leak`, async () => {
    const close = await open();
    await close();
  });
}

Deno.test("a failing test fails with its own error, not with its leak", async () => {
  await assert.rejects(
    withoutLeaks(() => {
      throw new Error("its own");
    }),
    /its own/,
  );
  assert.equal(Worker.name, "Worker");
});

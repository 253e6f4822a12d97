import assert from "node:assert/strict";
import { join } from "node:path";
import type { AdminRoutes } from "../contracts/admin.ts";
import { codeOf } from "../kernel/errors.ts";
import { AdminFixture, post, routesPlugin, token } from "./fakes_test.ts";
import { adminNotePath, adminTokenPath, readNote } from "./files.ts";
import { adminPlugin } from "./plugin.ts";

async function inFolder(test: (fixture: AdminFixture, folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await using fixture = new AdminFixture();
    fixture.node.stateDir = folder;
    await test(fixture, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const bearer = { authorization: `Bearer ${token}` };

Deno.test("it listens, makes a token for its owner alone, and notes where it is until it stops", async () => {
  await inFolder(async (fixture, folder) => {
    const app = await fixture.run({ bindAddress: "127.0.0.1:0" });
    const made = (await Deno.readTextFile(adminTokenPath(folder, "a"))).trim();
    assert.match(made, /^[\w-]{43}$/);
    assert.equal((await Deno.stat(adminTokenPath(folder, "a"))).mode! & 0o777, 0o600);
    const note = await readNote(adminNotePath(folder, "a"));
    assert.deepEqual(note, { address: app.address, pid: Deno.pid, startedAt: 1000 });
    assert.equal((await Deno.stat(adminNotePath(folder, "a"))).mode! & 0o777, 0o600);
    const response = await fetch(`${app.address}/api/v1/network/peers`, {
      headers: { authorization: `Bearer ${made}` },
    });
    assert.deepEqual(await response.json(), { peers: [] });
    await fixture.kernel.stop();
    assert.equal(await readNote(adminNotePath(folder, "a")), undefined);
    assert.equal((await Deno.readTextFile(adminTokenPath(folder, "a"))).trim(), made, "kept");
  });
});

Deno.test("the answer to leave arrives although it stops the endpoint", async () => {
  await inFolder(async (fixture) => {
    const app = await fixture.run({ bindAddress: "127.0.0.1:0", token });
    let stopped: Promise<void> | undefined;
    fixture.node.left.push = () => {
      stopped = fixture.kernel.stop();
      return 1;
    };
    const response = await fetch(`${app.address}/api/v1/network/leave`, {
      ...post({}),
      headers: { ...bearer, "content-type": "application/json" },
    });
    assert.equal(response.status, 202);
    assert.equal((await response.json()).leaving, true);
    await stopped;
  });
});

Deno.test("an answer that never ends does not keep the endpoint from stopping", async () => {
  await inFolder(async (fixture) => {
    const cancelled = Promise.withResolvers<void>();
    const endless: AdminRoutes = {
      path: "/endless",
      fetch: () =>
        new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new TextEncoder().encode("a\n")),
            cancel: () => cancelled.resolve(),
          }),
        ),
    };
    const app = await fixture.run({ bindAddress: "127.0.0.1:0", token }, [
      { id: "endless", plugin: routesPlugin("endless", endless) },
    ]);
    const response = await fetch(`${app.address}/endless`, { headers: bearer });
    const reader = response.body!.getReader();
    await reader.read();
    await fixture.kernel.stop();
    await cancelled.promise;
    await assert.rejects(reader.read());
  });
});

Deno.test("a port that is taken fails the start and names the address", async () => {
  await inFolder(async (fixture) => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const bindAddress = `127.0.0.1:${(taken.addr as Deno.NetAddr).port}`;
    await assert.rejects(fixture.run({ bindAddress, token }), (error: Error) => {
      const cause = error.cause as Error;
      assert.equal(codeOf(cause) ?? codeOf(error), "address_in_use");
      return cause.message.includes(bindAddress);
    });
  });
});

Deno.test("a token file that holds no token, or cannot be written, is an error that says so", async () => {
  await inFolder(async (fixture, folder) => {
    const path = join(folder, "t");
    await Deno.writeTextFile(path, "short\n");
    await assert.rejects(
      fixture.run({ bindAddress: "127.0.0.1:0", tokenPath: path }),
      (error: Error) => (error.cause as Error).message.includes(`${path} does not hold a token`),
    );
    await assert.rejects(
      fixture.run({ bindAddress: "127.0.0.1:0", tokenPath: join(path, "below-a-file") }),
      (error: Error) => codeOf(error.cause) === "config_unreadable",
    );
  });
});

Deno.test("a token file that others can read is used with a warning", async () => {
  await inFolder(async (fixture, folder) => {
    const tokenPath = join(folder, "t");
    await Deno.writeTextFile(tokenPath, `${token}\n`, { mode: 0o644 });
    const app = await fixture.run({ bindAddress: "127.0.0.1:0", tokenPath });
    assert.ok(
      fixture.node.logged.some((it) => it.level === "warn" && it.fields.path === tokenPath),
    );
    const response = await fetch(`${app.address}/api/v1/network/peers`, { headers: bearer });
    assert.equal(response.status, 200);
    await response.body?.cancel();
  });
});

Deno.test("the configuration is checked: addresses, tokens, and insecure beyond loopback", () => {
  const message = (config: unknown) => {
    const parsed = adminPlugin.parse(config);
    return parsed.ok ? "" : parsed.issues.map((it) => `${it.path.join(".")}: ${it.message}`).join();
  };
  assert.equal(message({}), "");
  assert.equal(message({ bindAddress: "[::1]:0" }), "");
  assert.match(message({ bindAddress: "7080" }), /bindAddress: must be host:port/);
  assert.match(message({ bindAddress: "0.0.0.0:7080" }), /bindAddress: .*insecure/);
  assert.match(message({ bindAddress: "127.0.0.1.example:7080" }), /insecure/);
  assert.equal(message({ bindAddress: "0.0.0.0:7080", insecure: true }), "");
  assert.match(message({ token: "short" }), /token: must be 16/);
  assert.match(message({ bindAdress: "x" }), /bindAdress/);
});

Deno.test("beyond loopback any IP literal is taken as Host, other names are not", async () => {
  await inFolder(async (fixture) => {
    const app = await fixture.run({ bindAddress: "0.0.0.0:0", insecure: true, token });
    assert.match(app.address!, /^http:\/\/127\.0\.0\.1:\d+$/, "a wildcard is noted as loopback");
    const status = async (host: string) => {
      const url = new URL("/api/v1/network/peers", `http://${host}`);
      return (await app.fetch(new Request(url, { headers: bearer }))).status;
    };
    assert.equal(await status("10.1.2.3:7080"), 200);
    assert.equal(await status("[2001:db8::1]:7080"), 200);
    assert.equal(await status("evil.example"), 421);
  });
});

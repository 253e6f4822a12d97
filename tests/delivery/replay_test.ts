// What was captured on the wire is worth nothing when it is played again.
import assert from "node:assert/strict";
import { createNode } from "../../mod.ts";
import { messageTypes } from "@mycnet/protocols/frame";
import { clusterTest } from "../harness/leaks.ts";

interface Target {
  readonly hostname: string;
  readonly port: number;
}

/** A relay that writes down what the dialling side says. */
function relay(target: Target) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const heard: Uint8Array[] = [];
  const open: Deno.Conn[] = [];
  const copy = async (from: Deno.Conn, to: Deno.Conn, note: (bytes: Uint8Array) => void) => {
    const buffer = new Uint8Array(65536);
    try {
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        const bytes = buffer.slice(0, n);
        note(bytes);
        for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
      }
    } catch {
      // One side has gone, so does the other.
    }
    for (const conn of [from, to]) {
      try {
        conn.close();
      } catch {
        // The other direction closed it.
      }
    }
  };
  const running = (async () => {
    const copies: Promise<void>[] = [];
    for await (const near of listener) {
      const far = await Deno.connect({ ...target });
      open.push(near, far);
      copies.push(copy(near, far, (bytes) => heard.push(bytes)), copy(far, near, () => {}));
    }
    await Promise.all(copies);
  })();
  return {
    address: `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    heard,
    async [Symbol.asyncDispose]() {
      listener.close();
      await running;
    },
  };
}

const node = (id: string, seeds: string[]) =>
  createNode({
    config: false,
    node: { id, cluster: "test", type: "sclerotia", bindAddress: "127.0.0.1:0" },
    plugins: {
      "identity": { insecure: true, folder: false },
      "tls": false,
      "tcp": { insecure: true },
      "static": { seeds },
      "admin": false,
      "http-gateway": false,
    },
  });

clusterTest(
  "a conversation that is played again is refused at the handshake, and nothing of it is handled",
  async () => {
    let handled = 0;
    await using server = await node("server", []);
    server.handle("custom.pay", () => void handled++);
    const [hostname, port] = server.addresses[0].replace("tcp://", "").split(":");
    const target: Target = { hostname, port: Number(port) };
    let capture: Uint8Array[];
    {
      await using wire = relay(target);
      await using client = await node("client", []);
      await client.cluster.join([wire.address]);
      for (let at = 0; at < 3; at++) {
        await client.send("server", "custom.pay", new TextEncoder().encode("100"));
      }
      capture = [...wire.heard];
    }
    assert.equal(handled, 3);
    using replay = await Deno.connect({ ...target });
    for (const bytes of capture) {
      // It hangs up in the middle.
      await replay.write(bytes).catch(() => {});
    }
    const said: number[] = [];
    const buffer = new Uint8Array(65536);
    for (let n = await replay.read(buffer).catch(() => null); n !== null;) {
      said.push(...buffer.subarray(0, n));
      n = await replay.read(buffer).catch(() => null);
    }
    const bytes = Uint8Array.from(said);
    const view = new DataView(bytes.buffer);
    const types: number[] = [];
    for (let at = 0; at < bytes.length; at += 12 + view.getUint32(at + 8)) {
      types.push(view.getUint16(at + 6));
    }
    assert.equal(types.at(-1), messageTypes["link.refuse"]);
    assert.match(new TextDecoder().decode(bytes), /transcript/);
    assert.equal(handled, 3);
  },
);

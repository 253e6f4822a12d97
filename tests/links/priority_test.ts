// What is urgent on a wire that is slow and full: it leaves within a slice of what it meets, and
// what is not urgent is late, but never starved.
import assert from "node:assert/strict";
import { NodeBulk } from "../../core/node/bulk/bulk.ts";
import { FakeNet, FakeNode } from "../../core/node/fake_net_test.ts";
import type { FakeConnection } from "../../core/node/fakes_test.ts";
import type { Connection, Transport } from "../../core/contracts/transport.ts";
import { messageTypes } from "@mycnet/protocols/frame";
import { FrameReader } from "../../protocols/frame/reader.ts";
import { clusterTest } from "../harness/leaks.ts";

const { custom } = messageTypes;
const mebibyte = 1024 * 1024;
const sliceBytes = 64 * 1024;
const bytesPerMs = 8 * 1024;
const sliceMs = sliceBytes / bytesPerMs;

/** A network whose wires take so many bytes a millisecond, and a write only when the one before is through. */
class NarrowNet extends FakeNet {
  /** Writes of more than a few frames that have begun. */
  slices = 0;
  /** When small messages began to be written, and how many slices had begun before. */
  readonly left: { readonly atMs: number; readonly slices: number }[] = [];

  override transport(node: string, address: string | undefined): Transport {
    const made = super.transport(node, address);
    return {
      ...made,
      accept: (handler) =>
        made.accept((connection) => {
          const acceptor = connection as FakeConnection;
          for (const end of [acceptor, acceptor.other]) this.#narrow(end);
          handler(connection);
        }),
    };
  }

  #narrow(end: FakeConnection): void {
    const write: Connection["write"] = end.write.bind(end);
    const reader = new FrameReader({
      frame: (_version, type, _bytes, start, stop) => {
        if (type === custom && stop - start < 100) {
          this.left.push({ atMs: this.host.now(), slices: this.slices });
        }
        return true;
      },
    }, 2 * mebibyte);
    end.write = (bytes, written) => {
      reader.push(bytes);
      if (bytes.length > 4096) this.slices++;
      this.host.after(bytes.length / bytesPerMs, () => write(bytes, written));
    };
  }
}

/** Two nodes with one link of one slice at a time; `a` sends. */
async function linked() {
  const net = new NarrowNet();
  const config = {
    linksPerPeer: 1,
    healthCheck: { timeout: "2s" },
    compression: { enabled: false },
  };
  const [a, b] = ["a", "b"].map((id) => new FakeNode(net, id, { config }));
  a!.hint("b", "b");
  const { host } = net;
  void a!.peers.connect("b");
  await host.until(() => a!.linked("b") && b!.linked("a"));
  return { net, host, a: a!, b: b!, link: a!.peers.link("b")! };
}

async function finish({ net, a, b }: Awaited<ReturnType<typeof linked>>): Promise<void> {
  for (const { peers } of [a, b]) void peers.close("shutting_down", "the test is over");
  await net.host.advance(60_000);
  assert.equal(net.host.pendingTimers, 0, "a timer was left behind");
  assert.equal(net.open.length, 0, "a connection was left open");
}

clusterTest(
  "what is critical leaves within a slice, though a transfer and large messages fill the wire",
  async () => {
    const t = await linked();
    const { host, a, b, link } = t;
    const bulks = [a, b].map((node) =>
      new NodeBulk(node.host, node.peers, () => ({ idleTimeout: 60_000, maxTransfers: 4 }))
    );
    let received = 0;
    bulks[1]!.handle("file", async (transfer) => {
      for await (const chunk of transfer.accept()) received += chunk.length;
    });
    const total = 16 * mebibyte;
    let at = 0;
    const source = () =>
      new ReadableStream<Uint8Array>({
        pull(controller) {
          if (at >= total) return controller.close();
          at += mebibyte;
          controller.enqueue(new Uint8Array(mebibyte));
        },
      }, { highWaterMark: 0 });
    const arrived: number[] = [];
    let large = 0;
    b.peers.handle(custom, {
      message: (_link, _fields, body) => {
        if (body.length > 100) large++;
        else arrived.push(new DataView(body.buffer, body.byteOffset).getUint32(0));
      },
    });
    let over = false;
    bulks[0]!.send("b", "file", source, { total }).finally(() => over = true);
    const sent: { readonly atMs: number; readonly slices: number }[] = [];
    while (!over) {
      // Megabytes of normal messages besides, whenever there is room.
      if (!link.full) link.send(custom, { priority: "normal" }, new Uint8Array(900_000), true);
      await host.advance(1 + host.random() * 50);
      const body = new Uint8Array(4);
      new DataView(body.buffer).setUint32(0, sent.length);
      sent.push({ atMs: host.now(), slices: t.net.slices });
      link.send(custom, { priority: "critical" }, body);
    }
    await host.until(() => arrived.length === sent.length);
    assert.deepEqual(arrived, sent.map((_, at) => at));
    assert.equal(received, total);
    assert.ok(large > 10 && sent.length > 100, `${large} large, ${sent.length} critical`);
    // It waits for the slice that is being written, and for what the link has to say of itself.
    const { left } = t.net;
    assert.deepEqual(left.map(({ slices }) => slices), sent.map(({ slices }) => slices));
    const slowest = Math.max(...sent.map(({ atMs }, id) => left[id]!.atMs - atMs));
    assert.ok(slowest <= 2 * sliceMs, `${slowest} ms, where a slice takes ${sliceMs}`);
    assert.ok(slowest > sliceMs * 0.9, `only ${slowest} ms: the wire was never full`);
    for (const bulk of bulks) bulk[Symbol.dispose]();
    await finish(t);
  },
);

clusterTest(
  "under high and normal messages without end, low ones arrive all the same, and in order",
  async () => {
    const t = await linked();
    const { host, b, link } = t;
    const bytes = { high: 0, normal: 0, low: 0, critical: 0 };
    const order: number[] = [];
    b.peers.handle(custom, {
      message: (_link, { priority = "normal" }, body) => {
        bytes[priority] += body.length;
        if (priority === "low") order.push(body[0]!);
      },
    });
    let low = 0;
    const untilMs = host.now() + 5000;
    while (host.now() < untilMs) {
      // All three always have more than leaves meanwhile: senders that do not wait for room.
      for (const priority of ["high", "normal"] as const) {
        link.send(custom, { priority }, new Uint8Array(50_000).fill(7), true);
      }
      if (low < 60) {
        link.send(custom, { priority: "low" }, new Uint8Array(50_000).fill(low++), true);
      }
      await host.advance(10);
    }
    const share = bytes.low / (bytes.high + bytes.normal + bytes.low);
    assert.ok(share > 0.03, `low got ${Math.round(share * 1000) / 10} %`);
    assert.ok(bytes.high > bytes.normal && bytes.normal > bytes.low, JSON.stringify(bytes));
    assert.deepEqual(order, order.map((_, at) => at));
    await host.until(() => order.length === 60);
    await finish(t);
  },
);

/**
 * A node in a process of its own that sends all it can to a peer named `rude`, without waiting for
 * room, and tells what memory that has cost. For floods_test.ts.
 */
import { createNode } from "../../mod.ts";

const bodyBytes = 64 * 1024;
const attempts = 40_000;

const node = await createNode({
  config: false,
  log: () => {},
  node: { id: "node", cluster: "guarded", type: "sclerotia", bindAddress: "127.0.0.1:0" },
  plugins: {
    tls: false,
    tcp: { insecure: true },
    identity: { insecure: true },
    admin: false,
    "http-gateway": false,
    peers: {
      link: {
        maxFrameBytes: 1024 * 1024,
        highWaterBytes: 1024 * 1024,
        maxOutputBytes: 4 * 1024 * 1024,
      },
    },
  },
});
node.handle("custom.friend", () => new TextEncoder().encode("answered"));
const events = node.events();
console.log(JSON.stringify({ event: "listens", address: node.addresses[0] }));
for await (const event of events) if (event.type === "link_up" && event.node === "rude") break;

// One for all, since memory that was let go is slow to be given back.
const body = new Uint8Array(bodyBytes);
const before = Deno.memoryUsage().rss;
let peak = before;
const refused = new Map<string, number>();
for (let at = 0; at < attempts; at++) {
  const reliability = at % 2 === 0 ? "best-effort" : "high";
  // One that is to be acknowledged resolves then, which is never.
  node.send("rude", "custom.flood", body, { wait: false, reliability }).catch((error) => {
    const { code } = error as { code: string };
    refused.set(code, (refused.get(code) ?? 0) + 1);
  });
  if (at % 100 === 0) {
    await new Promise((resume) => setTimeout(resume));
    peak = Math.max(peak, Deno.memoryUsage().rss);
  }
}
const linked = node.members().some(({ id, links }) => id === "rude" && links.length > 0);
const grown = peak - before;
console.log(
  JSON.stringify({ event: "flooded", refused: Object.fromEntries(refused), grown, linked }),
);
// The test says when it has seen enough.
for await (const _ of Deno.stdin.readable) { /* Until its end. */ }
await node.stop();

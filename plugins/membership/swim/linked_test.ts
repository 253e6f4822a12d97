import assert from "node:assert/strict";
import type { LinkInfo, PeerInfo } from "../../../core/contracts/peers.ts";
import { portBeside } from "./address.ts";
import { candidatesNow } from "./linked.ts";

const link = {} as LinkInfo;

function peer(id: string, change: Partial<PeerInfo> = {}): PeerInfo {
  return {
    cluster: "test",
    type: "sclerotia",
    version: "",
    generation: 1,
    state: "alive",
    health: "healthy",
    addresses: [`tls://${id}:7000`],
    links: [link],
    lastSeen: 0,
    id,
    ...change,
  };
}

function candidates(
  peers: readonly PeerInfo[],
  states: Record<string, "alive" | "suspect" | "dead" | "left"> = {},
  guessed: readonly string[] = [],
) {
  const found = [{ told: ["source:1"], guessed }];
  const stateOf = (id: string) => states[id];
  return candidatesNow({ peers, found, stateOf, gossipPort: portBeside });
}

Deno.test("a linked peer is looked for where its hello says, and where it may be only without that", () => {
  const peers = [peer("a", { gossipAddress: "a:9" }), peer("b"), peer("unlinked", { links: [] })];
  assert.deepEqual(candidates(peers), { told: ["source:1", "a:9"], guessed: ["b:7946"] });
});

Deno.test("nothing is guessed about addresses of who is a member, said where it gossips, or never does", () => {
  const peers = [
    peer("member"),
    peer("said", { gossipAddress: "said:9" }),
    peer("hyphae", { type: "hyphae" }),
    peer("gone", { gossipAddress: "gone:9" }),
  ];
  const states = { member: "alive", gone: "left" } as const;
  const guesses = ["member:7946", "said:7946", "hyphae:7946", "unknown:7946"];
  assert.deepEqual(candidates(peers, states, guesses), {
    told: ["source:1", "said:9"],
    guessed: ["unknown:7946"],
  });
});

Deno.test("a member that was given up is looked for again once it is linked", () => {
  const back = peer("a", { gossipAddress: "a:9" });
  assert.deepEqual(candidates([back], { a: "dead" }).told, ["source:1", "a:9"]);
  assert.deepEqual(candidates([back], { a: "suspect" }).told, ["source:1"]);
});

Deno.test("of many strangers a few are tried", () => {
  const peers = Array.from(
    { length: 100 },
    (_, at) => peer(`p${at}`, { gossipAddress: `p${at}:9` }),
  );
  assert.equal(candidates(peers).told.length, 1 + 16);
});

/**
 * Clocks that jump, run fast and run slow under whole nodes that gossip.
 *
 * A machine's clock is not a test's to change, so this is told in the simulator:
 * wall clocks jump by a month and back, both clocks drift as far as real ones do,
 * and membership, which counts in monotonic time only, must not notice.
 */
import assert from "node:assert/strict";
import type { MemberEvent, Node } from "../../mod.ts";
import { type SimNode, simulate, simulatedNode } from "../../simulation.ts";

const names = ["a", "b", "c", "d", "e"] as const;
const dayMs = 86_400_000;

const gossiping = simulatedNode({
  plugins: {
    sockets: {},
    file: {},
    swim: { encryptKey: new Uint8Array(32).fill(7).toBase64(), join: ["a:7946"] },
    admin: { listen: false, token: "0123456789abcdef" },
  },
});

/** Whether each sees all alive. */
function agreed(nodes: readonly SimNode<Node>[]): boolean {
  return nodes.every(({ value }) => {
    const members = value.membership!.members();
    return members.length === nodes.length && members.every(({ state }) => state === "alive");
  });
}

Deno.test("clocks that jump by a month, forward and back, and drift, suspect nobody and kill nobody", async () => {
  await simulate({ seed: 31 }, async (sim) => {
    const nodes: SimNode<Node>[] = [];
    for (const name of names) nodes.push(await sim.node(name, gossiping));
    await sim.until(() => agreed(nodes));
    const events: string[] = [];
    for (const { name, value } of nodes) {
      value.membership!.onMember(({ type, member }: MemberEvent) => {
        events.push(`${name}: ${type} ${member.id}`);
      });
    }
    const before = nodes.map(({ value, name }) => value.membership!.member(name)!.incarnation);
    for (const { clock } of nodes) {
      clock.skew((sim.random.float() - 0.5) * dayMs);
      clock.drift((sim.random.float() - 0.5) * 1000);
    }
    for (let jump = 0; jump < 20; jump++) {
      await sim.run(3000);
      sim.random.pick(nodes).clock.step((sim.random.float() - 0.5) * 60 * dayMs);
    }
    await sim.run(10_000);
    assert.deepEqual(events, []);
    assert.ok(agreed(nodes));
    const after = nodes.map(({ value, name }) => value.membership!.member(name)!.incarnation);
    assert.deepEqual(after, before, "nobody had anything to refute");

    // What did happen is still seen in time by those whose clocks are wrong.
    const [a, b] = [nodes[0]!, nodes[1]!];
    b.crash();
    const diedAt = sim.now;
    await sim.until(() => a.value.membership!.member("b")?.state === "dead");
    assert.ok(sim.now - diedAt < 15_000, `after ${sim.now - diedAt} ms`);
    b.clock.step(-400 * dayMs);
    await b.start();
    await sim.until(() => agreed(nodes));
    const returned = b.value.membership!.member("b")!.incarnation;
    assert.ok(returned > before[1]!, "incarnations are counted, not read from a clock");
  });
});

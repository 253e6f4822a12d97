/** Three nodes and three Serf agents survive the loss of any two; the command line lists both kinds. */
import assert from "node:assert/strict";
import { rootPath, startDeno, taskPermissions } from "../harness/processes.ts";
import { SerfAgent, serfMissing } from "../harness/serf.ts";
import { Mixed, nodeIds } from "./mixed.ts";

const missing = serfMissing();
if (missing !== undefined) {
  console.error(`The tests beside Serf agents cannot run here: ${missing}`);
}

const agentIds = ["agent-1", "agent-2", "agent-3"];

Deno.test({
  name: "three nodes and three agents survive kill -9 of any two, and take them back",
  ignore: missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1",
  async fn(context) {
    await using mixed = await Mixed.form({
      ids: agentIds,
      interop: "serf",
      start: async (options) => {
        const agent = await SerfAgent.start({ ...options, tags: { role: "agent" } });
        return {
          kill: () => agent.kill(),
          alive: async () =>
            Object.values(await agent.members())
              .filter(({ status }) => status === "alive").map(({ name }) => name),
          [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose](),
        };
      },
    });
    await mixed.agreed();
    await mixed.survive(context);
    await context.step("the command line lists agents beside nodes", async () => {
      const node = mixed.nodes.get("node-1")!;
      const args = ["members", "--json", "--admin", node.admin, "--token", node.token];
      await using command = startDeno([
        "run",
        "--quiet",
        "--no-prompt",
        ...taskPermissions("node"),
        `${rootPath}mod.ts`,
        ...args,
      ]);
      const members = await command.json(
        "the members",
        ({ members }) => members as { id: string; tags: Record<string, string> }[] | undefined,
      );
      assert.deepEqual(members.map(({ id }) => id), [...agentIds, ...nodeIds]);
      assert.deepEqual(members[0]!.tags, { role: "agent" });
      assert.equal(members[3]!.tags.type, "sclerotia");
      assert.equal((await command.ended()).code, 0);
    });
  },
});

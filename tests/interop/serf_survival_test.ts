/** Three nodes and three Serf agents survive the loss of any two; the command line lists both kinds. */
import assert from "node:assert/strict";
import { rootPath, startDeno, taskPermissions } from "../harness/processes.ts";
import { SerfAgent, serfMissing } from "../harness/serf.ts";
import { type ForeignKind, Mixed, nodeIds, surviveAllPairs } from "./mixed.ts";

const missing = serfMissing();
if (missing !== undefined) {
  console.error(`The tests beside Serf agents cannot run here: ${missing}`);
}

const ignore = missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1";

const agents: ForeignKind = {
  ids: ["agent-1", "agent-2", "agent-3"],
  interop: "serf",
  start: async (options) => {
    const agent = await SerfAgent.start({ ...options, tags: { role: "agent" } });
    const having = async (wanted: string) =>
      Object.values(await agent.members())
        .filter(({ status }) => status === wanted).map(({ name }) => name);
    return {
      kill: () => agent.kill(),
      alive: () => having("alive"),
      failed: () => having("failed"),
      heard: (event) => agent.logs(new RegExp(`Received event: user-event: ${event}$`)),
      [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose](),
    };
  },
};

Deno.test({
  name: "three nodes and three agents survive kill -9 of any two, and take them back",
  ignore,
  fn: () => surviveAllPairs(agents),
});

Deno.test({
  name: "the command line lists agents beside nodes",
  ignore,
  async fn() {
    await using mixed = await Mixed.form(agents);
    await mixed.agreed();
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
    assert.deepEqual(members.map(({ id }) => id), [...agents.ids, ...nodeIds]);
    assert.deepEqual(members[0]!.tags, { role: "agent" });
    assert.equal(members[3]!.tags.type, "sclerotia");
    assert.equal((await command.ended()).code, 0);
  },
});

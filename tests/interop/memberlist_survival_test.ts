/** Three nodes and three programs on HashiCorp's memberlist survive the loss of any two. */
import { memberlistMissing, MemberlistProgram } from "../harness/memberlist.ts";
import { surviveAllPairs } from "./mixed.ts";

const missing = memberlistMissing();
if (missing !== undefined) {
  console.error(`The tests beside memberlist's programs cannot run here: ${missing}`);
}

Deno.test({
  name: "three nodes and three memberlist programs survive kill -9 of any two, and take them back",
  ignore: missing !== undefined && Deno.env.get("MYCNET_REQUIRE_SERVERS") !== "1",
  async fn() {
    await using program = await MemberlistProgram.build();
    await surviveAllPairs({
      ids: ["peer-1", "peer-2", "peer-3"],
      interop: "memberlist",
      start: async (options) => {
        const peer = await program.start(options);
        return {
          kill: () => peer.kill(),
          alive: async () => Object.keys(await peer.members()),
          [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
        };
      },
    });
  },
});

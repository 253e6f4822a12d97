/** `mycnet force-leave`: takes a failed member out of the cluster. */
import { MycnetError } from "../../kernel/errors.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";

/** `mycnet force-leave`. */
export const forceLeave: Command = defineCommand({
  name: "force-leave",
  summary: "Mark a failed member as left, so that nobody waits for it any more.",
  usage: ["force-leave <id> [--prune] [options]"],
  details:
    "A member that is alive after all comes back by itself. With --prune it disappears from every\n" +
    "list at once instead of being shown as left for a while.",
  maxPositionals: 1,
  options: {
    ...adminOptions,
    prune: { type: "boolean", description: "Forget it everywhere." },
  },
  async run(context) {
    const { out, options, positionals: [id] } = context;
    if (id === undefined) {
      throw new MycnetError("usage", "name the member: mycnet force-leave <id>");
    }
    const client = await AdminClient.open(context);
    const body = { id, prune: options.prune };
    const done = await client.post("/api/v1/network/gossip/force-leave", body);
    if (out.json) out.value(done);
    else out.note(`${id} counts as left.`);
    return exitCodes.ok;
  },
});

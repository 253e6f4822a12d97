/** `mycnet event`: a user event to every member. */
import { MycnetError } from "../../kernel/errors.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";

/** `mycnet event`. */
export const event: Command = defineCommand({
  name: "event",
  summary: "Send a user event to every member of the cluster.",
  usage: ["event <name> [payload] [options]"],
  details:
    "Name and payload together have at most 512 bytes. Events spread by gossip: they reach every\n" +
    "live member soon, Serf agents included, and nobody answers.",
  maxPositionals: 2,
  options: {
    ...adminOptions,
    "no-coalesce": {
      type: "boolean",
      description: "Serf agents hand over each one, not only the latest of a name.",
    },
  },
  async run(context) {
    const { out, options, positionals: [name, payload = ""] } = context;
    if (name === undefined) throw new MycnetError("usage", "name the event: mycnet event <name>");
    const client = await AdminClient.open(context);
    const sent = await client.post("/api/v1/network/gossip/event", {
      name,
      payload,
      coalesce: !options["no-coalesce"],
    });
    if (out.json) out.value(sent);
    else out.note(`The event ${JSON.stringify(name)} is on its way.`);
    return exitCodes.ok;
  },
});

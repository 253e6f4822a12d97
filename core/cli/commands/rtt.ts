/** `mycnet rtt`: how far two members are apart. */
import { MycnetError } from "../../kernel/errors.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";

/** What the endpoint answers. */
interface Distance {
  readonly from: string;
  readonly to: string;
  readonly distanceMs: number;
}

/** `mycnet rtt`. */
export const rtt: Command = defineCommand({
  name: "rtt",
  summary: "Estimate the round trip between two members.",
  usage: ["rtt <a> [b] [options]"],
  details:
    "By network coordinates, which probes make: nothing is sent for the asking. Without b, the\n" +
    "node that is asked stands for it.",
  maxPositionals: 2,
  options: adminOptions,
  async run(context) {
    const { out, positionals: [a, b] } = context;
    if (a === undefined) throw new MycnetError("usage", "name a member: mycnet rtt <a> [b]");
    const client = await AdminClient.open(context);
    const other = b ?? (await client.get<{ node: string }>("/api/v1/network/gossip")).node;
    const search = new URLSearchParams({ from: a, to: other });
    const found = await client.get<Distance>(`/api/v1/network/gossip/rtt?${search}`);
    if (out.json) out.value(found);
    else out.line(`${found.from} to ${found.to}: ${found.distanceMs.toFixed(3)} ms`);
    return exitCodes.ok;
  },
});

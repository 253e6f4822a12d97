/** `mycnet members`: who gossip says is in the cluster, Serf agents included. */
import type { Member } from "../../contracts/membership.ts";
import type { NodeState } from "../../contracts/peers.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import type { Output, Style } from "../output.ts";

const stateStyles: Readonly<Record<NodeState, Style>> = {
  alive: "green",
  suspect: "yellow",
  joining: "yellow",
  dead: "red",
  left: "dim",
};

function tagsText(tags: Member["tags"]): string {
  return Object.entries(tags).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, value]) => `${key}=${value}`).join(",");
}

function row(member: Member, out: Output, detailed: boolean): readonly string[] {
  const { id, address, state, tags, incarnation, phi, distanceMs, since } = member;
  const common = [id, address, out.style(stateStyles[state], state)];
  if (!detailed) return [...common, tagsText(tags)];
  return [
    ...common,
    `${incarnation}`,
    new Date(since).toISOString().replace(/\.\d+Z$/, "Z"),
    phi === undefined ? "-" : phi.toFixed(2),
    distanceMs === undefined ? "-" : `${distanceMs.toFixed(2)} ms`,
    tagsText(tags),
  ];
}

/** `mycnet members`. */
export const members: Command = defineCommand({
  name: "members",
  summary: "List the members of the cluster as gossip knows them.",
  usage: ["members [id] [options]", "members --state dead"],
  details:
    "Serf agents are listed beside nodes. With an id: everything that is known of that member.\n" +
    "--detailed adds the incarnation, since when it is in its state, phi (how suspect its\n" +
    "silence is) and the estimated distance.",
  maxPositionals: 1,
  options: {
    ...adminOptions,
    detailed: { type: "boolean", description: "Show more of each member." },
    state: {
      type: "string",
      value: "STATE",
      description: "Only members in this state: alive, suspect, dead, left.",
    },
  },
  async run(context) {
    const { out, options, positionals: [id] } = context;
    const client = await AdminClient.open(context);
    if (id !== undefined) {
      out.value(await client.get(`/api/v1/network/members/${encodeURIComponent(id)}`));
      return exitCodes.ok;
    }
    const found = await client.get<{ members: readonly Member[] }>("/api/v1/network/members");
    const shown = found.members
      .filter((it) => options.state === undefined || it.state === options.state)
      .toSorted((a, b) => a.id < b.id ? -1 : 1);
    if (out.json) out.value({ members: shown });
    else {
      const more = options.detailed ? ["INCARNATION", "SINCE", "PHI", "DISTANCE"] : [];
      out.table(
        ["MEMBER", "ADDRESS", "STATE", ...more, "TAGS"],
        shown.map((it) => row(it, out, options.detailed)),
      );
    }
    return exitCodes.ok;
  },
});

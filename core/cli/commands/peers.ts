/** `mycnet peers`: the nodes that a running node knows. */
import type { PeerInfo } from "../../contracts/peers.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import type { Output } from "../output.ts";
import { healthStyle } from "./status.ts";

function row(peer: PeerInfo, out: Output): readonly string[] {
  const up = peer.links.filter((it) => it.state === "up");
  const trips = up.flatMap((it) => it.roundTripMs ?? []);
  return [
    peer.id,
    peer.type,
    peer.state,
    out.style(healthStyle(peer.health), peer.health),
    `${up.length}`,
    trips.length === 0 ? "-" : `${Math.min(...trips).toFixed(2)} ms`,
    up[0]?.profile.wanted.name ?? "-",
    peer.addresses[0] ?? "-",
  ];
}

/** `mycnet peers`. */
export const peers: Command = defineCommand({
  name: "peers",
  summary: "List the nodes that a running node knows, with its links to them.",
  usage: ["peers [id] [options]"],
  details: "With an id: everything that is known of that node.",
  maxPositionals: 1,
  options: adminOptions,
  async run(context) {
    const { out, positionals: [id] } = context;
    const client = await AdminClient.open(context);
    if (id !== undefined) {
      out.value(await client.get(`/api/v1/network/peers/${encodeURIComponent(id)}`));
      return exitCodes.ok;
    }
    const found = await client.get<{ peers: readonly PeerInfo[] }>("/api/v1/network/peers");
    if (out.json) out.value(found);
    else if (found.peers.length === 0) out.note("No peers are known; add some with `static`.");
    else {
      out.table(
        ["NODE", "TYPE", "STATE", "HEALTH", "LINKS", "RTT", "PROFILE", "ADDRESS"],
        found.peers.map((it) => row(it, out)),
      );
    }
    return exitCodes.ok;
  },
});

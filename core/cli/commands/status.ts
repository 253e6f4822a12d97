/** `mycnet status`: how a running node and its network are. */
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import { printable, type Style } from "../output.ts";
import type { HealthStatus } from "../../contracts/health.ts";
import type { NetworkHealth } from "../../admin/views.ts";

/** What the command reads of the endpoint's statistics. */
interface Stats {
  readonly node: string;
  readonly type: string;
  readonly cluster: string;
  readonly version: string;
  readonly uptimeMs: number;
  readonly addresses: readonly string[];
  readonly links: {
    readonly up: number;
    readonly messagesSent: number;
    readonly messagesReceived: number;
    readonly averageRoundTripMs: number | null;
  };
}

/** The colour of a status. */
export function healthStyle(status: HealthStatus): Style {
  return status === "healthy" ? "green" : status === "degraded" ? "yellow" : "red";
}

/** `3h 12m`, the two largest units. */
export function spanText(ms: number): string {
  const units: readonly (readonly [string, number])[] = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ];
  let rest = ms;
  const parts: string[] = [];
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || (unit === "s" && parts.length === 0)) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

/** `mycnet status`. */
export const status: Command = defineCommand({
  name: "status",
  summary: "Show how a running node and its network are.",
  usage: ["status [options]"],
  details: "Exits with 1 when the network is unhealthy as this node sees it.",
  options: adminOptions,
  async run(context) {
    const { out } = context;
    const client = await AdminClient.open(context);
    const [health, stats] = await Promise.all([
      client.get<NetworkHealth>("/api/v1/network/health"),
      client.get<Stats>("/api/v1/network/stats"),
    ]);
    const code = health.status === "unhealthy" ? exitCodes.failed : exitCodes.ok;
    if (out.json) {
      out.value({ admin: client.address, health, stats });
      return code;
    }
    const { links } = stats;
    const trip = links.averageRoundTripMs;
    const { healthy, degraded, unhealthy } = health.members;
    const rows: readonly (readonly [string, string])[] = [
      ["node", `${stats.node} (${stats.type}) of ${stats.cluster}`],
      ["status", out.style(healthStyle(health.status), health.status)],
      ["ready", health.node.ready ? "yes" : "no"],
      ["up for", spanText(stats.uptimeMs)],
      ["version", stats.version],
      ["addresses", stats.addresses.join(", ") || "none; it only dials"],
      ["admin", client.address],
      ["members", `${healthy} healthy, ${degraded} degraded, ${unhealthy} unhealthy`],
      ["links", `${links.up} up${trip === null ? "" : `, ${trip.toFixed(2)} ms round trip`}`],
      ["messages", `${links.messagesSent} sent, ${links.messagesReceived} received`],
    ];
    for (const [name, value] of rows) out.line(`${out.style("dim", name.padEnd(9))}  ${value}`);
    for (const reason of health.reasons) out.line(`  - ${printable(reason)}`);
    return code;
  },
});

/** A link as shown to people and programs. */
import type { LinkInfo } from "../../contracts/peers.ts";
import type { Connection } from "../../contracts/transport.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { LinkMachine } from "@mycnet/protocols/link";

/** What a link knows of itself besides its machine. */
type Shown = Pick<LinkInfo, "id" | "direction" | "state" | "health" | "roundTripMs"> & {
  readonly connection: Connection;
};

/**
 * What there is to show of a link that is or was up.
 * @param since wall-clock time in ms at which it came up.
 * @param compression what it comes to, where the link compresses.
 * @throws {MycnetError} `internal` for one that never was.
 */
export function linkInfo(
  { id, direction, state, health, roundTripMs, connection }: Shown,
  { counters, profile, exchanges }: Pick<LinkMachine, "counters" | "profile" | "exchanges">,
  since: number,
  compression: LinkInfo["compression"],
): LinkInfo {
  if (profile === undefined) throw new MycnetError("internal", `link ${id} is not up yet`);
  const { bytesSent, bytesReceived, messagesSent, messagesReceived } = counters;
  return {
    id,
    transport: connection.transport,
    localAddress: connection.localAddress,
    remoteAddress: connection.remoteAddress,
    direction,
    state,
    health,
    roundTripMs,
    profile,
    ...(compression === undefined ? {} : { compression }),
    since,
    bytesSent,
    bytesReceived,
    messagesSent,
    messagesReceived,
    exchanges,
  };
}

/**
 * Where gossip listens unless it is told: at the host where the node takes links, 946
 * ports above. So the usual 7000 gives Serf's usual 7946, several nodes on one machine
 * that differ in `node.bindAddress` differ in both ports, and whoever knows where a
 * node takes links can guess where it gossips. Who is linked need not: hello tells.
 */
import { MycnetError } from "../../../core/kernel/errors.ts";
import { formatHostPort, parseHostPort } from "../../../core/node/net/mod.ts";

/** From the port for links to the port for gossip. */
export const gossipAboveLinks = 946;
/** Where a node gossips that takes no links. */
const aloneAddress = "0.0.0.0:7946";
const highestPort = 65_535;

/** The gossip port beside a port for links; undefined where there is none. 0, for any free one, stays 0. */
export function portBeside(linkPort: number): number | undefined {
  if (linkPort === 0) return 0;
  const port = linkPort + gossipAboveLinks;
  return port > highestPort ? undefined : port;
}

/**
 * Where to gossip beside `node.bindAddress`.
 * @throws {MycnetError} `config_invalid` when there is no port so far above.
 */
export function addressBeside(bindAddress: string | undefined): string {
  if (bindAddress === undefined) return aloneAddress;
  const { host, port } = parseHostPort(bindAddress, "node.bindAddress");
  const beside = portBeside(port);
  if (beside !== undefined) return formatHostPort(host, beside);
  throw new MycnetError(
    "config_invalid",
    `there is no port ${gossipAboveLinks} above that of node.bindAddress (${bindAddress}) to ` +
      `gossip at: set bindAddress of swim`,
  );
}

/**
 * Under which IP address a port is told to others. Gossip carries addresses as
 * bytes, so names are resolved here, once, and a wildcard becomes one address
 * of this machine: a private IPv4 address if there is one, as others in the same
 * network reach it.
 */
import { isIP } from "node:net";
import { lookup } from "node:dns/promises";
import { MycnetError } from "../../../core/kernel/errors.ts";
import {
  formatHostPort,
  type HostPort,
  isWildcard,
  parseHostPort,
} from "../../../core/node/net/mod.ts";

/** An interface's address, as `Deno.networkInterfaces` gives it. */
export interface LocalAddress {
  readonly address: string;
  readonly family: "IPv4" | "IPv6";
}

/** What decides it. */
export interface AdvertiseParts {
  /** Where the port is bound. */
  readonly bound: HostPort;
  /** What the configuration says. */
  readonly advertise: string | undefined;
  /** This machine's addresses; asked for a wildcard only. */
  readonly interfaces: () => readonly LocalAddress[];
}

/**
 * The IP address and port to tell others, as `host:port`.
 * @throws {MycnetError} `address_invalid` for a wildcard, or a name that does not resolve.
 */
export async function advertised(
  { bound, advertise, interfaces }: AdvertiseParts,
): Promise<string> {
  if (advertise === undefined) {
    const host = isWildcard(bound.host) ? preferred(interfaces()) : await resolved(bound.host);
    return formatHostPort(host, bound.port);
  }
  const { host, port } = parseHostPort(advertise, "advertiseAddress");
  if (isWildcard(host)) {
    throw new MycnetError(
      "address_invalid",
      `advertiseAddress: "${advertise}" is every interface; name one that others can reach`,
    );
  }
  return formatHostPort(await resolved(host), port === 0 ? bound.port : port);
}

async function resolved(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host, { order: "ipv4first" })).address;
  } catch (error) {
    throw new MycnetError(
      "address_invalid",
      `${host} does not resolve to an IP address: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** The best of a machine's addresses; loopback if it has no other. */
export function preferred(addresses: readonly LocalAddress[]): string {
  const ranked = addresses
    .filter(({ address }) => !/^fe80:/i.test(address)) // Means nothing without its interface.
    .map((it) => ({ address: it.address, rank: rank(it) }))
    .sort((a, b) => a.rank - b.rank);
  return ranked[0]?.address ?? "127.0.0.1";
}

function rank({ address, family }: LocalAddress): number {
  if (family === "IPv4") {
    if (/^127\./.test(address)) return 4;
    if (/^169\.254\./.test(address)) return 3;
    return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address) ? 0 : 1;
  }
  return address === "::1" ? 5 : 2;
}

/** Host and port, as transports bind, dial and announce them. */
import { isIP } from "node:net";
import { MycnetError } from "../../kernel/errors.ts";

/** Where to listen or connect. */
export interface HostPort {
  /** A name or an IP address, without brackets. Empty: every interface. */
  readonly host: string;
  /** 0 when listening: any free one. */
  readonly port: number;
}

/**
 * Reads `host:port`, `[v6]:port`, or `:port` for every interface.
 * @param field what to call it in the error, e.g. `"bindAddress"`.
 * @throws {MycnetError} `address_invalid`, naming the field and what would be right.
 */
export function parseHostPort(text: string, field: string = "address"): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^:\s/[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new MycnetError(
      "address_invalid",
      `${field}: ${JSON.stringify(text.slice(0, 300))} is not host:port ` +
        `(with brackets around an IPv6 host and a port of at most 65535)`,
    );
  }
  return { host: match[1] ?? match[2] ?? "", port };
}

/** Writes `host:port`, with brackets around an IPv6 host. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for a host that means every interface. */
export function isWildcard(host: string): boolean {
  return host === "" || host === "0.0.0.0" || (isIP(host) === 6 && /^[0:]+$/.test(host));
}

/** What decides how a listener is announced. */
export interface Announcement {
  /** Where it listens; the port is the real one. */
  readonly bound: HostPort;
  /** The transport's own `advertiseAddress`, then that of the node; port 0 stands for the real one. */
  readonly advertise: string | undefined;
  /** The name of this machine, asked only if nothing better is known. */
  readonly hostname: () => string;
}

/** `host:port` as others should dial it. @throws {MycnetError} `address_invalid` for a malformed advertiseAddress. */
export function announcedAddress({ bound, advertise, hostname }: Announcement): string {
  if (advertise !== undefined) {
    const { host, port } = parseHostPort(advertise, "advertiseAddress");
    if (isWildcard(host)) {
      throw new MycnetError(
        "address_invalid",
        `advertiseAddress: "${advertise}" is every interface; name one that others can reach`,
      );
    }
    return formatHostPort(host, port === 0 ? bound.port : port);
  }
  return formatHostPort(isWildcard(bound.host) ? hostname() : bound.host, bound.port);
}

/** Addresses: `scheme://host:port`, or `host:port` for whichever transport is the most secure. */
import type { Transport } from "../../contracts/transport.ts";
import { MycnetError } from "../../kernel/errors.ts";

/** An address taken apart. */
export interface Address {
  /** Undefined: any transport will do. */
  readonly scheme: string | undefined;
  /** What the transport dials. */
  readonly target: string;
}

/** Which transport an address without a scheme goes over, the most secure first. */
export const schemeOrder: readonly string[] = ["tls", "quic", "tcp", "memory"];

/** The longest address that is taken, in characters. */
const maxLength = 300;

/**
 * Takes an address apart.
 * @throws {MycnetError} `address_invalid`, naming it and what would be right.
 */
export function parseAddress(text: string): Address {
  const match = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^\s/]+)$/.exec(text);
  if (match === null || text.length > maxLength) {
    throw invalid(text, "write host:port, or scheme://host:port");
  }
  const [, scheme, target] = match;
  if (scheme === undefined || scheme !== "memory") checkHostPort(text, target);
  return { scheme, target };
}

/** True for what can only be an address: node ids have no colon. */
export function isAddress(target: string): boolean {
  return target.includes(":");
}

/** The transports an address can be dialled over, in the order in which to try them. */
export function transportsFor(address: Address, transports: Iterable<Transport>): Transport[] {
  const usable = [...transports].filter(({ scheme }) =>
    address.scheme === undefined || address.scheme === scheme
  );
  return usable.sort((a, b) => rank(a.scheme) - rank(b.scheme));
}

/** Where a scheme stands in {@linkcode schemeOrder}; unknown ones last. */
export function rank(scheme: string | undefined): number {
  const index = schemeOrder.indexOf(scheme ?? "");
  return index === -1 ? schemeOrder.length : index;
}

/** The host of an address, for counting and logging by origin: ports of inbound connections mean nothing. */
export function hostOf(address: string): string {
  const colon = address.lastIndexOf(":");
  return colon === -1 ? address : address.slice(0, colon);
}

function checkHostPort(text: string, target: string): void {
  const match = /^(\[[0-9a-fA-F:.%]+\]|[^:[\]]+):(\d{1,5})$/.exec(target);
  if (match === null) throw invalid(text, "write host:port, with brackets around an IPv6 host");
  const port = Number(match[2]);
  if (port < 1 || port > 65_535) throw invalid(text, "the port is a number from 1 to 65535");
}

function invalid(text: string, remedy: string): MycnetError {
  return new MycnetError(
    "address_invalid",
    `${JSON.stringify(text.slice(0, maxLength))} is no address: ${remedy}`,
  );
}

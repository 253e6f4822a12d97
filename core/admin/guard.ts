/**
 * Who may ask: the token, and the name by which the endpoint was asked.
 *
 * The token is compared by digest and in constant time. The Host check stops
 * DNS rebinding: a page in a browser on this machine can make its own name
 * resolve to 127.0.0.1, but it cannot make the browser send another Host. An
 * IP literal cannot be rebound, so a node that listens beyond loopback takes
 * any of those; names beyond `localhost` must be listed.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { MycnetError } from "../kernel/errors.ts";

/** True for `localhost` and the loopback addresses. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.toLowerCase();
  return name === "localhost" || name === "::1" || (isIP(name) === 4 && name.startsWith("127."));
}

/** The host of a request without its port and brackets. */
function hostOf(request: Request): string {
  const host = request.headers.get("host") ?? new URL(request.url).host;
  return host.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "").toLowerCase();
}

/**
 * Makes the check of the Host header.
 * @param bound the host that the endpoint listens on; loopback for a pure application.
 * @param allowed further names.
 */
export function hostCheck(
  bound: string,
  allowed: readonly string[],
): (request: Request) => void {
  const names = new Set(allowed.map((it) => it.toLowerCase()));
  const anyAddress = !isLoopback(bound);
  if (anyAddress) names.add(bound.toLowerCase());
  return (request) => {
    const host = hostOf(request);
    if (isLoopback(host) || names.has(host) || (anyAddress && isIP(host) !== 0)) return;
    throw new MycnetError("host_refused", `the host ${JSON.stringify(host)} is not taken here`);
  };
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** Makes the check of `Authorization: Bearer <token>`. */
export function tokenCheck(token: string): (request: Request) => void {
  const expected = digest(token);
  return (request) => {
    const header = request.headers.get("authorization");
    if (header === null) throw new MycnetError("unauthenticated", "no token was presented");
    const match = /^bearer +(\S+) *$/i.exec(header);
    if (match === null || !timingSafeEqual(digest(match[1]), expected)) {
      throw new MycnetError("unauthenticated", "the token is not this node's");
    }
  };
}

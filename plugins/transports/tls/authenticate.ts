/**
 * Who is at the other end of a TLS connection.
 *
 * The TLS layer has the last word: only where it calls the peer authorized does a
 * certificate's name count, for only then is it known that the peer holds the key.
 * Its codes do not tell an expired certificate from a foreign one, though, so the
 * chain is checked here again, for the reason. Both must agree.
 */
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import type { X509Certificate } from "node:crypto";
import type { PeerAuthentication } from "../../../core/contracts/transport.ts";
import { checkChain, maxChainLength } from "../../../core/node/identity/chain.ts";

/** What the peer is measured by. */
export interface AuthenticationRules {
  /** The cluster's authorities. */
  readonly authorities: readonly X509Certificate[];
  /** Wall-clock time, in ms since the epoch. */
  readonly nowMs: number;
  /** False: a peer without a certificate is known by its hello. */
  readonly certificateRequired: boolean;
  /** The TLS cipher suites that are allowed; undefined for all. */
  readonly cipherSuites: readonly string[] | undefined;
}

/** Judges the peer of a socket whose handshake is done. Never throws. */
export function authenticate(socket: TLSSocket, rules: AuthenticationRules): PeerAuthentication {
  const rejected = (reason: string): PeerAuthentication => ({ kind: "rejected", reason });
  const suite = socket.getCipher()?.name;
  if (rules.cipherSuites !== undefined && !rules.cipherSuites.includes(suite)) {
    return rejected(
      `the cipher suite ${suite} is not allowed here: one of ${rules.cipherSuites.join(", ")}`,
    );
  }
  const chain = chainOf(socket.getPeerCertificate(true));
  if (chain.length === 0 && !rules.certificateRequired) return { kind: "fiat" };
  const verdict = checkChain(chain, rules.authorities, rules.nowMs);
  if (!verdict.ok) return rejected(verdict.reason);
  if (!socket.authorized) {
    const why = String(socket.authorizationError ?? "no reason given");
    return rejected(`TLS does not accept the certificate (${why})`);
  }
  return { kind: "verified", principal: verdict.principal, expiresAt: verdict.expiresAt };
}

/** The certificates of the peer, leaf first; the library links each to its issuer, a root to itself. */
function chainOf(leaf: DetailedPeerCertificate | null | undefined): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let current: DetailedPeerCertificate | undefined = leaf ?? undefined;
  while (current?.raw !== undefined && chain.length <= maxChainLength) {
    chain.push(current.raw);
    if (current.issuerCertificate === current) break;
    current = current.issuerCertificate;
  }
  return chain;
}

/**
 * Decides whether a certificate chain makes its holder a node of the cluster.
 *
 * The path is built from the leaf upward: each certificate must have been issued
 * (name and signature) by one of the cluster's authorities or by the next
 * certificate sent, which must itself be an authority whose path length allows
 * it (RFC 5280, section 6, without policies and name constraints, which we do
 * not issue). Trust comes first and dates second, so that nothing is said about
 * the dates of a certificate that anybody could have made. Only then is the name
 * read: exactly one URI, and that a SPIFFE id of ours. The reasons are sentences
 * for people; TLS libraries give one code for most of these cases.
 */
import { X509Certificate } from "node:crypto";
import { parseSpiffeId, type Principal } from "@mycnet/protocols/identity";
import { readExtensions } from "./der.ts";

/** What checking a chain gives. */
export type ChainVerdict =
  | {
    readonly ok: true;
    /** Who the certificate names. */
    readonly principal: Principal;
    /** When the first certificate of the path expires, in ms since the epoch. */
    readonly expiresAt: number;
    /** The leaf. */
    readonly certificate: X509Certificate;
  }
  | { readonly ok: false; readonly reason: string };

/** The longest chain that is looked at, the leaf included and the root excluded. */
export const maxChainLength = 4;

/**
 * Checks a chain of DER certificates, leaf first, at the wall-clock time `nowMs`.
 * Never throws.
 */
export function checkChain(
  chain: readonly Uint8Array[],
  authorities: readonly X509Certificate[],
  nowMs: number,
): ChainVerdict {
  const no = (reason: string): ChainVerdict => ({ ok: false, reason });
  if (chain.length === 0) return no("no certificate was presented");
  if (chain.length > maxChainLength + 1) {
    return no(`the chain has more than ${maxChainLength} certificates below the root`);
  }
  let certificates: X509Certificate[];
  try {
    certificates = chain.map((der) => new X509Certificate(der));
  } catch {
    return no("the certificate cannot be read");
  }
  try {
    const path = buildPath(certificates, authorities);
    if (typeof path === "string") return no(path);
    for (const certificate of path) {
      const problem = dateProblem(certificate, nowMs);
      if (problem !== undefined) return no(problem);
    }
    const leaf = certificates[0]!;
    const extensions = readExtensions(leaf.raw);
    if (extensions === undefined) return no("the certificate cannot be read");
    if (extensions.authority) {
      return no("it is an authority's certificate, not a node's");
    }
    const [uri, ...more] = extensions.uris;
    const principal = uri === undefined || more.length > 0 ? undefined : parseSpiffeId(uri);
    if (principal === undefined) {
      return no(
        "it is not a node's certificate: it does not name exactly one " +
          "spiffe://<cluster>/<node type>/<node id>",
      );
    }
    const expiresAt = Math.min(...path.map((it) => validUntil(it)));
    return { ok: true, principal, expiresAt, certificate: leaf };
  } catch {
    return no("the certificate cannot be checked: it uses a key or signature unknown here");
  }
}

/** From the leaf to an authority of the cluster, or why there is no way. */
function buildPath(
  certificates: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): readonly X509Certificate[] | string {
  const path: X509Certificate[] = [];
  let current = certificates[0]!;
  for (let below = 0; below <= maxChainLength; below++) {
    path.push(current);
    // A root presented as a leaf is its own issuer; the name check refuses it later.
    const root = authorities.find((it) => isIssuer(it, current, below));
    if (root !== undefined) return root.raw.equals(current.raw) ? path : [...path, root];
    const next = certificates.find((it) => !path.includes(it) && isIssuer(it, current, below));
    if (next === undefined) break;
    current = next;
  }
  const issuer = current.issuer.replaceAll(/\s+/g, " ").slice(0, 120);
  return `it was issued by a foreign authority ("${issuer}"), not by one of this cluster`;
}

/** True if `issuer` signed `subject`, and may, with `below` intermediates between itself and the leaf. */
function isIssuer(issuer: X509Certificate, subject: X509Certificate, below: number): boolean {
  if (!subject.checkIssued(issuer) || !subject.verify(issuer.publicKey)) return false;
  const extensions = readExtensions(issuer.raw);
  return extensions !== undefined && extensions.authority &&
    (extensions.pathLength === undefined || below <= extensions.pathLength);
}

function dateProblem(certificate: X509Certificate, nowMs: number): string | undefined {
  const from = validFrom(certificate);
  const until = validUntil(certificate);
  const now = new Date(nowMs).toISOString();
  if (!(nowMs >= from)) {
    return `it is not valid yet: valid from ${iso(from)}, and the clock here says ${now}`;
  }
  if (!(nowMs <= until)) {
    return `it has expired: valid until ${iso(until)}, and the clock here says ${now}`;
  }
  return undefined;
}

/** Until when a certificate is valid, in ms since the epoch. */
export function validUntil(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

/** From when a certificate is valid, in ms since the epoch. */
export function validFrom(certificate: X509Certificate): number {
  return Date.parse(certificate.validFrom);
}

function iso(ms: number): string {
  return Number.isNaN(ms) ? "an unreadable date" : new Date(ms).toISOString();
}

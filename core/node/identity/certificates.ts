/**
 * Issues certificates: the root authority of a cluster and its nodes'.
 *
 * A root may have one level of intermediate authorities below it. A node's
 * certificate serves both ends of mutual TLS, and names the node by its SPIFFE
 * id; `localhost` and the loopback addresses are there for tools that insist on
 * a host name. Certificates begin an hour in the past, since clocks differ.
 */
import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { isIP } from "node:net";
import type { Host } from "../../kernel/host.ts";
import { formatSpiffeId, type Principal } from "@mycnet/protocols/identity";
import { importKeyPair, keyAlgorithm } from "./keys.ts";

/** What issuing needs of the world. */
export type IssuingHost = Pick<Host, "wallTime" | "randomBytes">;

/** How far in the past a certificate begins, in ms: clocks of a cluster may differ by as much. */
export const backdateMs: number = 3_600_000;

/** Names that every node's certificate carries, so that it can be reached by them on its own machine. */
const loopbackNames = ["localhost", "127.0.0.1", "::1"] as const;

/** What issuing a root needs. */
export interface RootRequest {
  readonly cluster: string;
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  /** How long it is valid, in ms. */
  readonly validityMs: number;
  readonly host: IssuingHost;
}

/** Issues a root authority. Gives PEM. */
export async function issueRoot(request: RootRequest): Promise<string> {
  const { cluster, privateKey, validityMs, host } = request;
  const keys = await importKeyPair(privateKey);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(host),
    name: [{ CN: [`mycnet ${cluster} root`] }],
    ...validity(host, validityMs),
    keys,
    signingAlgorithm: keyAlgorithm,
    extensions: [
      new BasicConstraintsExtension(true, 1, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pem(certificate);
}

/** What issuing a node's certificate needs. */
export interface NodeRequest {
  readonly principal: Principal;
  /** The node's key, PKCS#8 PEM. */
  readonly privateKey: string;
  /** The authority's certificate and key, PEM. */
  readonly authority: { readonly certificate: string; readonly privateKey: string };
  /** How long it is valid, in ms; never longer than the authority. */
  readonly validityMs: number;
  /** Further DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly host: IssuingHost;
}

/** Issues a node's certificate. Gives PEM. */
export async function issueNode(request: NodeRequest): Promise<string> {
  const { principal, host, authority } = request;
  const { publicKey } = await importKeyPair(request.privateKey);
  const { privateKey: signingKey } = await importKeyPair(authority.privateKey);
  const issuer = new X509Certificate(authority.certificate);
  const { notBefore, notAfter } = validity(host, request.validityMs);
  const names = [...new Set([...loopbackNames, ...request.names])];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(host),
    subject: [{ CN: [principal.id] }],
    issuer: issuer.subject,
    notBefore,
    notAfter: notAfter < issuer.notAfter ? notAfter : issuer.notAfter,
    publicKey,
    signingKey,
    signingAlgorithm: keyAlgorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([
        { type: "url", value: formatSpiffeId(principal) },
        ...names.map((value) => ({ type: isIP(value) ? "ip" : "dns", value } as const)),
      ]),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return pem(certificate);
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString("pem").trim()}\n`;
}

/** Certificates count in whole seconds. */
function validity(
  host: IssuingHost,
  validityMs: number,
): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Math.floor(host.wallTime() / 1000) * 1000;
  return { notBefore: new Date(now - backdateMs), notAfter: new Date(now + validityMs) };
}

/** 127 random bits, positive and not zero (RFC 5280, section 4.1.2.2). */
function serialNumber(host: IssuingHost): string {
  const bytes = host.randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toHex();
}

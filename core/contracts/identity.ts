/**
 * Identity: who this node is, and how it knows who another is.
 *
 * An id or a type that a peer merely says counts for nothing. What counts is a
 * {@linkcode Principal} that a transport read from a certificate which TLS
 * called authorized, or, on links that were declared insecure, the hello.
 */
import { type Capability, capability } from "../kernel/plugin.ts";
import type { NodeDescription, Principal } from "@mycnet/protocols/identity";

/** What a TLS end presents and trusts, as PEM text. */
export interface Credentials {
  /** The node's certificate, then its intermediates. */
  readonly certificate: string;
  /** The private key of the certificate (PKCS#8). */
  readonly privateKey: string;
  /** The certificate authorities of the cluster. */
  readonly authorities: string;
}

/** A signature that carries what is needed to check it. */
export interface Proof {
  /** Ed25519 (RFC 8032), 64 bytes; empty where nodes are known by fiat. */
  readonly signature: Uint8Array;
  /** The signer's certificate and its intermediates, DER, leaf first. */
  readonly chain: readonly Uint8Array[];
}

/** What checking a proof gives. */
export type Verdict =
  | { readonly ok: true; readonly principal: Principal | undefined }
  | { readonly ok: false; readonly reason: string };

/** The identity of this node. */
export interface Identity {
  /** What this node says of itself in every hello. Its generation is new at every start and grows. */
  readonly self: NodeDescription;
  /** The certificate, key and authorities; undefined where nodes are known by fiat. */
  readonly credentials: Credentials | undefined;
  /** Tells when the files behind the credentials changed (and parsed). */
  onCredentials(changed: (credentials: Credentials) => void): Disposable;
  /** Signs with the node's key. */
  sign(bytes: Uint8Array): Proof;
  /** Checks a proof against the cluster's authorities. `principal` is undefined where nodes are known by fiat. */
  verify(bytes: Uint8Array, proof: Proof): Verdict;
}

/** The capability token of {@linkcode Identity}. */
export const identity: Capability<Identity> = capability("identity");

/** What both ends of a TLS connection are configured with. */
import { createSecureContext, type SecureContext } from "node:tls";
import type { X509Certificate } from "node:crypto";
import type { Credentials } from "../../../core/contracts/identity.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import { parsePem } from "../../../core/node/identity/credentials.ts";

/** The name of our protocol in TLS (ALPN, RFC 7301). */
export const protocolName = "mycnet";

/** Which TLS is spoken. */
export interface TlsPolicy {
  readonly minProtocolVersion: "TLSv1.2" | "TLSv1.3";
  /** OpenSSL's names; undefined for any. */
  readonly cipherSuites?: readonly string[] | undefined;
}

/** Credentials as TLS takes them. */
export interface TlsContext {
  /** The options of node:tls that both ends and a reload take. */
  readonly options: {
    readonly cert: string;
    readonly key: string;
    readonly ca: string;
    readonly minVersion: TlsPolicy["minProtocolVersion"];
    readonly ciphers?: string;
  };
  /** Made once, shared by all dials. */
  readonly secure: SecureContext;
  readonly authorities: readonly X509Certificate[];
}

/** Prepares credentials. @throws {MycnetError} `config_invalid` if TLS does not take them. */
export function makeContext(credentials: Credentials, policy: TlsPolicy): TlsContext {
  const options = {
    cert: credentials.certificate,
    key: credentials.privateKey,
    ca: credentials.authorities,
    minVersion: policy.minProtocolVersion,
    ...(policy.cipherSuites === undefined ? {} : { ciphers: policy.cipherSuites.join(":") }),
  };
  const authorities = parsePem(credentials.authorities, "the cluster's authorities");
  try {
    return { options, secure: createSecureContext(options), authorities };
  } catch (error) {
    throw new MycnetError(
      "config_invalid",
      `TLS does not take this configuration: ${(error as Error).message}. ` +
        `Check cipherSuites and minProtocolVersion`,
      { cause: error },
    );
  }
}

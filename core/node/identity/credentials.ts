/**
 * Reads what a TLS end presents and trusts, and checks that it fits together:
 * the key belongs to the certificate, the certificate leads to an authority, is
 * valid now, and names a node.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Credentials } from "../../contracts/identity.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Principal } from "@mycnet/protocols/identity";
import { checkChain, validFrom } from "./chain.ts";

/** The three files behind credentials, absolute. */
export interface CredentialPaths {
  readonly certPath: string;
  readonly keyPath: string;
  readonly caCertPath: string;
}

/** Credentials, read and checked. */
export interface LoadedCredentials {
  readonly credentials: Credentials;
  readonly principal: Principal;
  /** The private key, Ed25519. */
  readonly privateKey: KeyObject;
  /** The certificate and its intermediates, DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly authorities: readonly X509Certificate[];
  /** From when the certificate is valid, in ms since the epoch. */
  readonly validFrom: number;
  /** When the first certificate of the path expires, in ms since the epoch. */
  readonly expiresAt: number;
}

/** The largest file that is read, in bytes: bundles of authorities stay far below. */
const maxFileBytes = 1 << 20;

/**
 * Reads the files.
 * @throws {MycnetError} `identity_missing` if one is not there, `identity_invalid` if one cannot be read.
 */
export async function readCredentials(paths: CredentialPaths): Promise<Credentials> {
  const read = async (path: string): Promise<string> => {
    try {
      // A symlink swap in mid-read gives files that do not match; the check finds that.
      const { size } = await Deno.stat(path);
      if (size > maxFileBytes) throw new RangeError(`larger than ${maxFileBytes} bytes`);
      return await Deno.readTextFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        throw new MycnetError(
          "identity_missing",
          `${path} does not exist: run \`mycnet init\` (or set identity.insecure to true where ` +
            `every machine and user on the network is trusted)`,
          { cause: error },
        );
      }
      throw invalid(path, (error as Error).message, error);
    }
  };
  const certificate = await read(paths.certPath);
  const privateKey = await read(paths.keyPath);
  const authorities = await read(paths.caCertPath);
  return { certificate, privateKey, authorities };
}

/**
 * Checks credentials at the wall-clock time `nowMs`.
 * @throws {MycnetError} `identity_invalid`, naming the file and what is wrong with it.
 */
export function checkCredentials(
  credentials: Credentials,
  paths: CredentialPaths,
  nowMs: number,
): LoadedCredentials {
  const certificates = parsePem(credentials.certificate, paths.certPath);
  const authorities = parsePem(credentials.authorities, paths.caCertPath);
  const leaf = certificates[0]!;
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(credentials.privateKey);
  } catch (error) {
    throw invalid(paths.keyPath, "no private key (PKCS#8 PEM) in it", error);
  }
  if (privateKey.asymmetricKeyType !== "ed25519") {
    throw invalid(
      paths.keyPath,
      `node keys are Ed25519, and this one is ${privateKey.asymmetricKeyType}`,
    );
  }
  if (!leaf.checkPrivateKey(privateKey)) {
    throw invalid(paths.keyPath, `it is not the key of the certificate in ${paths.certPath}`);
  }
  const chain = certificates.map(({ raw }) => Uint8Array.from(raw));
  const verdict = checkChain(chain, authorities, nowMs);
  if (!verdict.ok) throw invalid(paths.certPath, verdict.reason);
  return {
    credentials,
    principal: verdict.principal,
    privateKey,
    chain,
    authorities,
    validFrom: validFrom(leaf),
    expiresAt: verdict.expiresAt,
  };
}

/** Every certificate of a PEM text. @throws {MycnetError} `identity_invalid` if there is none. */
export function parsePem(text: string, path: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw invalid(path, "no certificate (PEM) in it");
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw invalid(path, "a certificate in it cannot be read", error);
  }
}

/** True if both are the same, to the letter. */
export function sameCredentials(a: Credentials, b: Credentials): boolean {
  return a.certificate === b.certificate && a.privateKey === b.privateKey &&
    a.authorities === b.authorities;
}

function invalid(path: string, message: string, cause?: unknown): MycnetError {
  return new MycnetError(
    "identity_invalid",
    `${path}: ${message}`,
    cause === undefined ? undefined : { cause },
  );
}

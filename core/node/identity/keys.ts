/**
 * Makes keys. The one file beside the real Host that may draw randomness on its
 * own: node:crypto generates key pairs from the system's generator, and
 * WebCrypto, which the certificate library signs with, takes them from here.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";

/** What node keys and authorities sign with (RFC 8410). */
export const keyAlgorithm = { name: "Ed25519" } as const;

/** A new Ed25519 private key as PKCS#8 PEM. */
export function generatePrivateKey(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

/**
 * An Ed25519 key pair as the certificate library takes it.
 * @throws {TypeError} if the PEM does not hold an Ed25519 private key.
 */
export async function importKeyPair(privateKeyPem: string): Promise<CryptoKeyPair> {
  const key = createPrivateKey(privateKeyPem);
  if (key.asymmetricKeyType !== "ed25519") {
    throw new TypeError(`an Ed25519 key expected, found ${key.asymmetricKeyType}`);
  }
  const pkcs8 = Uint8Array.from(key.export({ type: "pkcs8", format: "der" }));
  const spki = Uint8Array.from(createPublicKey(key).export({ type: "spki", format: "der" }));
  return {
    privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, keyAlgorithm, false, ["sign"]),
    publicKey: await crypto.subtle.importKey("spki", spki, keyAlgorithm, true, ["verify"]),
  };
}

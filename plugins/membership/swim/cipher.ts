/** AES-GCM (NIST SP 800-38D) by synchronous node:crypto, as gossip wants it: 12 bytes of nonce first, 16 of tag last. */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { GossipCipher } from "@mycnet/protocols/swim";

const nonceBytes = 12;
const tagBytes = 16;

type Algorithm = "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm";

const algorithm = (key: Uint8Array) => `aes-${key.length * 8}-gcm` as Algorithm;

/** @param randomBytes for nonces: a key must never see one twice. */
export function gcmCipher(randomBytes: (length: number) => Uint8Array): GossipCipher {
  return {
    seal(key, plain, additional) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm(key), key, nonce, { authTagLength: tagBytes });
      cipher.setAAD(additional);
      const body = cipher.update(plain);
      cipher.final();
      const sealed = new Uint8Array(nonceBytes + body.length + tagBytes);
      sealed.set(nonce);
      sealed.set(body, nonceBytes);
      sealed.set(cipher.getAuthTag(), nonceBytes + body.length);
      return sealed;
    },
    open(key, sealed, additional) {
      if (sealed.length < nonceBytes + tagBytes) return undefined;
      const end = sealed.length - tagBytes;
      try {
        const nonce = sealed.subarray(0, nonceBytes);
        const decipher = createDecipheriv(algorithm(key), key, nonce, { authTagLength: tagBytes });
        decipher.setAAD(additional);
        decipher.setAuthTag(sealed.subarray(end));
        const plain = decipher.update(sealed.subarray(nonceBytes, end));
        decipher.final();
        return plain;
      } catch {
        return undefined; // The tag does not verify.
      }
    },
  };
}

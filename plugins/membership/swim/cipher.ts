/** AES-GCM (NIST SP 800-38D) by synchronous node:crypto, as gossip wants it: 12 bytes of nonce first, 16 of tag last. */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { GossipCipher } from "@mycnet/protocols/swim";
import { open192, seal192 } from "./gcm192.ts";

const nonceBytes = 12;
const tagBytes = 16;

const algorithm = (key: Uint8Array) => key.length === 16 ? "aes-128-gcm" : "aes-256-gcm";

/** @param randomBytes for nonces: a key must never see one twice. */
export function gcmCipher(randomBytes: (length: number) => Uint8Array): GossipCipher {
  return {
    seal(key, plain, additional) {
      const nonce = randomBytes(nonceBytes);
      if (key.length === 24) return concat(nonce, seal192(key, nonce, plain, additional));
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
        if (key.length === 24) {
          return open192(key, nonce, sealed.subarray(nonceBytes), additional);
        }
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

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/**
 * The keys of encrypted gossip, and AES-GCM as the driver provides it.
 *
 * The first key seals; every key is tried to open, so that a key can be
 * installed everywhere, then used everywhere, then the old one removed, without
 * a moment at which two members do not understand each other.
 */

/** AES-GCM with a nonce of 12 bytes and a tag of 16; the key's length (16, 24 or 32) selects AES-128, -192 or -256. */
export interface GossipCipher {
  /** Encrypts under a fresh random nonce. Returns nonce, ciphertext, tag. */
  seal(key: Uint8Array, plain: Uint8Array, additional: Uint8Array): Uint8Array;
  /** The reverse; undefined if the tag does not verify. Must not throw. */
  open(key: Uint8Array, sealed: Uint8Array, additional: Uint8Array): Uint8Array | undefined;
}

/** Keys at most; each packet under a foreign key costs one attempt with each. */
export const maxKeys = 16;

/** The keys that a node holds. Empty means that gossip is not encrypted. */
export class GossipKeyring {
  /** The cipher. */
  readonly cipher: GossipCipher;
  #keys: Uint8Array[] = [];

  /**
   * The first key is the primary one.
   * @throws {RangeError} for a key that is not 16, 24 or 32 bytes, or more than {@linkcode maxKeys}.
   */
  constructor(cipher: GossipCipher, keys: readonly Uint8Array[] = []) {
    this.cipher = cipher;
    for (const key of keys) this.add(key);
  }

  /** The keys, the primary one first. Not to be written to. */
  get keys(): readonly Uint8Array[] {
    return this.#keys;
  }

  /** What seals; undefined if there is no key. */
  get primary(): Uint8Array | undefined {
    return this.#keys[0];
  }

  /**
   * Installs a key, behind the others. False if it is there already.
   * @throws {RangeError} for a key that is not 16, 24 or 32 bytes, or if there are {@linkcode maxKeys}.
   */
  add(key: Uint8Array): boolean {
    if (key.length !== 16 && key.length !== 24 && key.length !== 32) {
      throw new RangeError(`a gossip key has 16, 24 or 32 bytes, not ${key.length}`);
    }
    if (this.#indexOf(key) >= 0) return false;
    if (this.#keys.length >= maxKeys) {
      throw new RangeError(`at most ${maxKeys} gossip keys: remove one first`);
    }
    this.#keys = [...this.#keys, key.slice()];
    return true;
  }

  /** Makes an installed key the primary one. False if it is not installed. */
  use(key: Uint8Array): boolean {
    const at = this.#indexOf(key);
    if (at < 0) return false;
    const chosen = this.#keys[at]!;
    this.#keys = [chosen, ...this.#keys.filter((other) => other !== chosen)];
    return true;
  }

  /** Removes a key. False if it is the primary one or not installed. */
  remove(key: Uint8Array): boolean {
    const at = this.#indexOf(key);
    if (at <= 0) return false;
    this.#keys = this.#keys.filter((_, i) => i !== at);
    return true;
  }

  #indexOf(key: Uint8Array): number {
    return this.#keys.findIndex((other) =>
      other.length === key.length && other.every((byte, i) => byte === key[i])
    );
  }
}

/**
 * Where gossip keys come from and where changes of them go.
 *
 * A keyring file is a JSON array of keys in base64, the one in use first, which
 * is also how Serf keeps one. `mycnet init` makes it. When the keys are changed
 * in the running cluster the file is rewritten as a whole, readable by its owner
 * alone, so that a restart begins with what the cluster uses by then. A key that
 * stands in the configuration is nobody's to rewrite: changes then last until
 * the restart, and the log says so.
 */
import { resolve } from "node:path";
import type { GossipKeyring } from "@mycnet/protocols/swim";
import { maxKeys } from "@mycnet/protocols/swim";
import type { Settings } from "../../../core/contracts/settings.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import { privateMode, readIfThere, writeWhole } from "../../../core/node/identity/files.ts";
import { clusterPaths } from "../../../core/node/identity/paths.ts";

/** A key from its base64; undefined unless it is 16, 24 or 32 bytes. */
export function parseKey(text: string): Uint8Array | undefined {
  try {
    const key = Uint8Array.fromBase64(text);
    return [16, 24, 32].includes(key.length) ? key : undefined;
  } catch {
    return undefined;
  }
}

/** A key as it is written. */
export function formatKey(key: Uint8Array): string {
  return Uint8Array.from(key).toBase64();
}

/** What the configuration says about keys. */
export interface KeyConfig {
  readonly encryptKey?: string | undefined;
  readonly keyringPath?: string | undefined;
  readonly insecure: boolean;
}

/** The keys of this node. */
export interface KeySource {
  /** The keys at the start, the one in use first. Empty: plain text. */
  readonly keys: readonly Uint8Array[];
  /** The ring has changed: keeps it. */
  changed(ring: GossipKeyring): void;
  /** Resolves when all changes are kept. */
  settled(): Promise<void>;
}

/**
 * Finds the keys.
 * @throws {MycnetError} `gossip_key_missing` when there is none and gossip may not be in plain
 * text, `config_invalid` for a damaged file.
 */
export async function loadKeys(
  config: KeyConfig,
  { stateDir, baseDir }: Pick<Settings, "stateDir" | "baseDir">,
  host: Host,
): Promise<KeySource> {
  if (config.insecure) {
    host.log.warn("Gossip is in plain text: anybody who reaches its port may take part.");
    return { keys: [], changed() {}, settled: () => Promise.resolve() };
  }
  if (config.encryptKey !== undefined) {
    return {
      keys: [parseKey(config.encryptKey)!], // The schema has checked it.
      changed() {
        host.log.warn(
          "The gossip keys were changed, but the configuration names one: bring it up to date before a restart.",
        );
      },
      settled: () => Promise.resolve(),
    };
  }
  const path = config.keyringPath === undefined
    ? clusterPaths(stateDir).gossipKeyring
    : resolve(baseDir, config.keyringPath);
  return new KeyringFile(path, await readKeys(path), host);
}

async function readKeys(path: string): Promise<Uint8Array[]> {
  const text = await readIfThere(path);
  if (text === undefined) {
    throw new MycnetError(
      "gossip_key_missing",
      `there is no gossip key: ${path} does not exist`,
    );
  }
  const damaged = (why: string) =>
    new MycnetError("config_invalid", `${path}: ${why}; a JSON array of base64 keys is expected`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged((error as Error).message);
  }
  if (!Array.isArray(value) || value.length === 0) throw damaged("it holds no key");
  if (value.length > maxKeys) throw damaged(`it holds more than ${maxKeys} keys`);
  return value.map((entry, at) => {
    const key = typeof entry === "string" ? parseKey(entry) : undefined;
    if (key === undefined) throw damaged(`its key ${at + 1} is not 16, 24 or 32 bytes`);
    return key;
  });
}

class KeyringFile implements KeySource {
  readonly keys: readonly Uint8Array[];
  readonly #path: string;
  readonly #host: Host;
  #wanted: string | undefined;
  #writing: Promise<void> | undefined;

  constructor(path: string, keys: readonly Uint8Array[], host: Host) {
    this.#path = path;
    this.keys = keys;
    this.#host = host;
  }

  changed(ring: GossipKeyring): void {
    this.#wanted = `${JSON.stringify(ring.keys.map(formatKey), null, 2)}\n`;
    this.#writing ??= this.#write();
  }

  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Writes the latest ring, and again if it changed meanwhile. */
  async #write(): Promise<void> {
    while (this.#wanted !== undefined) {
      const text = this.#wanted;
      this.#wanted = undefined;
      try {
        await writeWhole(this.#path, text, privateMode, this.#host.id().slice(0, 8));
        this.#host.log.info("The gossip keys were changed.", { path: this.#path });
      } catch (error) {
        this.#host.log.error(
          "The changed gossip keys cannot be kept; a restart would not know them.",
          {
            path: this.#path,
            error: (error as Error).message,
          },
        );
      }
    }
    this.#writing = undefined;
  }
}

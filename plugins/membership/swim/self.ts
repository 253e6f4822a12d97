/** This node as the machines are told of it. */
import { encodeTags } from "@mycnet/protocols/serf";
import { type GossipKeyring, parseIp, type SwimConfig } from "@mycnet/protocols/swim";
import { parseHostPort } from "../../../core/node/net/mod.ts";
import type { Clocks } from "./memory.ts";
import type { Tags } from "./tags.ts";

/** What a layer is made with. */
export interface LayerParts {
  readonly name: string;
  /** `host:port` as others reach this node; the host a literal IP address. */
  readonly address: string;
  readonly config: SwimConfig;
  readonly incarnation: number;
  readonly tags: Tags;
  readonly keyring: GossipKeyring;
  readonly clocks: Clocks;
  readonly random: () => number;
  readonly nowMs: number;
}

/** This node as SWIM wants it. @throws {TypeError} unless the address is literal. */
export function selfOf({ name, address, tags }: LayerParts): {
  name: string;
  ip: Uint8Array;
  port: number;
  meta: Uint8Array;
} {
  const { host, port } = parseHostPort(address);
  const ip = parseIp(host);
  if (ip === undefined) throw new TypeError(`${host} is no IP address`);
  return { name, ip, port, meta: encodeTags(tags) };
}

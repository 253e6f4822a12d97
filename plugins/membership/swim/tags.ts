/**
 * What a node says of itself in gossip, as Serf tags.
 *
 * | tag       | holds                                                            |
 * |-----------|------------------------------------------------------------------|
 * | `type`    | sclerotia or rhizomorph                                          |
 * | `cluster` | the cluster's id                                                 |
 * | `dc`      | the datacenter, if known                                         |
 * | `rack`    | the rack, if known                                               |
 * | `cap`     | capacity: `cpus:memoryBytes:diskBytes`, unknown ones left empty  |
 * | `link`    | where it takes links: `scheme://host:port`, separated by a space |
 * | `ver`     | the version of the runtime                                       |
 * | `svc`     | a hash of the record of what it serves; none if nothing          |
 *
 * All of it, and the user's own tags, has to fit memberlist's 512 bytes of
 * metadata. What does not fit is left out, the least needed first: further link
 * addresses, then capacity, version, the hash, rack, datacenter. Whatever arrives is a hint: anybody
 * with the key may have written it, so what does not parse is as if not there.
 */
import { isNodeId, isNodeType, type NodeCapacity, type NodeType } from "@mycnet/protocols/identity";
import { MycnetError } from "../../../core/kernel/errors.ts";
import { parseHostPort } from "../../../core/node/net/mod.ts";

/** Tags by name. */
export type Tags = Readonly<Record<string, string>>;

/** What this node says of itself. */
export interface NodeFacts {
  readonly type: NodeType;
  readonly cluster: string;
  readonly datacenter?: string | undefined;
  readonly rack?: string | undefined;
  readonly capacity?: NodeCapacity | undefined;
  /** `scheme://host:port`. */
  readonly linkAddresses: readonly string[];
  /** Of the runtime. */
  readonly version: string;
  /** The hash of its services' record. */
  readonly services?: string | undefined;
}

/** The most that metadata may hold, in bytes. */
export const maxMetaBytes = 512;
/** Link addresses of one member that are looked at. */
const maxAddresses = 8;
/** The tags that belong to the runtime. */
export const ownTags: readonly string[] = [
  "type",
  "cluster",
  "dc",
  "rack",
  "cap",
  "link",
  "ver",
  "svc",
];

/** The most that tags take on the wire: a magic byte, a map's head, and each string with its head. */
export function tagsBytes(tags: Tags): number {
  const encoder = new TextEncoder();
  const stringBytes = (text: string) => {
    const { length } = encoder.encode(text);
    return length + (length < 32 ? 1 : 3);
  };
  let bytes = 4;
  for (const [key, value] of Object.entries(tags)) bytes += stringBytes(key) + stringBytes(value);
  return bytes;
}

/**
 * The tags of this node.
 * @throws {MycnetError} `config_invalid` when the user's tags take a name of the runtime's, or do not fit.
 */
export function nodeTags(facts: NodeFacts, users: Tags): Tags {
  for (const name of Object.keys(users)) {
    if (ownTags.includes(name)) {
      throw new MycnetError("config_invalid", `tags.${name}: the runtime sets this tag; rename it`);
    }
  }
  const { type, cluster, datacenter, rack, capacity, linkAddresses, version, services } = facts;
  const links = linkAddresses.slice(0, maxAddresses);
  const own: Record<string, string> = { type, cluster };
  if (datacenter !== undefined) own.dc = datacenter;
  if (rack !== undefined) own.rack = rack;
  if (capacity !== undefined) own.cap = formatCapacity(capacity);
  own.ver = version;
  if (services !== undefined) own.svc = services;
  if (links.length > 0) own.link = links.join(" ");
  const all = () => ({ ...own, ...users });
  while (links.length > 1 && tagsBytes(all()) > maxMetaBytes) {
    links.pop();
    own.link = links.join(" ");
  }
  for (const name of ["cap", "ver", "svc", "rack", "dc"]) {
    if (tagsBytes(all()) > maxMetaBytes) delete own[name];
  }
  if (tagsBytes(all()) > maxMetaBytes) {
    throw new MycnetError(
      "config_invalid",
      `tags: take ${tagsBytes(all())} bytes with the runtime's own, and gossip carries ` +
        `${maxMetaBytes}; use fewer or shorter ones`,
    );
  }
  return all();
}

/** What a member's tags say of it; undefined for a member that is no node of this runtime. */
export function readTags(id: string, tags: Tags): NodeFacts | undefined {
  const { type, cluster, dc, rack, cap, link = "", ver = "" } = tags;
  if (!isNodeId(id) || !isNodeType(type) || !isNodeId(cluster)) return undefined;
  const linkAddresses = link.split(" ").slice(0, maxAddresses).filter(isLinkAddress);
  const capacity = cap === undefined ? undefined : parseCapacity(cap);
  return {
    type,
    cluster,
    linkAddresses,
    version: ver,
    ...(dc === undefined ? {} : { datacenter: dc }),
    ...(rack === undefined ? {} : { rack }),
    ...(capacity === undefined ? {} : { capacity }),
  };
}

function isLinkAddress(text: string): boolean {
  const match = /^[a-z][a-z0-9+.-]{0,31}:\/\/(.+)$/.exec(text);
  if (match === null) return false;
  try {
    const { host, port } = parseHostPort(match[1]!);
    return host !== "" && port > 0;
  } catch {
    return false;
  }
}

function formatCapacity({ cpus, memoryBytes, diskBytes }: NodeCapacity): string {
  return [cpus, memoryBytes, diskBytes].map((it) => it ?? "").join(":");
}

function parseCapacity(text: string): NodeCapacity | undefined {
  const parts = text.split(":");
  if (parts.length !== 3 || !parts.every((it) => /^(\d{1,16}(\.\d{1,3})?)?$/.test(it))) {
    return undefined;
  }
  const [cpus, memoryBytes, diskBytes] = parts.map((it) => it === "" ? undefined : Number(it));
  return {
    ...(cpus === undefined ? {} : { cpus }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(diskBytes === undefined ? {} : { diskBytes }),
  };
}

/**
 * Makes a cluster's identity on this machine: what `mycnet init` does.
 *
 * A state folder holds the cluster's root authority and one folder a node. It is
 * changed under a file lock, and in an order that leaves no half: the authority's
 * files first, then `cluster.json`, which says that there is a cluster; each
 * node's folder is filled aside and renamed into place as a whole. Nothing that
 * exists is overwritten: a second call adds the nodes that are new, `renew`
 * issues new certificates for the same keys.
 */
import { createHash, X509Certificate } from "node:crypto";
import { isAbsolute, join } from "node:path";
import { isNodeId, isNodeType, type NodeType } from "@mycnet/protocols/identity";
import { MycnetError } from "../../kernel/errors.ts";
import type { IssuingHost } from "./certificates.ts";
import { validUntil } from "./chain.ts";
import { folderMode, privateMode, publicMode, readIfThere, writeNew, writeWhole } from "./files.ts";
import { generatePrivateKey } from "./keys.ts";
import { type ClusterPaths, clusterPaths, nodePaths, nodePathsIn } from "./paths.ts";

/** A node to make an identity for. */
export interface NewNode {
  /** 1 to 63 of `a-z 0-9 . _ -`. */
  readonly id: string;
  readonly type: NodeType;
  /** DNS names and IP addresses for its certificate, beside `localhost` and loopback. Default none. */
  readonly names?: readonly string[];
}

/** What {@linkcode initCluster} is asked. */
export interface InitOptions {
  /** The state folder, absolute. Made if it does not exist. */
  readonly stateDir: string;
  /** The cluster's id. Default: that of the folder, else `mycnet-` and eight random digits. */
  readonly cluster?: string;
  /** The nodes to make. May be empty. */
  readonly nodes: readonly NewNode[];
  /** The clock and the randomness. */
  readonly host: IssuingHost;
  /** How long a new root is valid, in days. Default 3650. */
  readonly authorityDays?: number;
  /** How long nodes' certificates are valid, in days. Default 365. */
  readonly nodeDays?: number;
  /** Issue certificates anew for named nodes that exist; their keys and tokens stay. Default false: that is an error. */
  readonly renew?: boolean;
}

/** A node as {@linkcode initCluster} leaves it. */
export interface IssuedNode {
  readonly id: string;
  readonly type: NodeType;
  /** Its folder. */
  readonly dir: string;
  readonly certPath: string;
  readonly keyPath: string;
  readonly adminTokenPath: string;
  /** When the certificate expires, in ms since the epoch. */
  readonly expiresAt: number;
  /** False: it existed, and only its certificate is new. */
  readonly created: boolean;
}

/** What {@linkcode initCluster} did. */
export interface InitResult {
  readonly cluster: string;
  readonly stateDir: string;
  /** False: the cluster existed already. */
  readonly created: boolean;
  readonly caPath: string;
  /** SHA-256 of the root's certificate (DER), lower-case hexadecimal. */
  readonly caFingerprint: string;
  /** The keys of gossip; readable by their owner alone. */
  readonly gossipKeyringPath: string;
  readonly nodes: readonly IssuedNode[];
}

const dayMs = 86_400_000;
/** The most nodes that one call makes. */
const maxNodes = 10_000;
/** Random bytes in an admin token; written in hexadecimal. */
const tokenBytes = 32;
/** Bytes of a gossip key: AES-256. */
const gossipKeyBytes = 32;

/** The root authority of a folder, PEM. */
interface Authority {
  readonly certificate: string;
  readonly privateKey: string;
}

/**
 * Creates a cluster in a state folder, or adds nodes to the one that is there.
 * @throws {MycnetError} `config_invalid` (a name), `already_exists` (a node, or another
 * cluster), `identity_missing` (the root's key is elsewhere), `identity_invalid`.
 */
export async function initCluster(options: InitOptions): Promise<InitResult> {
  check(options);
  const { stateDir, host } = options;
  const paths = clusterPaths(stateDir);
  await Deno.mkdir(paths.nodes, { recursive: true, mode: folderMode });
  using _lock = await lock(paths.lock);
  await sweep(stateDir);
  const existing = await readCluster(paths);
  if (existing !== undefined && options.cluster !== undefined && options.cluster !== existing) {
    throw new MycnetError(
      "already_exists",
      `${stateDir} holds the cluster "${existing}", not "${options.cluster}": ` +
        `name another state folder, or leave the cluster's name out to add nodes to it`,
    );
  }
  const known = new Map<string, boolean>();
  for (const { id } of options.nodes) {
    known.set(id, await readIfThere(nodePaths(stateDir, id).node) !== undefined);
    if (known.get(id) && !options.renew) {
      throw new MycnetError(
        "already_exists",
        `${stateDir} holds a node "${id}" already: choose another id, or ask for renewal, ` +
          `which issues a new certificate for its key`,
      );
    }
  }
  const cluster = existing ?? options.cluster ?? `mycnet-${host.randomBytes(4).toHex()}`;
  if (existing === undefined) await createAuthority(paths, cluster, options);
  const authority = await readAuthority(paths);
  await keepGossipKey(paths, host);
  const nodes: IssuedNode[] = [];
  for (const node of options.nodes) {
    const issued = known.get(node.id)
      ? await renewNode(node, cluster, authority, options)
      : await createNode(node, cluster, authority, options);
    nodes.push(issued);
  }
  return {
    cluster,
    stateDir,
    created: existing === undefined,
    caPath: paths.authority,
    caFingerprint: createHash("sha256").update(new X509Certificate(authority.certificate).raw)
      .digest("hex"),
    gossipKeyringPath: paths.gossipKeyring,
    nodes,
  };
}

/** The cluster of a state folder; undefined if there is none. @throws `identity_invalid` if its file is damaged. */
export function readClusterId(stateDir: string): Promise<string | undefined> {
  return readCluster(clusterPaths(stateDir));
}

function check({ stateDir, cluster, nodes, authorityDays, nodeDays }: InitOptions): void {
  const invalid = (message: string) => new MycnetError("config_invalid", message);
  const ids = "1 to 63 of a-z 0-9 . _ -";
  if (!isAbsolute(stateDir)) throw invalid(`stateDir: an absolute path expected, not ${stateDir}`);
  if (cluster !== undefined && !isNodeId(cluster)) {
    throw invalid(`cluster: ${ids} expected, not ${JSON.stringify(cluster)}`);
  }
  if (nodes.length > maxNodes) throw invalid(`nodes: at most ${maxNodes} at a time`);
  const seen = new Set<string>();
  for (const { id, type } of nodes) {
    if (!isNodeId(id)) {
      throw invalid(`nodes: an id of ${ids} expected, not ${JSON.stringify(id)}`);
    }
    if (!isNodeType(type)) {
      throw invalid(`nodes.${id}: the type is sclerotia, rhizomorph or hyphae, not ${type}`);
    }
    if (seen.has(id)) throw invalid(`nodes: "${id}" is named twice`);
    seen.add(id);
  }
  for (const [field, days] of Object.entries({ authorityDays, nodeDays })) {
    if (days !== undefined && !(days > 0 && days <= 36_500)) {
      throw invalid(`${field}: more than 0 and at most 36500 days expected, not ${days}`);
    }
  }
}

/** What writes certificates. Its library takes longer to load than a node, which only reads them, takes to start. */
const certificates = () => import("./certificates.ts");

/** Holds off other calls on the same folder, in this process and in others, even if one is killed. */
async function lock(path: string): Promise<Disposable> {
  const file = await Deno.open(path, { write: true, create: true, mode: privateMode });
  try {
    await file.lock(true);
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}

/** Removes what an interrupted call left aside. */
async function sweep(stateDir: string): Promise<void> {
  const left: string[] = [];
  for await (const { name } of Deno.readDir(stateDir)) {
    if (/\.[0-9a-f]{8}\.tmp$/.test(name)) left.push(name);
  }
  for (const name of left) await Deno.remove(join(stateDir, name), { recursive: true });
}

async function readCluster(paths: ClusterPaths): Promise<string | undefined> {
  const text = await readIfThere(paths.cluster);
  if (text === undefined) return undefined;
  let cluster: unknown;
  try {
    cluster = (JSON.parse(text) as { cluster?: unknown } | null)?.cluster;
  } catch {
    // Said below.
  }
  if (isNodeId(cluster)) return cluster;
  throw new MycnetError(
    "identity_invalid",
    `${paths.cluster} is damaged: {"version": 1, "cluster": "<id>"} expected. ` +
      `Restore it, or remove the folder and begin anew`,
  );
}

async function createAuthority(
  paths: ClusterPaths,
  cluster: string,
  { host, authorityDays = 3650 }: InitOptions,
): Promise<void> {
  // A key without cluster.json is what an interrupted first call left, and signed nothing; a folder
  // with nodes is something else.
  for await (const entry of Deno.readDir(paths.nodes)) {
    throw new MycnetError(
      "identity_invalid",
      `${paths.cluster} is missing, but there is a node "${entry.name}": ` +
        `restore the file, or remove the folder and begin anew`,
    );
  }
  const privateKey = generatePrivateKey();
  const { issueRoot } = await certificates();
  const certificate = await issueRoot({
    cluster,
    privateKey,
    validityMs: authorityDays * dayMs,
    host,
  });
  const suffix = host.randomBytes(4).toHex();
  await writeWhole(paths.authorityKey, privateKey, privateMode, suffix);
  await writeWhole(paths.authority, certificate, publicMode, suffix);
  await writeWhole(paths.cluster, json({ version: 1, cluster }), publicMode, suffix);
}

/** A cluster has one gossip key from its beginning; one that was made before there were any gets it now. */
async function keepGossipKey(paths: ClusterPaths, host: IssuingHost): Promise<void> {
  if (await readIfThere(paths.gossipKeyring) !== undefined) return;
  const key = host.randomBytes(gossipKeyBytes).toBase64();
  const suffix = host.randomBytes(4).toHex();
  await writeWhole(paths.gossipKeyring, json([key]), privateMode, suffix);
}

async function readAuthority(paths: ClusterPaths): Promise<Authority> {
  const certificate = await readIfThere(paths.authority);
  const privateKey = await readIfThere(paths.authorityKey);
  if (certificate === undefined || privateKey === undefined) {
    throw new MycnetError(
      "identity_missing",
      `${certificate === undefined ? paths.authority : paths.authorityKey} is missing: ` +
        `issue nodes where the cluster was created, or restore the file`,
    );
  }
  return { certificate, privateKey };
}

/** A certificate for a node's key, PEM. */
async function issueFor(
  { id, type, names = [] }: NewNode,
  privateKey: string,
  cluster: string,
  authority: Authority,
  { host, nodeDays = 365 }: InitOptions,
): Promise<string> {
  const { issueNode } = await certificates();
  return await issueNode({
    principal: { cluster, type, id },
    privateKey,
    authority,
    validityMs: nodeDays * dayMs,
    names,
    host,
  });
}

async function createNode(
  node: NewNode,
  cluster: string,
  authority: Authority,
  options: InitOptions,
): Promise<IssuedNode> {
  const { id, type } = node;
  const { stateDir, host } = options;
  const privateKey = generatePrivateKey();
  const certificate = await issueFor(node, privateKey, cluster, authority, options);
  const aside = nodePathsIn(join(stateDir, `${id}.${host.randomBytes(4).toHex()}.tmp`));
  const paths = nodePaths(stateDir, id);
  await Deno.mkdir(aside.dir, { mode: folderMode });
  try {
    await writeNew(aside.node, json({ version: 1, id, type, cluster }), publicMode);
    await writeNew(aside.privateKey, privateKey, privateMode);
    await writeNew(aside.certificate, certificate, publicMode);
    await writeNew(aside.adminToken, `${host.randomBytes(tokenBytes).toHex()}\n`, privateMode);
    await Deno.rename(aside.dir, paths.dir);
  } catch (error) {
    await Deno.remove(aside.dir, { recursive: true }).catch(() => {});
    throw error;
  }
  return issued(stateDir, id, type, certificate, true);
}

async function renewNode(
  node: NewNode,
  cluster: string,
  authority: Authority,
  options: InitOptions,
): Promise<IssuedNode> {
  const { id, type } = node;
  const { stateDir, host } = options;
  const paths = nodePaths(stateDir, id);
  const privateKey = await readIfThere(paths.privateKey);
  if (privateKey === undefined) {
    throw new MycnetError(
      "identity_missing",
      `${paths.privateKey} is missing: restore it, or remove ${paths.dir} and issue the node anew`,
    );
  }
  const certificate = await issueFor(node, privateKey, cluster, authority, options);
  const suffix = host.randomBytes(4).toHex();
  await writeWhole(paths.certificate, certificate, publicMode, suffix);
  await writeWhole(paths.node, json({ version: 1, id, type, cluster }), publicMode, suffix);
  return issued(stateDir, id, type, certificate, false);
}

function issued(
  stateDir: string,
  id: string,
  type: NodeType,
  certificate: string,
  created: boolean,
): IssuedNode {
  const paths = nodePaths(stateDir, id);
  return {
    id,
    type,
    dir: paths.dir,
    certPath: paths.certificate,
    keyPath: paths.privateKey,
    adminTokenPath: paths.adminToken,
    expiresAt: validUntil(new X509Certificate(certificate)),
    created,
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

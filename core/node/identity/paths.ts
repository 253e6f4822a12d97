/** Where things stand in a state folder. */
import { join } from "node:path";

/** The files of a cluster. */
export interface ClusterPaths {
  /** `{"version": 1, "cluster": "<id>"}`. Written last: without it there is no cluster. */
  readonly cluster: string;
  /** The root authority's certificate. */
  readonly authority: string;
  /** The root authority's private key. Not needed by a running node. */
  readonly authorityKey: string;
  /** The keys that encrypt gossip: a JSON array in base64, the one in use first. Hyphae are not given it. */
  readonly gossipKeyring: string;
  /** One folder a node. */
  readonly nodes: string;
  /** Held while the folder is being changed. */
  readonly lock: string;
}

/** The files of one node. */
export interface NodePaths {
  /** The node's folder. */
  readonly dir: string;
  /** `{"id", "type", "cluster"}`. */
  readonly node: string;
  /** The node's certificate and its intermediates, PEM. */
  readonly certificate: string;
  /** The node's private key, PKCS#8 PEM. */
  readonly privateKey: string;
  /** The bearer token of the admin endpoint. */
  readonly adminToken: string;
  /** The generation of the last start. */
  readonly generation: string;
  /** Held by the process that is the node. */
  readonly lock: string;
}

/** The files of the cluster in a state folder. */
export function clusterPaths(stateDir: string): ClusterPaths {
  return {
    cluster: join(stateDir, "cluster.json"),
    authority: join(stateDir, "ca.pem"),
    authorityKey: join(stateDir, "ca.key"),
    gossipKeyring: join(stateDir, "gossip.keyring"),
    nodes: join(stateDir, "nodes"),
    lock: join(stateDir, "init.lock"),
  };
}

/** The files of a node in a state folder. */
export function nodePaths(stateDir: string, id: string): NodePaths {
  return nodePathsIn(join(stateDir, "nodes", id));
}

/** The files of a node in its folder. */
export function nodePathsIn(dir: string): NodePaths {
  return {
    dir,
    node: join(dir, "node.json"),
    certificate: join(dir, "cert.pem"),
    privateKey: join(dir, "key.pem"),
    adminToken: join(dir, "admin.token"),
    generation: join(dir, "generation"),
    lock: join(dir, "lock"),
  };
}

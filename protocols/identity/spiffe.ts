/**
 * SPIFFE ids: how a certificate names a node.
 *
 * `spiffe://<cluster>/<node type>/<node id>` stands in the certificate's
 * subject alternative names. Parsing is strict: what is not exactly of this
 * form names nobody (SPIFFE ID specification, section 2, narrowed to the
 * alphabet of our ids).
 */
import { type NodeType, nodeTypes, type Principal } from "./principal.ts";

// "." and ".." are no names: section 2.2 forbids them, and as folders they would be other things.
const idPattern = /^(?!\.{1,2}$)[a-z0-9._-]{1,63}$/;
const spiffePattern = /^spiffe:\/\/([^/]+)\/([a-z]+)\/([^/]+)$/;

/** True for what may be a node id or a cluster id: 1 to 63 of `a-z 0-9 . _ -`, but not `.` or `..`. */
export function isNodeId(text: unknown): text is string {
  return typeof text === "string" && idPattern.test(text);
}

/** True for one of the three node types. */
export function isNodeType(text: unknown): text is NodeType {
  return (nodeTypes as readonly unknown[]).includes(text);
}

/**
 * The SPIFFE id of a node, e.g. `spiffe://prod/sclerotia/node-1`.
 * @throws {TypeError} naming the part that may not stand in one.
 */
export function formatSpiffeId({ cluster, type, id }: Principal): string {
  if (!isNodeId(cluster)) throw new TypeError(idProblem("cluster", cluster));
  if (!isNodeType(type)) throw new TypeError(`type: one of ${nodeTypes.join(", ")} expected`);
  if (!isNodeId(id)) throw new TypeError(idProblem("id", id));
  return `spiffe://${cluster}/${type}/${id}`;
}

/** Reads a SPIFFE id; undefined for anything that is not exactly one of ours. */
export function parseSpiffeId(uri: string): Principal | undefined {
  const match = spiffePattern.exec(uri);
  if (match === null) return undefined;
  const [, cluster, type, id] = match;
  return isNodeId(cluster) && isNodeType(type) && isNodeId(id) ? { cluster, type, id } : undefined;
}

/** True if both name the same node of the same type in the same cluster. */
export function samePrincipal(a: Principal, b: Principal): boolean {
  return a.id === b.id && a.type === b.type && a.cluster === b.cluster;
}

/** The sentence that says what is wrong with an id and what would be right. */
export function idProblem(field: string, value: unknown): string {
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : typeof value;
  return `${field}: 1 to 63 characters of a-z, 0-9, ".", "_" and "-" expected, found ${shown}`;
}

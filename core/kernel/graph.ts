/**
 * What depends on what. Nodes are plugin instances; a need of arity `one` or
 * `maybe` is a hard edge to its provider, which starts first and whose restart
 * restarts the consumer. A `live` need is a soft edge to every provider: they
 * start first too, unless that would close a cycle, and then the edge is
 * dropped, since the list changes in place anyway.
 *
 * Everything here is computed from the declaration alone, before anything
 * starts or stops. Where the edges leave a choice, the order of declaration
 * decides, so the same declaration always boots in the same order.
 */
import type { Needs } from "./plugin.ts";
import { MycnetError } from "./errors.ts";

/** What the graph needs to know of a plugin instance. */
export interface GraphNode {
  readonly id: string;
  readonly plugin: {
    readonly provides: { readonly id: string };
    readonly needs: Needs;
  };
}

/** Edges from an instance to the instances that start before it. */
type Edges = ReadonlyMap<string, readonly string[]>;

/**
 * The order of starting; stopping is its reverse.
 * @throws `plugin_missing`, `plugin_ambiguous` or `plugin_cycle`, naming the plugins and the capability.
 */
export function startOrder<N extends GraphNode>(nodes: readonly N[]): N[] {
  const hard = hardEdges(nodes);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  sortTopologically(nodes, hard, byId); // Throws on a cycle of hard edges, soft ones or not.
  return sortTopologically(nodes, withSoftEdges(nodes, hard), byId);
}

/** The one instance that provides a capability; undefined if none does. @throws `plugin_ambiguous` */
export function soleProvider<N extends GraphNode>(
  nodes: readonly N[],
  capability: string,
  consumer: string,
): N | undefined {
  const found = nodes.filter((node) => node.plugin.provides.id === capability);
  if (found.length <= 1) return found[0];
  throw new MycnetError(
    "plugin_ambiguous",
    `"${consumer}" needs one "${capability}", but ${list(found.map(({ id }) => id))} provide it`,
  );
}

/** The ids of the instances on which a plugin's `one` and `maybe` needs rest. */
export function hardProviders(node: GraphNode, nodes: readonly GraphNode[]): string[] {
  const ids = new Set<string>();
  for (const need of Object.values(node.plugin.needs)) {
    if (need.arity === "live") continue;
    const provider = soleProvider(nodes, need.id, node.id);
    if (provider !== undefined) ids.add(provider.id);
    else if (need.arity === "one") {
      throw new MycnetError(
        "plugin_missing",
        `"${node.id}" needs "${need.id}", which no declared plugin provides`,
      );
    }
  }
  return [...ids];
}

function hardEdges(nodes: readonly GraphNode[]): Edges {
  return new Map(nodes.map((node) => [node.id, hardProviders(node, nodes)]));
}

/** The hard edges, and every soft edge that closes no cycle with those already there. */
function withSoftEdges(nodes: readonly GraphNode[], hard: Edges): Edges {
  const edges = new Map([...hard].map(([id, providers]) => [id, [...providers]]));
  for (const node of nodes) {
    for (const need of Object.values(node.plugin.needs)) {
      if (need.arity !== "live") continue;
      for (const provider of nodes) {
        if (provider.plugin.provides.id !== need.id || reaches(edges, provider.id, node.id)) {
          continue;
        }
        edges.get(node.id)!.push(provider.id);
      }
    }
  }
  return edges;
}

function reaches(edges: Edges, from: string, to: string): boolean {
  const seen = new Set<string>();
  const open = [from];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === to) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    open.push(...edges.get(at)!);
  }
  return false;
}

function sortTopologically<N extends GraphNode>(
  nodes: readonly N[],
  edges: Edges,
  byId: ReadonlyMap<string, N>,
): N[] {
  const sorted = new Set<N>();
  const path: N[] = [];
  const visit = (node: N): void => {
    if (sorted.has(node)) return;
    if (path.includes(node)) throw cycleError([...path.slice(path.indexOf(node)), node]);
    path.push(node);
    for (const id of edges.get(node.id)!) visit(byId.get(id)!);
    path.pop();
    sorted.add(node);
  };
  nodes.forEach(visit);
  return [...sorted];
}

function cycleError(cycle: readonly GraphNode[]): MycnetError {
  const steps = cycle.slice(0, -1).map((node, at) =>
    `"${node.id}" needs "${cycle[at + 1]!.plugin.provides.id}" of "${cycle[at + 1]!.id}"`
  );
  return new MycnetError("plugin_cycle", `Plugins wait for one another: ${steps.join(", ")}`);
}

function list(ids: readonly string[]): string {
  const quoted = ids.map((id) => `"${id}"`);
  return `${quoted.slice(0, -1).join(", ")} and ${quoted.at(-1)}`;
}

/**
 * The commands that start the nodes which `mycnet init` made, such that all of
 * them work on one machine: the first listens where the configuration says, the
 * others at the ports above it, and each finds the first.
 */
import type { NodeType } from "@mycnet/protocols/identity";
import { formatHostPort, isWildcard, parseHostPort } from "../../node/net/address.ts";

/** A node that is to be started. */
export interface NodeToStart {
  readonly id: string;
  readonly type: NodeType;
}

/** Where nodes listen unless the configuration or the command line says otherwise. */
const usualBind = "0.0.0.0:7000";
const usualAdmin = "127.0.0.1:7080";

/** What is declared of addresses in an unchecked `mycnet` key. */
interface DeclaredAddresses {
  readonly node?: { readonly bindAddress?: unknown };
  readonly plugins?: { readonly admin?: unknown };
}

function adminAddressOf(value: DeclaredAddresses | undefined): unknown {
  const admin = value?.plugins?.admin as
    | { readonly bindAddress?: unknown; readonly config?: { readonly bindAddress?: unknown } }
    | false
    | undefined;
  if (admin === false) return false;
  return admin?.bindAddress ?? admin?.config?.bindAddress;
}

/** The address `by` ports above another; undefined where that means nothing: no address, or any free port. */
function above(address: unknown, usual: string, by: number): string | undefined {
  if (address !== undefined && typeof address !== "string") return undefined;
  try {
    const { host, port } = parseHostPort(address ?? usual);
    return port === 0 || port + by > 65_535 ? undefined : formatHostPort(host, port + by);
  } catch {
    return undefined; // The node itself will say what is wrong with it.
  }
}

/** An address as one on the same machine dials it. */
function dialled(bind: string): string {
  const { host, port } = parseHostPort(bind);
  return isWildcard(host) ? `127.0.0.1:${port}` : bind;
}

/**
 * The options that each node needs beside its `--id`.
 * @param before how many nodes there were on this machine already.
 * @param value the unchecked `mycnet` key of the configuration.
 */
export function startOptions(
  nodes: readonly NodeToStart[],
  before: number,
  value: unknown,
): readonly (readonly string[])[] {
  const declared = value as DeclaredAddresses | undefined;
  // A hyphae listens nowhere unless it is told to, so nobody can find it.
  const listens = ({ type }: NodeToStart) =>
    type !== "hyphae" || typeof declared?.node?.bindAddress === "string";
  const firstHere = before > 0 ? -1 : nodes.findIndex(listens);
  const bindOf = (place: number) => above(declared?.node?.bindAddress, usualBind, place);
  const first = before > 0 || firstHere >= 0 ? bindOf(before > 0 ? 0 : firstHere) : undefined;
  return nodes.map((node, at) => {
    const place = before + at;
    const bind = listens(node) ? bindOf(place) : undefined;
    const admin = above(adminAddressOf(declared), usualAdmin, place);
    return [
      ...(place === 0 || bind === undefined ? [] : ["--bind", bind]),
      ...(place === 0 || admin === undefined ? [] : ["--admin", admin]),
      ...(first === undefined || at === firstHere ? [] : ["--seed", dialled(first)]),
    ];
  });
}

/** From where to where: a file of this machine, standard input, or a file of a node. */
import { basename, resolve } from "node:path";
import { MycnetError } from "../../../kernel/errors.ts";
import { isNodeId } from "@mycnet/protocols/identity";

/** A file of a node. */
export interface RemotePlace {
  readonly node: string;
  /** From the folder that the node declares. */
  readonly path: string;
}

/** What is to be copied. */
export type Copy =
  | { readonly kind: "upload"; readonly from: string | undefined; readonly to: RemotePlace }
  | { readonly kind: "download"; readonly from: RemotePlace; readonly to: string };

/** A `<node>:<path>`, or undefined for what reads as a local path. */
function remote(text: string): RemotePlace | undefined {
  const at = text.indexOf(":");
  if (at < 1 || !isNodeId(text.slice(0, at))) return undefined;
  if (Deno.build.os === "windows" && at === 1) return undefined; // C:\...
  return { node: text.slice(0, at), path: text.slice(at + 1) };
}

/** Reads the two places of a command line; `from` undefined is standard input. @throws `usage`. */
export function copyOf(positionals: readonly string[], cwd: string): Copy {
  const [from, to] = positionals;
  if (from === undefined || to === undefined) {
    throw new MycnetError("usage", "name both: mycnet cp <file> <node>:<path>, or the other way");
  }
  const [there, here] = [remote(from), remote(to)];
  if (there !== undefined && here !== undefined) {
    throw new MycnetError("usage", "from node to node goes by way of this machine: copy twice");
  }
  if (here !== undefined) {
    if (from === "-" && (here.path === "" || here.path.endsWith("/"))) {
      throw new MycnetError("usage", "standard input has no name: write <node>:<path> in full");
    }
    const path = here.path === "" || here.path.endsWith("/")
      ? here.path + basename(from)
      : here.path;
    return {
      kind: "upload",
      from: from === "-" ? undefined : resolve(cwd, from),
      to: { node: here.node, path },
    };
  }
  if (there !== undefined) {
    if (there.path === "" || there.path.endsWith("/")) {
      throw new MycnetError("usage", "name a file: mycnet cp <node>:<path> <file>");
    }
    if (to === "-") {
      throw new MycnetError("usage", "a copy is checked as a whole before it counts: name a file");
    }
    return { kind: "download", from: there, to: resolve(cwd, to) };
  }
  throw new MycnetError("usage", "one of the two must be a node's: <node>:<path>");
}

/** The admin endpoint's address of a file. */
export function routeOf(
  { node, path }: RemotePlace,
  query: Readonly<Record<string, string | number | undefined>>,
): string {
  const search = new URLSearchParams({ path });
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) search.set(key, `${value}`);
  }
  return `/api/v1/files/${encodeURIComponent(node)}?${search}`;
}

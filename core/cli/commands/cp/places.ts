/** From where to where: a file or folder of this machine, standard input, or one of a node. */
import { basename, resolve } from "node:path";
import { MycnetError } from "../../../kernel/errors.ts";
import { isNodeId } from "@mycnet/protocols/identity";

/** A file or folder of a node. */
export interface RemotePlace {
  readonly node: string;
  /** From the folder that the node declares; empty: that folder itself. */
  readonly path: string;
}

/** What is to be copied. */
export type Copy = FromHere | FromThere;

/** To a node. */
export interface FromHere {
  readonly kind: "upload";
  /** undefined: standard input. */
  readonly from: string | undefined;
  readonly to: RemotePlace;
  /** The name that a folder has in one that is there; undefined: what is in it goes there. */
  readonly keep: string | undefined;
}

/** From a node. */
export interface FromThere {
  readonly kind: "download";
  readonly from: RemotePlace;
  readonly to: string;
  /** The same. */
  readonly keep: string | undefined;
}

/** A `<node>:<path>`, or undefined for what reads as a local path. */
function remote(text: string): RemotePlace | undefined {
  const at = text.indexOf(":");
  if (at < 1 || !isNodeId(text.slice(0, at))) return undefined;
  if (Deno.build.os === "windows" && at === 1) return undefined; // C:\...
  return { node: text.slice(0, at), path: text.slice(at + 1) };
}

/** The last name of a path; undefined where it has none of its own: `.`, `..`, and the top. */
function lastName(path: string): string | undefined {
  const name = basename(path);
  return name === "" || name === "." || name === ".." ? undefined : name;
}

/**
 * Reads the two places of a command line.
 * @param recursive whether they may be folders.
 * @throws `usage`.
 */
export function copyOf(positionals: readonly string[], cwd: string, recursive: boolean): Copy {
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
    const keep = lastName(from);
    const isInto = here.path === "" || here.path.endsWith("/");
    const path = recursive && keep === undefined
      ? here.path.replace(/\/+$/, "")
      : isInto
      ? here.path + basename(from)
      : here.path;
    return {
      kind: "upload",
      from: from === "-" ? undefined : resolve(cwd, from),
      to: { node: here.node, path },
      keep: isInto || from === "-" ? undefined : keep,
    };
  }
  if (there !== undefined) {
    if (!recursive && (there.path === "" || there.path.endsWith("/"))) {
      throw new MycnetError("usage", "name a file: mycnet cp <node>:<path> <file>", {
        remedy: "Copy a folder with all that is in it: mycnet cp -r (--recursive).",
      });
    }
    if (to === "-") {
      throw new MycnetError("usage", "a copy is checked as a whole before it counts: name a file");
    }
    const path = recursive ? there.path.replace(/(^|\/)\.?\/*$/, "") : there.path;
    return {
      kind: "download",
      from: { node: there.node, path },
      to: resolve(cwd, to),
      keep: lastName(there.path),
    };
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

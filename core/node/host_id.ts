/** The name of this machine as a node id. */

/** The host's name with what an id cannot hold replaced; `"node"` where the name is not to be had. */
export function hostId(): string {
  let name = "";
  try {
    name = Deno.hostname();
  } catch {
    // Not permitted: any name does.
  }
  const id = name.toLowerCase().replaceAll(/[^a-z0-9._-]/g, "-").slice(0, 63);
  return /^\.{0,2}$/.test(id) ? "node" : id;
}

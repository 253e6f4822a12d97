/** A cluster's identity for the length of a bench: authority, certificates and keys in a temporary folder. */
import { createHost } from "../../core/kernel/mod.ts";
import { initCluster, type IssuedNode } from "../../core/node/identity/authority.ts";
import type { NodeType } from "@mycnet/protocols/identity";
import type { CertificateFiles } from "../bare/sockets.ts";

/** The folder of a cluster, removed on dispose. */
export interface BenchCluster extends AsyncDisposable {
  /** The state folder. */
  readonly stateDir: string;
  /** The certificate files of a node. */
  files(id: string): CertificateFiles;
}

/** Issues an identity for each of `nodes`. */
export async function makeCluster(
  nodes: readonly { readonly id: string; readonly type: NodeType }[],
): Promise<BenchCluster> {
  const stateDir = await Deno.makeTempDir({ prefix: "mycnet-bench-" });
  const remove = () => Deno.remove(stateDir, { recursive: true });
  try {
    const made = await initCluster({ stateDir, cluster: "bench", nodes, host: createHost() });
    const byId = new Map<string, IssuedNode>(made.nodes.map((it) => [it.id, it]));
    return {
      stateDir,
      files(id) {
        const { certPath, keyPath } = byId.get(id)!;
        return { ca: made.caPath, cert: certPath, key: keyPath };
      },
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Clusters with certificates for tests, in a folder that is removed at the end. */
import { readCredentials } from "../../core/node/identity/credentials.ts";
import { initCluster, type InitOptions, type NewNode } from "../../core/node/identity/authority.ts";
import { clusterPaths, nodePaths } from "../../core/node/identity/paths.ts";
import identityPlugin from "../../core/node/identity/mod.ts";
import type { Credentials, Identity } from "../../core/contracts/identity.ts";
import { createHost, type Host } from "../../core/kernel/mod.ts";
import type { NodeType } from "@mycnet/protocols/identity";
import { testSettings } from "./settings.ts";
import { type StartedPlugin, startPlugin } from "./start_plugin.ts";

const dayMs = 86_400_000;

/** How a test's certificates are dated. */
export interface IssueOptions {
  /** How far the clock that dates them is ahead of ours, in days; negative for behind. Default 0. */
  readonly aheadDays?: number;
  readonly nodeDays?: number;
  readonly renew?: boolean;
}

/** A cluster whose state folder lives as long as a test. */
export class TestAuthority implements AsyncDisposable {
  readonly stateDir: string;
  readonly cluster: string;

  constructor(stateDir: string, cluster: string) {
    this.stateDir = stateDir;
    this.cluster = cluster;
  }

  /** Issues certificates. The first call makes the cluster. */
  async issue(
    nodes: readonly NewNode[],
    { aheadDays = 0, ...options }: IssueOptions = {},
  ): Promise<void> {
    const { stateDir, cluster } = this;
    const host = hostAhead(aheadDays * dayMs);
    await initCluster({ stateDir, cluster, nodes, host, ...options } satisfies InitOptions);
  }

  /** The credentials of a node, unchecked. */
  credentials(id: string): Promise<Credentials> {
    const { certificate, privateKey } = nodePaths(this.stateDir, id);
    const caCertPath = clusterPaths(this.stateDir).authority;
    return readCredentials({ certPath: certificate, keyPath: privateKey, caCertPath });
  }

  /** The identity plugin of a node, started. */
  identity(
    { id, type, ...config }: {
      readonly id: string;
      readonly type: NodeType;
      insecure?: boolean;
      folder?: boolean;
    },
    host: Partial<Host> = {},
  ): Promise<StartedPlugin<Identity>> {
    const { stateDir, cluster } = this;
    const settings = testSettings({ id, type, cluster, stateDir, baseDir: stateDir });
    return startPlugin(identityPlugin, { config, needs: { settings }, host });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.stateDir, { recursive: true });
  }
}

/** Makes a cluster with these nodes, all sclerotia. */
export async function testAuthority(
  ids: readonly string[],
  { cluster = "test" }: { readonly cluster?: string } = {},
): Promise<TestAuthority> {
  const stateDir = await Deno.makeTempDir({ prefix: "mycnet-test-" });
  const authority = new TestAuthority(stateDir, cluster);
  await authority.issue(ids.map((id) => ({ id, type: "sclerotia" })));
  return authority;
}

/** An identity that has these credentials, whatever they are worth, and nothing else. */
export function bareIdentity(
  credentials: Credentials,
): Pick<Identity, "credentials" | "onCredentials"> {
  return { credentials, onCredentials: () => ({ [Symbol.dispose]: () => {} }) };
}

/** The real host with its wall clock ahead. */
export function hostAhead(ms: number): Host {
  const host = createHost();
  const wallTime = host.wallTime.bind(host);
  host.wallTime = () => wallTime() + ms;
  return host;
}

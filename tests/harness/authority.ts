/** Clusters with certificates for tests, in a folder that is removed at the end. */
import { initCluster, type NewNode } from "../../core/node/identity/authority.ts";
import type { IssuingHost } from "../../core/node/identity/certificates.ts";
import identityPlugin from "../../core/node/identity/mod.ts";
import type { Identity } from "../../core/contracts/identity.ts";
import { createHost, type Host } from "../../core/kernel/mod.ts";
import { testSettings } from "./settings.ts";
import { type StartedPlugin, startPlugin } from "./start_plugin.ts";

/** A cluster whose state folder lives as long as a test. */
export interface TestAuthority extends AsyncDisposable {
  readonly cluster: string;
  readonly stateDir: string;
  /** Starts the identity plugin of one of its nodes. */
  identity(node: NewNode, host?: Partial<Host>): Promise<StartedPlugin<Identity>>;
}

/** What a test may choose. */
export interface TestAuthorityOptions {
  /** Default `"test"`. */
  readonly cluster?: string;
  readonly nodes: readonly NewNode[];
  readonly nodeDays?: number;
  /** The clock that dates the certificates. */
  readonly host?: Partial<IssuingHost>;
}

/** Makes a cluster. */
export async function testAuthority(options: TestAuthorityOptions): Promise<TestAuthority> {
  const { cluster = "test", nodes, nodeDays } = options;
  const stateDir = await Deno.makeTempDir({ prefix: "mycnet-test-" });
  const real = createHost();
  const host: IssuingHost = {
    wallTime: () => real.wallTime(),
    randomBytes: (length) => real.randomBytes(length),
    ...options.host,
  };
  await initCluster({
    stateDir,
    cluster,
    nodes,
    host,
    ...(nodeDays === undefined ? {} : { nodeDays }),
  });
  return {
    cluster,
    stateDir,
    identity: ({ id, type }, host) =>
      startPlugin(identityPlugin, {
        needs: { settings: testSettings({ id, type, cluster, stateDir }) },
        ...(host === undefined ? {} : { host }),
      }),
    [Symbol.asyncDispose]: () => Deno.remove(stateDir, { recursive: true }),
  };
}

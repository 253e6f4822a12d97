/**
 * The plugin `identity`: who this node is, and how it proves it.
 *
 * Secure by default: it reads the certificate, key and authorities that
 * `mycnet init` made, refuses to start if they are missing or do not fit the
 * node's settings, follows the files while the node runs, and signs and checks
 * with synchronous node:crypto. With `insecure: true` nodes are known by fiat:
 * nothing is signed, and what another claims is believed.
 * Its health is degraded when the certificate nears its end, unhealthy after it.
 *
 * Either way, where the node has a folder in the state folder, a lock there
 * keeps a second process from being the same node, and its generation grows
 * from start to start whatever the clock does. Nobody makes a folder for that:
 * a node by fiat without one goes by the clock.
 */
import { sign as signEd25519, verify as verifyEd25519 } from "node:crypto";
import { resolve } from "node:path";
import { z } from "zod";
import { type HealthReport, healthSources } from "../../contracts/health.ts";
import { type Credentials, type Identity, identity, type Proof } from "../../contracts/identity.ts";
import type { Verdict } from "../../contracts/identity.ts";
import { type Settings, settings } from "../../contracts/settings.ts";
import { definePlugin } from "../../kernel/define_plugin.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import type { Plugin } from "../../kernel/plugin.ts";
import { formatSpiffeId, type NodeDescription, samePrincipal } from "@mycnet/protocols/identity";
import { runtimeVersion } from "../version.ts";
import { checkChain } from "./chain.ts";
import type { LoadedCredentials } from "./credentials.ts";
import { isUsableFolder } from "./files.ts";
import { nextGeneration } from "./generation.ts";
import { lockNode } from "./lock.ts";
import { clusterPaths, nodePaths } from "./paths.ts";
import { type CredentialWatcher, watchCredentials } from "./watcher.ts";

const config = z.strictObject({
  insecure: z.boolean().default(false).describe(
    "Know nodes by what they say. Only where every machine and user on the network is trusted.",
  ),
  folder: z.boolean().default(true).describe(
    "Keep a lock and the generation in nodes/<id> of the state folder, where that exists. " +
      "False only makes a difference with insecure.",
  ),
  certPath: z.string().min(1).optional().describe(
    "The node's certificate and its intermediates, PEM. Default: nodes/<id>/cert.pem in the state folder.",
  ),
  keyPath: z.string().min(1).optional().describe(
    "The certificate's private key, PKCS#8 PEM. Default: nodes/<id>/key.pem in the state folder.",
  ),
  caCertPath: z.string().min(1).optional().describe(
    "The cluster's authorities, PEM. Default: ca.pem in the state folder.",
  ),
});

/** The share of a certificate's life at whose end renewal is overdue. */
const overdueShare = 0.1;

/** The plugin. It is always present. */
export const identityPlugin: Plugin<Identity> = definePlugin({
  name: "identity",
  summary: "Who this node is, by its certificate.",
  provides: identity,
  needs: { settings },
  config,
  permissions: ({ insecure, certPath, keyPath, caCertPath }) =>
    insecure ? {} : { read: [certPath, keyPath, caCertPath].filter((path) => path !== undefined) },
  async setup({ config, needs: { settings }, host, own, contribute }) {
    const files = nodePaths(settings.stateDir, settings.id);
    const keepGeneration = async (): Promise<number> => {
      own(await lockNode(files.lock, settings.id, host));
      return await nextGeneration(files.generation, host);
    };
    if (config.insecure) {
      const kept = config.folder && await isUsableFolder(files.dir);
      const generation = kept ? await keepGeneration() : Math.floor(host.wallTime());
      return new FiatIdentity(describe(settings, generation));
    }
    const at = (path: string | undefined, otherwise: string) =>
      path === undefined ? otherwise : resolve(settings.baseDir, path);
    const refuse = (loaded: LoadedCredentials) => nameProblem(settings, loaded);
    const watcher = own(
      await watchCredentials({
        paths: {
          certPath: at(config.certPath, files.certificate),
          keyPath: at(config.keyPath, files.privateKey),
          caCertPath: at(config.caCertPath, clusterPaths(settings.stateDir).authority),
        },
        host,
        refuse,
      }),
    );
    const problem = refuse(watcher.current);
    if (problem !== undefined) throw new MycnetError("identity_invalid", problem);
    contribute(healthSources, () => expiryReport(watcher.current, host.wallTime()));
    const self = describe(settings, await keepGeneration());
    return new CertifiedIdentity(self, watcher, host);
  },
});

export default identityPlugin;

function describe(settings: Settings, generation: number): NodeDescription {
  const { cluster, type, id, datacenter, rack, capacity, metadata } = settings;
  return {
    cluster,
    type,
    id,
    generation,
    version: runtimeVersion,
    ...(datacenter === undefined ? {} : { datacenter }),
    ...(rack === undefined ? {} : { rack }),
    ...(capacity === undefined ? {} : { capacity }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
}

/** Why a certificate is not this node's. */
function nameProblem(settings: Settings, { principal }: LoadedCredentials): string | undefined {
  if (samePrincipal(settings, principal)) return undefined;
  return `the certificate names ${formatSpiffeId(principal)}, but the settings say ` +
    `${formatSpiffeId(settings)}: correct node.id, node.type or node.cluster, ` +
    `or issue a certificate with \`mycnet init\``;
}

/** How near its end a certificate is. */
function expiryReport({ validFrom, expiresAt }: LoadedCredentials, nowMs: number): HealthReport {
  const until = new Date(expiresAt).toISOString();
  if (nowMs > expiresAt) {
    return { status: "unhealthy", reason: `the node's certificate expired at ${until}` };
  }
  if (expiresAt - nowMs < (expiresAt - validFrom) * overdueShare) {
    return { status: "degraded", reason: `the node's certificate expires at ${until}; renew it` };
  }
  return { status: "healthy" };
}

/** By fiat: nothing is proved, and what others claim is believed. */
class FiatIdentity implements Identity {
  readonly credentials = undefined;

  constructor(readonly self: NodeDescription) {}

  onCredentials(): Disposable {
    return { [Symbol.dispose]: () => {} };
  }

  sign(): Proof {
    return { signature: new Uint8Array(0), chain: [] };
  }

  verify(): Verdict {
    return { ok: true, principal: undefined };
  }
}

/** By certificate. */
class CertifiedIdentity implements Identity {
  readonly self: NodeDescription;
  readonly #watcher: CredentialWatcher;
  readonly #host: Host;

  constructor(self: NodeDescription, watcher: CredentialWatcher, host: Host) {
    this.self = self;
    this.#watcher = watcher;
    this.#host = host;
  }

  get credentials(): Credentials {
    return this.#watcher.current.credentials;
  }

  onCredentials(changed: (credentials: Credentials) => void): Disposable {
    return this.#watcher.onChange(({ credentials }) => changed(credentials));
  }

  sign(bytes: Uint8Array): Proof {
    const { privateKey, chain } = this.#watcher.current;
    return { signature: Uint8Array.from(signEd25519(null, bytes, privateKey)), chain };
  }

  verify(bytes: Uint8Array, { signature, chain }: Proof): Verdict {
    if (signature.length === 0) {
      return { ok: false, reason: "it is not signed: the node that made it knows nodes by fiat" };
    }
    const { authorities } = this.#watcher.current;
    const verdict = checkChain(chain, authorities, this.#host.wallTime());
    if (!verdict.ok) return verdict;
    const { principal, certificate } = verdict;
    if (principal.cluster !== this.self.cluster) {
      return { ok: false, reason: `it was signed by a node of the cluster "${principal.cluster}"` };
    }
    try {
      const key = certificate.publicKey;
      // Ed25519 (RFC 8032) and nothing else, or a certificate could choose a weaker scheme.
      if (key.asymmetricKeyType === "ed25519" && verifyEd25519(null, bytes, key, signature)) {
        return { ok: true, principal };
      }
    } catch {
      // A malformed signature is a wrong one.
    }
    return { ok: false, reason: `the signature is not that of ${formatSpiffeId(principal)}` };
  }
}

/**
 * The transport `tls`: mutual TLS 1.3 between the certificates of nodes.
 *
 * Both ends present a certificate and check the other's against the cluster's
 * authorities; host names play no part, as the link compares the certificate's
 * SPIFFE id with whom it wanted to reach. A peer that fails the check still gets
 * a connection, marked `rejected` with the reason, on which the link answers with
 * a refusal: TLS alone would hide why. Certificates are those of `identity` unless
 * the configuration names others; new ones are used from the next handshake on,
 * and cut nothing.
 *
 * Files: listener.ts accepts, connection.ts carries, reads.ts reads into buffers
 * that are used again, flow.ts stops the flow, authenticate.ts judges, context.ts
 * holds what both ends are configured with.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { resolve } from "node:path";
import { z } from "zod";
import { type Identity, identity } from "../../core/contracts/identity.ts";
import type { Credentials } from "../../core/contracts/identity.ts";
import { type Settings, settings } from "../../core/contracts/settings.ts";
import { type Connection, type Transport, transport } from "../../core/contracts/transport.ts";
import { duration, requiredDuration } from "../../core/kernel/config.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import { MycnetError } from "../../core/kernel/errors.ts";
import type { Host } from "../../core/kernel/host.ts";
import type { Plugin } from "../../core/kernel/plugin.ts";
import { clusterPaths, nodePaths } from "../../core/node/identity/paths.ts";
import { watchCredentials } from "../../core/node/identity/watcher.ts";
import { AcceptQueue } from "../../core/node/net/accept_queue.ts";
import { announcedAddress, parseHostPort } from "../../core/node/net/address.ts";
import { bindField } from "../../core/node/net/field.ts";
import { attempt } from "../../core/node/net/attempt.ts";
import { bindingOf } from "../../core/node/net/binding.ts";
import { asListenError } from "../../core/node/net/listen_error.ts";
import { authenticate } from "./tls/authenticate.ts";
import { TlsConnection } from "./tls/connection.ts";
import { makeContext, protocolName, type TlsContext, type TlsPolicy } from "./tls/context.ts";
import { TlsListener } from "./tls/listener.ts";

const file = (what: string) =>
  z.string().min(1).optional().describe(`${what} Default: identity's.`);

const config = z.strictObject({
  bindAddress: bindField().optional()
    .describe("Where to listen, host:port; port 0 for any free one. Default: node.bindAddress."),
  advertiseAddress: bindField().optional()
    .describe(
      "How others reach it, host:port. Default: node.advertiseAddress, else where it listens.",
    ),
  certPath: file("The certificate and its intermediates, PEM."),
  keyPath: file("Its private key, PKCS#8 PEM."),
  caCertPath: file("The authorities that others' certificates must come from, PEM."),
  minProtocolVersion: z.enum(["TLSv1.3", "TLSv1.2"]).default("TLSv1.3")
    .describe("The oldest TLS that is spoken."),
  cipherSuites: z.array(z.string().regex(/^[A-Za-z0-9_-]+$/)).min(1).max(32).optional().describe(
    "The cipher suites that are allowed, by OpenSSL's names. Deno's TLS chooses by itself " +
      "(TLS_AES_256_GCM_SHA384 between Deno nodes); a link that came to another is refused.",
  ),
  verifyClient: z.boolean().default(true).describe(
    "False: a client without a certificate is known by what it says. Needs insecure: true.",
  ),
  insecure: z.boolean().default(false).describe("Allows verifyClient: false."),
  handshakeTimeout: requiredDuration({ minMs: 1 }).optional().describe(
    "How long an inbound connection may take for its handshake. Default: node.connectionTimeout.",
  ),
  closeTimeout: duration("2s").describe("How long close() may take to send what is left."),
}).refine((it) => it.verifyClient || it.insecure, {
  path: ["verifyClient"],
  message: "false lets anybody claim to be any node: also write insecure: true to allow that",
});
type Config = z.output<typeof config>;

/** The plugin. */
const tlsTransport: Plugin<Transport> = definePlugin({
  name: "tls",
  summary: "Mutual TLS between the certificates of nodes.",
  provides: transport,
  needs: { settings, identity },
  config,
  permissions: ({ certPath, keyPath, caCertPath }) => ({
    net: true,
    read: [certPath, keyPath, caCertPath].filter((path) => path !== undefined),
    sys: ["hostname"],
  }),
  async setup({ id, config, needs: { settings, identity }, host, own }) {
    const source = await credentialsOf(config, settings, identity, host);
    if (source.resource !== undefined) own(source.resource);
    const made = own(new TlsTransport(id, config, source.credentials, host));
    own(source.onChange((credentials) => made.renew(credentials)));
    const binding = bindingOf(config, settings);
    if (binding !== undefined) {
      const timeoutMs = config.handshakeTimeout ?? settings.connectionTimeoutMs;
      await made.listen(binding.bind, binding.advertise, timeoutMs);
    }
    return made;
  },
});
export default tlsTransport;

/** Credentials, and word of new ones. */
interface CredentialSource {
  readonly credentials: Credentials;
  readonly onChange: (changed: (credentials: Credentials) => void) => Disposable;
  readonly resource?: AsyncDisposable;
}

/** From the files that the configuration names, else from identity. */
async function credentialsOf(
  config: Config,
  settings: Settings,
  identity: Identity,
  host: Host,
): Promise<CredentialSource> {
  const { certPath, keyPath, caCertPath } = config;
  if (certPath === undefined && keyPath === undefined && caCertPath === undefined) {
    const { credentials } = identity;
    if (credentials === undefined) {
      throw new MycnetError(
        "identity_missing",
        "tls needs a certificate, and identity.insecure says that there is none: remove it and " +
          "run `mycnet init`, or switch tls off and declare tcp with insecure: true",
      );
    }
    return { credentials, onChange: (changed) => identity.onCredentials(changed) };
  }
  const files = nodePaths(settings.stateDir, settings.id);
  const at = (path: string | undefined, otherwise: string) =>
    path === undefined ? otherwise : resolve(settings.baseDir, path);
  const watcher = await watchCredentials({
    paths: {
      certPath: at(certPath, files.certificate),
      keyPath: at(keyPath, files.privateKey),
      caCertPath: at(caCertPath, clusterPaths(settings.stateDir).authority),
    },
    host,
  });
  return {
    credentials: watcher.current.credentials,
    onChange: (changed) => watcher.onChange(({ credentials }) => changed(credentials)),
    resource: watcher,
  };
}

class TlsTransport implements Transport, AsyncDisposable {
  readonly id: string;
  readonly scheme = "tls";
  addresses: readonly string[] = [];
  readonly #config: Config;
  readonly #policy: TlsPolicy;
  readonly #host: Host;
  readonly #queue: AcceptQueue;
  readonly #connections = new Set<TlsConnection>();
  readonly #stopping = new AbortController();
  #context: TlsContext;
  #listener: TlsListener | undefined;

  constructor(id: string, config: Config, credentials: Credentials, host: Host) {
    this.id = id;
    this.#config = config;
    this.#policy = config;
    this.#host = host;
    this.#queue = new AcceptQueue(host.log);
    this.#context = makeContext(credentials, this.#policy);
  }

  /** Begins to listen. @throws {MycnetError} `address_in_use`, `address_invalid`. */
  async listen(
    bindAddress: string,
    advertise: string | undefined,
    handshakeTimeoutMs: number,
  ): Promise<void> {
    const { host, port } = parseHostPort(bindAddress, "bindAddress");
    this.#listener = new TlsListener({
      host: this.#host,
      context: this.#context,
      handshakeTimeoutMs,
      full: () => this.#queue.full,
      accept: (socket, raw) => this.#accepted(socket, raw),
    });
    const realPort = await this.#listener.listen({ host, port }).catch((error) => {
      throw asListenError(error, bindAddress);
    });
    const hostname = () => Deno.hostname();
    const bound = { host, port: realPort };
    this.addresses = [`tls://${announcedAddress({ bound, advertise, hostname })}`];
  }

  /** From now on, handshakes use these credentials. */
  renew(credentials: Credentials): void {
    this.#context = makeContext(credentials, this.#policy);
    this.#listener?.renew(this.#context);
  }

  dial(address: string, options: { signal: AbortSignal; timeoutMs: number }): Promise<Connection> {
    return attempt({ host: this.#host, address: `tls://${address}`, ...options }, (attempt) => {
      const { host, port } = parseHostPort(address);
      if (this.#stopping.signal.aborted) throw new Error("the transport has stopped");
      const { secure } = this.#context;
      // The socket beneath is ours, so that nothing of a failed handshake stays behind.
      const raw = connectTcp({ host: host === "" ? "127.0.0.1" : host, port, noDelay: true });
      const stop = (): void => attempt.fail(new Error("the transport has stopped"));
      attempt.signal.addEventListener("abort", () => raw.destroy(), { once: true });
      this.#stopping.signal.addEventListener("abort", stop, { once: true });
      raw.once("close", () => this.#stopping.signal.removeEventListener("abort", stop));
      raw.on("error", (error) => attempt.fail(error));
      const socket = connectTls({
        socket: raw,
        secureContext: secure,
        minVersion: this.#policy.minProtocolVersion,
        ALPNProtocols: [protocolName],
        // Judged by authenticate(): the name that counts is the SPIFFE id, and the reason must be told.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      socket.on("error", (error) => attempt.fail(new Error(`TLS: ${error.message}`)));
      socket.once("close", () => attempt.fail(new Error("it closed the connection")));
      socket.once("secureConnect", () => {
        if (attempt.signal.aborted) return void socket.destroy();
        if (socket.alpnProtocol !== protocolName) {
          return attempt.fail(new Error("whatever listens there is not a mycnet node"));
        }
        attempt.succeed(this.#connection(socket, raw, true));
      });
    });
  }

  accept(handler: (connection: Connection) => void): Disposable {
    return this.#queue.accept(handler);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    const closed = this.#listener?.[Symbol.asyncDispose]();
    this.#queue[Symbol.dispose]();
    for (const connection of [...this.#connections]) connection.destroy();
    await closed;
  }

  #accepted(socket: TLSSocket, raw: Socket): void {
    if (this.#stopping.signal.aborted) return void socket.destroy();
    this.#queue.push(this.#connection(socket, raw, this.#config.verifyClient));
  }

  #connection(socket: TLSSocket, raw: Socket, certificateRequired: boolean): TlsConnection {
    const connection = new TlsConnection({
      host: this.#host,
      transport: this.id,
      socket,
      raw,
      authentication: authenticate(socket, {
        authorities: this.#context.authorities,
        nowMs: this.#host.wallTime(),
        certificateRequired,
        cipherSuites: this.#policy.cipherSuites,
      }),
      closeTimeoutMs: this.#config.closeTimeout,
      gone: (connection) => {
        this.#connections.delete(connection);
        this.#queue.forget(connection);
      },
    });
    this.#connections.add(connection);
    return connection;
  }
}

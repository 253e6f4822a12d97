/**
 * What the command line needs of the rest of the project, handed to it by
 * mod.ts. The command line itself knows no plugin and starts nothing unasked.
 */
import type { NodeControl } from "../contracts/node.ts";
import type { Host } from "../kernel/host.ts";
import type { LogSink } from "../kernel/logger.ts";

/** How a node is started. */
export interface StartOptions {
  /** A configuration file, absolute; undefined: defaults. The node takes over its changes by itself. */
  readonly config: string | undefined;
  /** What is laid over `mycnet.node`, at the start and at every reload. */
  readonly node?: { readonly id?: string; readonly bindAddress?: string };
  /** Where the admin endpoint listens, in place of where the configuration says. */
  readonly adminAddress?: string;
  /** Where nodes may be found, besides the seeds of the configuration. */
  readonly seeds?: readonly string[];
  /** The working directory, absolute. */
  readonly cwd: string;
  /** Where log lines go. */
  readonly log: LogSink;
}

/** A node that the command line has started. */
export interface RunningNode {
  readonly id: string;
  /** Where it can be dialled, `scheme://host:port`. */
  readonly addresses: readonly string[];
  /** `http://host:port`; undefined without the admin plugin. */
  readonly adminAddress: string | undefined;
  /** `host:port`; undefined where it does not gossip. */
  readonly gossipAddress: string | undefined;
  /** What runs, in start order. */
  plugins(): ReturnType<NodeControl["plugins"]>;
  /** Drains and stops. Resolves once everything is undone; called twice, it is the same stop. */
  stop(reason: string): Promise<void>;
  /** Resolves when the node has stopped, for whatever reason. */
  readonly closed: Promise<void>;
}

/** What mod.ts hands to the command line. */
export interface CliRuntime {
  /** The version of the runtime, as in deno.json. */
  readonly version: string;
  /** Time and randomness for the commands themselves. */
  readonly host: Host;
  /** Starts a node. Rejects when it cannot boot; nothing is left running then. */
  startNode(options: StartOptions): Promise<RunningNode>;
  /** The JSON Schema of the `mycnet` key, composed from every built-in plugin. */
  schema(): Promise<Readonly<Record<string, unknown>>>;
  /**
   * What a node with this configuration file must be granted, as an entry of deno.json's `permissions`.
   * @param config a file, absolute; undefined: defaults.
   */
  permissions(config: string | undefined): Promise<Readonly<Record<string, unknown>>>;
}

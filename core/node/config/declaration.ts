/**
 * The `mycnet` key as a whole: its shape, its merging, and its way to entries.
 *
 * The file declares; what the program passes is laid over it: `node` and
 * `profiles` key by key, `plugins` instance by instance (an instance that both
 * name is the program's alone). What neither names comes from the defaults:
 * mutual TLS, static seeds, round robin, the admin endpoint with its gateway and
 * metrics, tracing where the process has a tracer, and membership by gossip
 * where there is a key and a place for it.
 */
import type { BuiltIns, Declaration, DeclaredPlugin } from "../../kernel/declaration.ts";
import { MycnetError } from "../../kernel/errors.ts";
import { unknownKey } from "../../kernel/issues.ts";
import type { NodeCapacity, NodeType } from "@mycnet/protocols/identity";
import type { ProfileOverrides } from "@mycnet/protocols/negotiation";

/** `mycnet.node` as it is written. Durations are `"5s"` or milliseconds. */
export interface NodeConfig {
  /** Default: the one node of the state folder, else the host's name. */
  readonly id?: string;
  /** Default: as issued by `mycnet init`, else `"sclerotia"`. */
  readonly type?: NodeType;
  /** Default: that of the state folder, else `"local"`. */
  readonly cluster?: string;
  /** Where transports listen, `host:port`, and 946 ports above it gossip; false for nowhere. Default `"0.0.0.0:7000"`, for hyphae false. */
  readonly bindAddress?: string | false;
  /** How other nodes reach this one, `host:port`. */
  readonly advertiseAddress?: string;
  /** Where it stands; told to the other nodes. */
  readonly datacenter?: string;
  /** Where in the datacenter. */
  readonly rack?: string;
  /** What it can hold and do. */
  readonly capacity?: NodeCapacity;
  /** At most 32 labels. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Links in all. Default 1000. */
  readonly maxConnections?: number;
  /** For dialling and for the handshake. Default `"5s"`. */
  readonly connectionTimeout?: string | number;
  /** Default `".mycnet"`, beside the configuration file. */
  readonly stateDir?: string;
}

/** The `mycnet` key. */
export interface MycnetConfig {
  /** The node as a whole. */
  readonly node?: NodeConfig;
  /**
   * Instances by id: the configuration of a built-in, false to switch a default
   * off, or `use` (a built-in's name, a path, a specifier, or a plugin by value)
   * with its `config`.
   */
  readonly plugins?: Readonly<Record<string, DeclaredPlugin>>;
  /** Changes to the table of profiles, by pair of node types. */
  readonly profiles?: ProfileOverrides;
}

const keys = ["node", "plugins", "profiles"] as const;

/** What runs unless it is switched off; {@linkcode defaultsFor} adds membership. */
const usualPlugins: Declaration = {
  "tls": {},
  "static": {},
  "round_robin": {},
  "admin": {},
  "http-gateway": {},
  "files": {},
  "prometheus": {},
  "tracing": {},
};

/** Membership by gossip, and what it works through. */
const membershipPlugins: Declaration = { "sockets": {}, "file": {}, "swim": {} };

/**
 * What runs unless a declaration says otherwise, instance by instance.
 *
 * Membership is part of it for a node that `mycnet init` gave its keys (the key of
 * gossip is among them) and that takes links over mutual TLS: not where `tls` is
 * switched off, `identity` is insecure, or `node.bindAddress` is false. Such nodes,
 * as those of the simulator and of test clusters, open no port beside their links
 * unless they declare `swim`. `"swim": false` switches it off, and any other
 * `"swim"` on; `sockets` and `file` come and go with it. A hyphae takes the plugin
 * and does not gossip.
 */
export function defaultsFor({ node, plugins = {} }: MycnetConfig): Declaration {
  const { swim = true, tls, identity } = plugins;
  const keyless = isObject(identity) && identity.insecure === true;
  const fits = "swim" in plugins || (tls !== false && !keyless && node?.bindAddress !== false);
  return swim !== false && fits ? { ...usualPlugins, ...membershipPlugins } : usualPlugins;
}

/** The parts of node that are always there; each may be configured, none switched off. */
export const coreBuiltIns: BuiltIns = {
  "identity": () => import("../identity/plugin.ts"),
  "peers": () => import("../peers/plugin.ts"),
  "databases": () => import("../databases/plugin.ts"),
  "delivery": () => import("../delivery/plugin.ts"),
  "messenger": () => import("../messenger/plugin.ts"),
  "services": () => import("../services/plugin.ts"),
  "bulk": () => import("../bulk/plugin.ts"),
  "admin": () => import("../../admin/mod.ts"),
};

/** The ids of what cannot be switched off. */
export const alwaysPresent = [
  "identity",
  "databases",
  "peers",
  "delivery",
  "messenger",
  "services",
  "bulk",
] as const;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Checks the outermost shape of a value that claims to be a `mycnet` key. @throws `config_invalid` naming the field. */
export function checkShape(value: unknown, where: string): MycnetConfig {
  if (!isObject(value)) {
    throw new MycnetError("config_invalid", `${where}: must be an object`);
  }
  for (const key of Object.keys(value)) {
    if (!(keys as readonly string[]).includes(key)) {
      throw new MycnetError("config_invalid", `${where}: ${unknownKey(key, keys)}`);
    }
    if (!isObject(value[key])) {
      throw new MycnetError("config_invalid", `${where}.${key}: must be an object`);
    }
  }
  return value as MycnetConfig;
}

/** Lays one configuration over another. What is undefined in the upper one lets the lower one through. */
export function mergeConfig(under: MycnetConfig, over: MycnetConfig): MycnetConfig {
  return {
    node: { ...under.node, ...defined(over.node) },
    profiles: { ...under.profiles, ...defined(over.profiles) },
    plugins: { ...under.plugins, ...defined(over.plugins) },
  };
}

function defined<T extends object>(object: T | undefined): T {
  const entries = Object.entries(object ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as T;
}

/**
 * Settings: `mycnet.node` and `mycnet.profiles`, parsed, with what is left out
 * filled in from the state folder that `mycnet init` made.
 *
 * It is a plugin like the others, so that a changed setting restarts exactly
 * what reads settings, and so that plugins ask for it by capability.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { type Settings, settings } from "../contracts/settings.ts";
import { definePlugin } from "../kernel/define_plugin.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { Plugin } from "../kernel/plugin.ts";
import { duration } from "../kernel/config.ts";
import { isNodeId, isNodeType, type NodeType, nodeTypes } from "@mycnet/protocols/identity";
import { hostId } from "./host_id.ts";
import { readIfThere } from "./identity/files.ts";
import { clusterPaths, nodePaths } from "./identity/paths.ts";
import { bindField } from "./net/field.ts";
import { overridesSchema } from "./profile_overrides.ts";

const name = z.string().refine(isNodeId, "must be 1 to 63 of a-z 0-9 . _ -");
const address = bindField();

/** The schema of `mycnet.node`. */
export const nodeSettings = z.strictObject({
  id: name.optional()
    .describe("The node's id. Default: the one node of the state folder, else the host's name."),
  type: z.enum(nodeTypes as ["sclerotia", "rhizomorph", "hyphae"]).optional()
    .describe("Full node, semi-node or client. Default: as issued, else sclerotia."),
  cluster: name.optional()
    .describe("The cluster's id. Default: that of the state folder, else local."),
  bindAddress: z.union([address, z.literal(false)]).optional()
    .describe("Where transports listen; false for nowhere. Default 0.0.0.0:7000; hyphae: false."),
  advertiseAddress: address.optional().describe("How other nodes reach this one."),
  datacenter: z.string().max(63).optional(),
  rack: z.string().max(63).optional(),
  capacity: z.strictObject({
    cpus: z.number().positive().optional(),
    memoryBytes: z.number().nonnegative().optional(),
    diskBytes: z.number().nonnegative().optional(),
  }).optional().describe("What the node can hold and do."),
  metadata: z.record(z.string().max(63), z.string().max(255))
    .refine((it) => Object.keys(it).length <= 32, "at most 32 labels").default({})
    .describe("Free-form labels."),
  maxConnections: z.int().min(1).max(100_000).default(1000).describe("Links in all."),
  connectionTimeout: duration("5s").describe("For dialling and for the handshake."),
  stateDir: z.string().default(".mycnet")
    .describe("Where keys and what must survive a restart are kept."),
});

/** What `settings` is configured with: the two parts of the key that are the node's own. */
export const settingsConfig = z.strictObject({
  node: nodeSettings.prefault({ connectionTimeout: undefined }),
  profiles: overridesSchema.default({}),
  baseDir: z.string(),
});

/** What a state folder says of its cluster and of one of its nodes, as far as it says anything. */
interface StateFolder {
  readonly cluster?: string;
  readonly id?: string;
  readonly type?: NodeType;
}

/** The ids of the nodes in a state folder. Whatever else lies there is not looked at. */
async function nodesIn(folder: string): Promise<string[]> {
  const ids: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (!isFile && isNodeId(name)) ids.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return ids.sort();
}

/** One field of a file of the state folder; undefined if there is no such file. @throws `identity_invalid` for what it may not be. */
async function readField<T>(
  path: string,
  field: string,
  sound: (value: unknown) => value is T,
): Promise<T | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = (JSON.parse(text) as Record<string, unknown> | null)?.[field];
  } catch {
    // Said below.
  }
  if (sound(value)) return value;
  throw new MycnetError("identity_invalid", `${path} is damaged: its "${field}" makes no sense`, {
    remedy: "Restore the file, or issue the node anew with `mycnet init`.",
  });
}

async function readState(stateDir: string, given: string | undefined): Promise<StateFolder> {
  const ids = given === undefined ? await nodesIn(clusterPaths(stateDir).nodes) : [given];
  if (ids.length > 1) {
    const some = ids.slice(0, 5).join(", ");
    throw new MycnetError(
      "config_invalid",
      `node.id: ${stateDir} holds ${ids.length} nodes (${some}${ids.length > 5 ? ", ..." : ""})`,
      { remedy: "Say which one this is: node.id in the configuration, or --id." },
    );
  }
  const [id] = ids;
  const cluster = await readField(clusterPaths(stateDir).cluster, "cluster", isNodeId);
  if (id === undefined) return { cluster };
  return { cluster, id, type: await readField(nodePaths(stateDir, id).node, "type", isNodeType) };
}

/** The plugin; always present, configured by createNode. */
export const settingsPlugin: Plugin<Settings> = definePlugin({
  name: "settings",
  summary: "The node's own settings.",
  provides: settings,
  needs: {},
  config: settingsConfig,
  permissions: ({ node, baseDir }) => ({
    read: [resolve(baseDir, node.stateDir)],
    write: [resolve(baseDir, node.stateDir)],
    ...(node.id === undefined ? { sys: ["hostname"] } : {}),
  }),
  async setup({ config: { node, profiles, baseDir } }) {
    const stateDir = resolve(baseDir, node.stateDir);
    const complete = node.id !== undefined && node.cluster !== undefined && node.type !== undefined;
    const state: StateFolder = complete ? {} : await readState(stateDir, node.id);
    const type = node.type ?? state.type ?? "sclerotia";
    const bindAddress = node.bindAddress ?? (type === "hyphae" ? false : "0.0.0.0:7000");
    return {
      id: node.id ?? state.id ?? hostId(),
      type,
      cluster: node.cluster ?? state.cluster ?? "local",
      bindAddress: bindAddress === false ? undefined : bindAddress,
      advertiseAddress: node.advertiseAddress,
      datacenter: node.datacenter,
      rack: node.rack,
      capacity: node.capacity as Settings["capacity"],
      metadata: node.metadata,
      maxConnections: node.maxConnections,
      connectionTimeoutMs: node.connectionTimeout,
      stateDir,
      baseDir,
      profiles,
    };
  },
});

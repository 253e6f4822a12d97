/**
 * `mycnet init`: a cluster's identity on this machine, and the key in deno.json
 * that declares its node. Run again, it adds nodes to the cluster.
 */
import { dirname, relative, resolve } from "node:path";
import { nodeTypes } from "@mycnet/protocols/identity";
import type { NodeType } from "@mycnet/protocols/identity";
import { MycnetError } from "../../kernel/errors.ts";
import { didYouMean } from "../../kernel/nearest.ts";
import { ignoreFolder } from "../../node/identity/files.ts";
import { hostId } from "../../node/host_id.ts";
import { clusterPaths } from "../../node/identity/paths.ts";
import { initCluster, type InitResult, type NewNode } from "../../node/identity/authority.ts";
import { type Command, type CommandContext, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import { editableConfig, type Setting, withSettings, writeConfig } from "../config_edit.ts";
import { declaredStateDir, defaultStateDir } from "../state_folder.ts";
import { startOptions } from "./start_lines.ts";

const specs = {
  cluster: {
    type: "string",
    value: "ID",
    description: "The cluster's id. Default: mycnet- and a random number.",
  },
  id: { type: "string", value: "ID", description: "The node's id. Default: this machine's name." },
  type: {
    type: "string",
    value: "TYPE",
    description: "sclerotia (default, full), rhizomorph (semi) or hyphae (client).",
  },
  nodes: {
    type: "string",
    value: "LIST",
    description: "Several nodes on this machine: a count, or a:sclerotia,b:rhizomorph.",
  },
  host: {
    type: "string",
    multiple: true,
    value: "NAME",
    description: "A DNS name or address for the certificates, beside localhost. May be repeated.",
  },
  "state-dir": {
    type: "string",
    value: "DIR",
    description: "Where keys are kept. Default .mycnet beside the configuration.",
  },
  config: {
    type: "string",
    short: "c",
    value: "FILE",
    description: "The file to declare the node in. Default deno.json.",
  },
  force: {
    type: "boolean",
    description: "Issue new certificates for nodes that exist; their keys stay.",
  },
} as const;

type Options = CommandContext<typeof specs>["options"];

/** The most nodes that a count may ask for; a list may name more. */
const maxCount = 100;

function usage(message: string): MycnetError {
  return new MycnetError("usage", message);
}

function typeOf(text: string, option: string): NodeType {
  const found = nodeTypes.find((it) => it === text);
  if (found !== undefined) return found;
  throw usage(
    `${option} ${JSON.stringify(text)}: must be ${nodeTypes.join(", ")}${
      didYouMean(text, nodeTypes)
    }`,
  );
}

/** The nodes that a command line asks for. */
export function wantedNodes({ id, type, nodes, host }: Options): readonly NewNode[] {
  const usual = typeOf(type ?? "sclerotia", "--type");
  if (nodes === undefined) return [{ id: id ?? hostId(), type: usual, names: host }];
  if (id !== undefined) throw usage("--id names one node; with --nodes, put the ids there");
  if (/^\d+$/.test(nodes)) {
    const count = Number(nodes);
    if (count < 1 || count > maxCount) throw usage(`--nodes ${nodes}: 1 to ${maxCount}`);
    return Array.from(
      { length: count },
      (_, at) => ({ id: `node-${at + 1}`, type: usual, names: host }),
    );
  }
  return nodes.split(",").map((entry) => {
    const [name, own, ...rest] = entry.trim().split(":");
    if (name === "" || rest.length > 0) {
      throw usage(`--nodes ${JSON.stringify(entry)}: write id or id:type, separated by commas`);
    }
    return { id: name, type: own === undefined ? usual : typeOf(own, "--nodes"), names: host };
  });
}

/** `node.id` of an unchecked `mycnet` key. */
function declaredId(value: unknown): string | undefined {
  const id = (value as { node?: { id?: unknown } } | undefined)?.node?.id;
  return typeof id === "string" ? id : undefined;
}

/**
 * What the configuration must say so that `mycnet node` finds what was made. A
 * file declares one node: the first made for it; others are told apart by `--id`.
 * @param stateDir where the keys are, unless the file says so already.
 */
function settingsFor(
  { nodes }: InitResult,
  value: unknown,
  stateDir: string | undefined,
): readonly Setting[] {
  const [{ id }] = nodes;
  const own = declaredId(value) ?? id;
  const node = {
    ...(nodes.length === 1 && own === id ? { id } : {}), // Its type stands in its certificate.
    ...(stateDir === undefined ? {} : { stateDir }),
  };
  const settings = Object.entries(node).map(([key, it]) => ({ path: ["node", key], value: it }));
  // Without anything to say, the key itself still has to be there.
  return settings.length === 0 && value === undefined ? [{ path: ["node"], value: {} }] : settings;
}

/** How many nodes a state folder holds. */
async function countNodes(stateDir: string): Promise<number> {
  let count = 0;
  for await (const { isDirectory } of Deno.readDir(clusterPaths(stateDir).nodes)) {
    if (isDirectory) count++;
  }
  return count;
}

/** A path as people read it from where they are. */
function shown(path: string, cwd: string): string {
  const near = relative(cwd, path);
  return near === "" ? "." : near.startsWith("..") ? path : near;
}

async function run({ io, out, runtime, options }: CommandContext<typeof specs>): Promise<number> {
  const nodes = wantedNodes(options);
  const file = await editableConfig(io, options.config);
  const folder = dirname(file.path);
  const declared = declaredStateDir(file.value);
  const given = options["state-dir"];
  const stateDir = given === undefined
    ? resolve(folder, declared ?? defaultStateDir)
    : resolve(io.cwd, given);

  const result = await initCluster({
    stateDir,
    nodes,
    host: runtime.host,
    renew: options.force,
    ...(options.cluster === undefined ? {} : { cluster: options.cluster }),
  });
  await ignoreFolder(stateDir);
  const moved = stateDir !== resolve(folder, declared ?? defaultStateDir);
  const settings = settingsFor(result, file.value, moved ? relative(folder, stateDir) : undefined);
  const before = file.text ?? "";
  const after = withSettings(before, settings);
  if (after !== before) await writeConfig(file.path, after);

  if (out.json) {
    out.value({ ...result, config: file.path });
    return exitCodes.ok;
  }
  const verb = result.created ? "Created" : "Extended";
  out.line(
    `${verb} the cluster ${out.style("bold", result.cluster)} in ${shown(stateDir, io.cwd)}`,
  );
  out.line();
  out.table(
    ["NODE", "TYPE", "CERTIFICATE UNTIL", ""],
    result.nodes.map((it) => [
      it.id,
      it.type,
      new Date(it.expiresAt).toISOString().slice(0, 10),
      it.created ? "new" : "renewed",
    ]),
  );
  out.line();
  out.line(`${after === before ? "" : `Declared in ${shown(file.path, io.cwd)}. `}Next:`);
  const config = options.config === undefined ? "" : ` --config ${shown(file.path, io.cwd)}`;
  const usual = declaredId(file.value) ?? (nodes.length === 1 ? nodes[0].id : undefined);
  const made = result.nodes.filter(({ created }) => created);
  const earlier = await countNodes(stateDir) - made.length;
  const over = new Map(startOptions(made, earlier, file.value).map((it, at) => [made[at].id, it]));
  for (const { id } of result.nodes.slice(0, 10)) {
    const options = [...(id === usual ? [] : ["--id", id]), ...over.get(id) ?? []];
    out.line(["  mycnet node" + config, ...options].join(" "));
  }
  if (result.nodes.some(({ type }) => type !== "hyphae")) {
    const key = shown(result.gossipKeyringPath, io.cwd);
    out.line(out.style("dim", `Gossip is 946 ports above the links, under the key in ${key}.`));
  }
  if (earlier + made.length > 1) {
    out.line(
      out.style("dim", "On a machine of its own, a node needs no --bind and no --admin."),
    );
  }
  return exitCodes.ok;
}

/** `mycnet init`. */
export const init: Command = defineCommand({
  name: "init",
  summary: "Create a cluster on this machine, or add nodes to it.",
  usage: [
    "init [options]",
    "init --id web-1 --type rhizomorph",
    "init --nodes a:sclerotia,b:rhizomorph",
  ],
  details:
    "Makes the cluster's certificate authority and the key of its gossip, each node's key and\n" +
    "certificate, and the token of its admin endpoint, readable by you alone, and declares the\n" +
    "node under the mycnet key of deno.json, whose comments stay. Nothing that exists is\n" +
    "overwritten. Nodes gossip 946 ports above their links: at 7946, for links at 7000.",
  options: specs,
  run,
});

/**
 * Asking a running node.
 *
 * The endpoint is named (`--admin`, MYCNET_ADMIN), or found: every running
 * node notes in its state folder where its endpoint listens. A crash leaves a
 * note behind, so where several notes lie, only the nodes that answer count.
 */
import { adminNotePath, adminTokenPath, readNote } from "../admin/files.ts";
import { type ErrorCode, errorCodes, MycnetError } from "../kernel/errors.ts";
import type { Host } from "../kernel/host.ts";
import type { CommandContext, OptionSpecs } from "./command.ts";
import { stateFolder } from "./state_folder.ts";

/** Options of every command that asks a node. */
export const adminOptions = {
  admin: { type: "string", value: "URL", description: "The admin endpoint to ask." },
  token: { type: "string", value: "T", description: "Its token. Better in MYCNET_TOKEN." },
  node: {
    type: "string",
    short: "n",
    value: "ID",
    description: "Which node on this machine to ask.",
  },
  config: { type: "string", short: "c", value: "FILE", description: "The configuration file." },
  "state-dir": {
    type: "string",
    value: "DIR",
    description: "The state folder. Default: by the configuration.",
  },
} as const satisfies OptionSpecs;

/** An endpoint and what lets one in. */
export interface AdminTarget {
  /** `http://host:port`. */
  readonly address: string;
  readonly token: string | undefined;
}

/** How long an answer may take unless the caller says otherwise, in ms. */
const answerMs = 30_000;
/** How long a node may take to show that it runs, in ms. */
const probeMs = 1000;

type Context = CommandContext<typeof adminOptions>;

/** A node that has left a note. */
interface NotedNode extends AdminTarget {
  readonly id: string;
}

async function readToken(stateDir: string, id: string): Promise<string | undefined> {
  try {
    return (await Deno.readTextFile(adminTokenPath(stateDir, id))).trim();
  } catch {
    return undefined; // The refusal that follows says what to do.
  }
}

/** Every node with a note in the state folder, by id. */
async function notedNodes(stateDir: string): Promise<readonly NotedNode[]> {
  const found: NotedNode[] = [];
  try {
    for await (const { name } of Deno.readDir(`${stateDir}/nodes`)) {
      const note = await readNote(adminNotePath(stateDir, name));
      if (note === undefined) continue;
      found.push({ id: name, address: note.address, token: await readToken(stateDir, name) });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found.sort((a, b) => a.id < b.id ? -1 : 1);
}

/** Fetches with a limit in time until the answer's head; the limit is an error of ours. */
async function fetchWithin(
  host: Host,
  limitMs: number,
  signal: AbortSignal,
  url: string,
  init: RequestInit,
): Promise<Response> {
  signal.throwIfAborted();
  const own = new AbortController();
  // It goes on to cancel the body. A listener would have to go once that is read, and many requests
  // may be made of one signal.
  const ended = AbortSignal.any([signal, own.signal]);
  const timer = host.after(limitMs, () => {
    own.abort(new MycnetError("timeout", `${url} did not answer within ${limitMs} ms`));
  });
  try {
    return await fetch(url, { ...init, signal: ended, redirect: "error" });
  } catch (error) {
    if (ended.aborted) throw ended.reason;
    const reason = (error as Error).cause ?? error;
    throw new MycnetError(
      "node_unreachable",
      `no node answers at ${new URL(url).origin}: ${(reason as Error).message}`,
      { cause: error },
    );
  } finally {
    timer[Symbol.dispose]();
  }
}

/** True if something answers there. */
async function answers({ runtime, signal }: Context, { address }: AdminTarget): Promise<boolean> {
  try {
    const response = await fetchWithin(runtime.host, probeMs, signal, `${address}/livez`, {});
    await response.body?.cancel();
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

function badUrl(text: string): MycnetError {
  return new MycnetError("usage", `--admin ${JSON.stringify(text)}: write http://host:port`);
}

/** The origin of a URL as the user wrote it. */
function originOf(text: string): string {
  if (!/^https?:\/\//.test(text)) throw badUrl(text);
  try {
    return new URL(text).origin;
  } catch {
    throw badUrl(text);
  }
}

/** One of the nodes with notes. */
async function choose(
  context: Context,
  nodes: readonly NotedNode[],
  stateDir: string,
): Promise<NotedNode> {
  const { node } = context.options;
  if (node !== undefined) {
    const found = nodes.find((it) => it.id === node);
    if (found !== undefined) return found;
    const others = nodes.map((it) => it.id).join(", ");
    throw new MycnetError(
      "node_unreachable",
      `the node ${JSON.stringify(node)} does not run here` +
        (others === "" ? "" : `; these left a note: ${others}`),
    );
  }
  if (nodes.length === 0) {
    throw new MycnetError("node_unreachable", `no node of ${stateDir} is running`);
  }
  if (nodes.length === 1) return nodes[0];
  const running = await Promise.all(nodes.map((it) => answers(context, it)));
  const alive = nodes.filter((_, at) => running[at]);
  if (alive.length === 1) return alive[0];
  const ids = (alive.length === 0 ? nodes : alive).map((it) => it.id).join(", ");
  throw alive.length === 0
    ? new MycnetError("node_unreachable", `none of ${ids} answers`)
    : new MycnetError("node_ambiguous", `${alive.length} nodes are running here: ${ids}`);
}

/**
 * Finds the endpoint to ask.
 * @throws `node_unreachable`, `node_ambiguous` or `usage`.
 */
export async function findAdmin(context: Context): Promise<AdminTarget> {
  const { io, options } = context;
  const given = options.admin ?? io.env("MYCNET_ADMIN");
  const token = options.token ?? io.env("MYCNET_TOKEN");
  // Both given: nothing to look up, and no configuration to stumble over.
  if (given && token) return { address: originOf(given), token };
  const stateDir = await stateFolder(io, options);
  const nodes = await notedNodes(stateDir);
  if (given) {
    const address = originOf(given);
    return { address, token: nodes.find((it) => it.address === address)?.token };
  }
  const { address, token: own } = await choose(context, nodes, stateDir);
  return { address, token: token || own };
}

/** What a node said no with. */
function refusal(status: number, text: string, url: string): MycnetError {
  let document: { code?: unknown; detail?: unknown; remedy?: unknown } = {};
  try {
    document = JSON.parse(text) ?? {};
  } catch {
    // Not ours: the status has to do.
  }
  const { code, detail, remedy } = document;
  const known = typeof code === "string" && Object.hasOwn(errorCodes, code);
  const message = typeof detail === "string" ? detail : `${url} answered with status ${status}`;
  const error = new MycnetError(known ? code as ErrorCode : "internal", message);
  if (error.code === "unauthenticated") {
    return Object.assign(error, {
      remedy: "Give the token of the node: --token, MYCNET_TOKEN, or its file admin.token.",
    });
  }
  return typeof remedy === "string" ? Object.assign(error, { remedy }) : error;
}

/** Options of one request. */
export interface AskOptions {
  readonly method?: "GET" | "POST" | "PUT";
  readonly body?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long until the answer's head, in ms. Default 30 s. */
  readonly limitMs?: number;
}

/** A client of one node's endpoint. Every method throws the node's problems as errors with their code and remedy. */
export class AdminClient {
  /** `http://host:port`. */
  readonly address: string;
  readonly #target: AdminTarget;
  readonly #host: Host;
  readonly #signal: AbortSignal;

  /** Asks `target` until `signal` aborts. */
  constructor(target: AdminTarget, host: Host, signal: AbortSignal) {
    this.address = target.address;
    this.#target = target;
    this.#host = host;
    this.#signal = signal;
  }

  /** Finds the node that a command is about. */
  static async open(context: Context): Promise<AdminClient> {
    return new AdminClient(await findAdmin(context), context.runtime.host, context.signal);
  }

  /** An answer that is no problem, its body unread. */
  async ask(path: string, options: AskOptions = {}): Promise<Response> {
    const { method = "GET", body, headers, limitMs = answerMs } = options;
    const { token } = this.#target;
    const url = `${this.address}${path}`;
    const response = await fetchWithin(this.#host, limitMs, this.#signal, url, {
      method,
      headers: {
        accept: "application/json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    });
    if (response.ok) return response;
    throw refusal(response.status, await response.text(), url);
  }

  /** A JSON answer. The shape is the endpoint's promise. */
  async get<T>(path: string): Promise<T> {
    return await (await this.ask(path)).json() as T;
  }

  /** A JSON answer to a JSON body. */
  async post<T>(path: string, body: unknown): Promise<T> {
    const response = await this.ask(path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
    return await response.json() as T;
  }
}

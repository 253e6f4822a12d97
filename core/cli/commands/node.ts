/**
 * `mycnet node`: a node in this process, until it is told to stop.
 *
 * The first signal drains: the node says goodbye and finishes what is under
 * way. The second does not wait. With `--exit-with-stdin` the end of standard
 * input counts as a signal, so that a supervisor's death cannot orphan it. A
 * hang-up stops a node that runs in a terminal and is ignored by one that does
 * not (nohup). What was started is stopped on every way out.
 */
import type { LogLevel } from "../../kernel/host.ts";
import { MycnetError } from "../../kernel/errors.ts";
import { didYouMean } from "../../kernel/nearest.ts";
import { parseHostPort } from "../../node/net/address.ts";
import { parseAddress } from "../../node/peers/address.ts";
import { type Command, type CommandContext, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import type { CliIo } from "../io.ts";
import { type LogFormat, logFormats, logLevels, openLog } from "../logging.ts";
import type { Output } from "../output.ts";
import type { RunningNode, StartOptions } from "../runtime.ts";
import { configOf } from "../state_folder.ts";

const options = {
  config: {
    type: "string",
    short: "c",
    value: "FILE",
    description: "The configuration file. Default: the nearest deno.json with a mycnet key.",
  },
  id: { type: "string", value: "ID", description: "Which node to be, where several were issued." },
  bind: {
    type: "string",
    value: "HOST:PORT",
    description: "Where to listen, instead of node.bindAddress; gossip 946 ports above.",
  },
  admin: {
    type: "string",
    value: "HOST:PORT",
    description: "Where the admin endpoint listens, instead of admin.bindAddress.",
  },
  seed: {
    type: "string",
    multiple: true,
    value: "ADDRESS",
    description: "Where to find the network, beside static.seeds. May be repeated.",
  },
  "log-level": {
    type: "string",
    value: "LEVEL",
    description: "debug, info (default), warn or error.",
  },
  "log-format": { type: "string", value: "FORMAT", description: "text (default) or json." },
  "exit-with-stdin": { type: "boolean", description: "Stop when standard input ends." },
} as const;

function oneOf<T extends string>(
  text: string | undefined,
  all: readonly T[],
  name: string,
): T | undefined {
  if (text === undefined || (all as readonly string[]).includes(text)) return text as T | undefined;
  throw new MycnetError(
    "usage",
    `--${name} ${JSON.stringify(text)}: must be ${all.join(", ")}${didYouMean(text, all)}`,
  );
}

/** An address as it was written. @throws `usage`. */
function checked(option: string, text: string, parse: (text: string) => unknown): string {
  try {
    parse(text);
    return text;
  } catch (error) {
    throw new MycnetError("usage", `${option}: ${(error as Error).message}`);
  }
}

/** What the options say of the node, over what its file says. */
function overOf(
  { id, bind, admin, seed }: CommandContext<typeof options>["options"],
): Pick<StartOptions, "node" | "adminAddress" | "seeds"> {
  if (bind !== undefined) checked("--bind", bind, parseHostPort);
  return {
    ...(id === undefined && bind === undefined ? {} : {
      node: {
        ...(id === undefined ? {} : { id }),
        ...(bind === undefined ? {} : { bindAddress: bind }),
      },
    }),
    ...(admin === undefined ? {} : { adminAddress: checked("--admin", admin, parseHostPort) }),
    ...(seed.length === 0 ? {} : { seeds: seed.map((it) => checked("--seed", it, parseAddress)) }),
  };
}

/** What asks the node to stop: each request in turn. */
class StopRequests implements Disposable {
  readonly #waiting: ((reason: string) => void)[] = [];
  readonly #came: string[] = [];
  readonly #undo = new DisposableStack();

  constructor(io: CliIo, withStdin: boolean) {
    const inTerminal = io.stdout.isTerminal || io.stderr.isTerminal;
    this.#undo.use(io.onSignal((signal) => {
      if (signal !== "SIGHUP" || inTerminal) this.#request(signal);
    }));
    if (withStdin) this.#watch(io.stdin);
  }

  /** Resolves with the next request's reason. */
  next(): Promise<string> {
    const came = this.#came.shift();
    if (came !== undefined) return Promise.resolve(came);
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiting.push(resolve);
    return promise;
  }

  [Symbol.dispose](): void {
    this.#undo.dispose();
  }

  #request(reason: string): void {
    const resolve = this.#waiting.shift();
    if (resolve !== undefined) resolve(reason);
    else if (this.#came.length < 2) this.#came.push(reason); // A third says nothing new.
  }

  #watch(stdin: ReadableStream<Uint8Array>): void {
    const reader = stdin.getReader();
    this.#undo.defer(() => reader.cancel().catch(() => {}));
    const read = async () => {
      while (!(await reader.read()).done);
    };
    const ended = () => this.#request("the end of standard input");
    read().then(ended, ended);
  }
}

/** The boot report, addresses and the admin endpoint. */
function announce(node: RunningNode, out: Output): void {
  const plugins = node.plugins();
  if (out.json) {
    const { id, addresses, adminAddress: admin, gossipAddress: gossip } = node;
    out.value({ event: "started", id, addresses, admin, gossip, plugins });
    return;
  }
  out.table(
    ["PLUGIN", "IS", "PROVIDES", "TOOK"],
    plugins.map((it) => [it.id, it.plugin, it.provides, `${it.startMs.toFixed(1)} ms`]),
  );
  out.line();
  out.line(`${out.style("green", "running")}  ${out.style("bold", node.id)}`);
  out.line(`listens  ${node.addresses.join(", ") || "nowhere; it only dials"}`);
  out.line(`gossips  ${node.gossipAddress ?? "nowhere"}`);
  out.line(`admin    ${node.adminAddress ?? "none"}`);
  out.line(out.style("dim", "Ctrl-C stops it; twice, at once."));
}

async function run(context: CommandContext<typeof options>): Promise<number> {
  const { io, out, runtime } = context;
  const level = oneOf<LogLevel>(context.options["log-level"], logLevels, "log-level") ?? "info";
  const format = oneOf<LogFormat>(context.options["log-format"], logFormats, "log-format") ??
    "text";
  const over = overOf(context.options);
  // Handlers stand before anything is started, so that no signal finds us unprepared.
  using requests = new StopRequests(io, context.options["exit-with-stdin"]);
  const file = await configOf(io, context.options.config);
  await using log = await openLog(io.stderr, () => runtime.host.wallTime(), level, format);

  const first = requests.next();
  const starting = runtime.startNode({
    config: file?.path,
    cwd: io.cwd,
    log: log.sink,
    ...over,
  });
  starting.catch(() => {}); // Given up on, it has nobody to report to.
  // A signal during boot waits for boot to end, and a second one does not.
  const impatient = first.then(() => requests.next()).then(() => undefined);
  const node = await Promise.race([starting, impatient]);
  if (node === undefined) return exitCodes.interrupted;
  announce(node, out);
  const { id: nodeId } = node; // A node that has stopped no longer knows who it was.

  const reason = await Promise.race([first, node.closed.then(() => undefined)]);
  if (reason !== undefined && !out.json) out.note(`Stopping (${reason}).`);
  const stopped = node.stop(reason ?? "left the network").then(() => true);
  stopped.catch(() => {}); // As above.
  const drained = await Promise.race([stopped, impatient]);
  if (drained === undefined) return exitCodes.interrupted;
  if (out.json) out.value({ event: "stopped", id: nodeId, reason: reason ?? "left" });
  return exitCodes.ok;
}

/** `mycnet node`. */
export const node: Command = defineCommand({
  name: "node",
  summary: "Run a node until it is told to stop.",
  usage: [
    "node [options]",
    "node --id b --bind 0.0.0.0:7001 --admin 127.0.0.1:7081 --seed 127.0.0.1:7000",
  ],
  details: "SIGINT or SIGTERM stops it: the node says goodbye and finishes what is under way. A\n" +
    "second signal ends it at once. Changes of the configuration file are taken over while it\n" +
    "runs; a file with a mistake changes nothing and is reported.",
  options,
  handlesSignals: true,
  run,
});

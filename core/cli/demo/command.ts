/**
 * `mycnet demo`: the demo for people, and (with `--role`) one of its children.
 *
 * Handlers for Ctrl-C, SIGTERM and a closed terminal stand before the first
 * file or child exists. A child ignores them: Ctrl-C reaches every process of
 * a terminal, and a client that died of it could not answer for its calls. A
 * child ends when its standard input does.
 */
import { type Command, type CommandContext, defineCommand, exitCodes } from "../command.ts";
import { MycnetError } from "../../kernel/errors.ts";
import { errorFields } from "../../kernel/logger.ts";
import type { Node } from "../../node/node.ts";
import type { NodeOptions } from "../../node/create_node.ts";
import { runDemo } from "./demo.ts";
import type { Report } from "./reports.ts";
import { conclusion, progressLine, screen, type ViewState } from "./view.ts";
import { callQuotes, serveQuotes } from "./worker.ts";

/** What mod.ts hands in. */
export interface DemoRuntime {
  /** Starts a node. */
  createNode(options: NodeOptions): Promise<Node>;
  /** The command line that runs `mycnet demo` again, allowed no more than a child needs. */
  program(): readonly string[];
}

const options = {
  keep: {
    type: "boolean",
    description: "Leave the cluster running until Ctrl-C, with its admin address shown.",
  },
  config: { type: "string", value: "FILE", description: "With --role: the child's configuration." },
  role: {
    type: "string",
    value: "ROLE",
    description: "Be one of the demo's own processes: server or client.",
  },
} as const;

type Context = CommandContext<typeof options>;

/** A terminal that is redrawn in place; elsewhere a line of progress every second. */
class Stage implements Disposable {
  readonly #context: Context;
  readonly #live: boolean;
  #shownAt = -Infinity;
  #status = "";

  constructor(context: Context) {
    this.#context = context;
    this.#live = context.io.stdout.isTerminal && !context.out.json;
    if (this.#live) context.io.stdout.write("\x1b[?1049h\x1b[?25l"); // Another screen, no cursor.
  }

  show(state: ViewState): void {
    const { io, out, runtime } = this.#context;
    if (this.#live) {
      const lines = screen(state, (style, text) => out.style(style, text));
      io.stdout.write(`\x1b[H${lines.map((it) => `${it}\x1b[K\n`).join("")}\x1b[J`);
      return;
    }
    const now = runtime.host.now();
    const changed = state.status !== this.#status;
    if (out.json || (!changed && now - this.#shownAt < 1000)) return;
    this.#shownAt = now;
    this.#status = state.status;
    if (changed) out.line(state.status);
    else if (state.load !== undefined) out.line(`  ${progressLine(state.load)}`);
  }

  [Symbol.dispose](): void {
    if (this.#live) this.#context.io.stdout.write("\x1b[?25h\x1b[?1049l");
  }
}

async function runParent(context: Context, demo: DemoRuntime): Promise<number> {
  const { io, out, runtime } = context;
  const interrupt = new AbortController();
  let last = "";
  let kept = false;
  using _signals = io.onSignal((signal) => {
    last = signal;
    interrupt.abort(new MycnetError("cancelled", `stopped by ${signal}`));
  });
  const keep = async (admin: string | undefined, folder: string): Promise<void> => {
    kept = true;
    if (out.json) out.value({ event: "kept", admin, folder });
    await new Promise<void>((resolve) =>
      interrupt.signal.addEventListener("abort", () => resolve())
    );
  };
  const stage = new Stage(context);
  let verdict;
  try {
    verdict = await runDemo({
      host: runtime.host,
      program: demo.program(),
      signal: interrupt.signal,
      show: (state) => stage.show(state),
      ...(context.options.keep ? { keep } : {}),
    });
  } finally {
    stage[Symbol.dispose]();
  }
  const interrupted = last !== "" && !kept;
  if (out.json) out.value({ event: "verdict", ...verdict });
  else if (interrupted) out.note(`Stopped by ${last}; nothing was left behind.`);
  else conclusion(verdict, (style, text) => out.style(style, text)).forEach((it) => out.line(it));
  if (interrupted) return exitCodes.interrupted;
  return verdict.ok ? exitCodes.ok : exitCodes.failed;
}

async function runChild(context: Context, demo: DemoRuntime): Promise<number> {
  const { io, runtime } = context;
  const { role, config } = context.options;
  if (role !== "server" && role !== "client") {
    throw new MycnetError("usage", `--role ${JSON.stringify(role)}: must be server or client`);
  }
  if (config === undefined) throw new MycnetError("usage", "--config: a child needs one");
  using _signals = io.onSignal(() => {});
  const over = new AbortController();
  const reader = io.stdin.getReader();
  const watching = (async () => {
    try {
      while (!(await reader.read()).done);
    } catch {
      // Broken is as good as ended.
    }
    over.abort();
  })();
  const tell = (report: Report) => io.stdout.write(JSON.stringify(report) + "\n");
  try {
    const node = await demo.createNode({
      config,
      watch: false,
      host: runtime.host,
    });
    // A parent that went away during boot is found out here.
    if (role === "server") await serveQuotes(node, tell, over.signal);
    else await callQuotes(node, runtime.host, tell, over.signal);
    await watching;
    return exitCodes.ok;
  } catch (error) {
    tell({ kind: "fatal", message: String(errorFields(error).error ?? error) });
    await reader.cancel().catch(() => {});
    throw error;
  }
}

/** The command. */
export function demoCommand(demo: DemoRuntime): Command {
  return defineCommand({
    name: "demo",
    summary: "Run a cluster of five processes, kill one, and watch it survive.",
    usage: ["demo [--keep] [--json]"],
    details:
      "Starts two sclerotia and two rhizomorphs that serve, and one hyphae that calls them over\n" +
      "mutual TLS without a pause; kills one server with kill -9 and starts it again. Exits 0 only\n" +
      "if every call was answered and the killed node is back. Nothing is left behind.",
    options,
    handlesSignals: true,
    run: (context) =>
      context.options.role === undefined ? runParent(context, demo) : runChild(context, demo),
  });
}

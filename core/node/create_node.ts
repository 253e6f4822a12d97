/**
 * Makes a node out of a declaration.
 *
 *   find the file -> lay the program's configuration over it -> check the shape
 *   -> resolve plugins -> kernel.apply -> watch the file
 *
 * Core's own parts (settings, control, identity, peers, messenger, services,
 * the program's registrations) are plugins like the rest, always declared. A
 * changed file goes the same way: what is wrong with it is reported and the
 * node runs on as it was.
 */
import {
  type BootReport,
  createHost,
  type Entry,
  errorFields,
  type Host,
  Kernel,
  type LogSink,
  MycnetError,
} from "../kernel/mod.ts";
import {
  type BuiltIns,
  type Declaration,
  mergeDeclarations,
  resolveDeclaration,
} from "../kernel/declaration.ts";
import { importModule } from "../kernel/import_module.ts";
import { unknownKey } from "../kernel/issues.ts";
import { dirname } from "node:path";
import {
  alwaysPresent,
  checkShape,
  coreBuiltIns,
  defaultsFor,
  mergeConfig,
  type MycnetConfig,
} from "./config/declaration.ts";
import { type ConfigFile, findConfig } from "./config/file.ts";
import { watchConfig } from "./config/watch.ts";
import { type ControlFacts, controlPlugin } from "./control.ts";
import { Joiner } from "./join.ts";
import { Node } from "./node.ts";
import { Program } from "./program.ts";
import { settingsPlugin } from "./settings.ts";
import { runtimeVersion } from "./version.ts";

/** How a node is made: its configuration, and where more of it comes from. */
export interface NodeOptions extends MycnetConfig {
  /** A path; undefined: look for it; false: read nothing. */
  readonly config?: string | false;
  /** Where the search for the file starts, and what relative paths are relative to without a file. Default: the working directory. */
  readonly cwd?: string;
  /** Where log lines go. Default: warnings and errors to the console. */
  readonly log?: LogSink;
  /** Another impure world. Default: the real one. The simulator passes its own. */
  readonly host?: Host;
  /** Take a changed file over while the node runs. Default true. */
  readonly watch?: boolean;
  /** Changes what the declaration resolved to, e.g. to put stand-ins for transports. Default: nothing is changed. */
  readonly adapt?: (entries: Entry[]) => Entry[];
  /** Told of each take-over of a changed file, and of each that failed. */
  readonly onReload?: (outcome: BootReport | Error) => void;
}

const optionKeys = [
  "node",
  "plugins",
  "profiles",
  "config",
  "cwd",
  "log",
  "host",
  "watch",
  "adapt",
  "onReload",
];

/**
 * What a declaration resolves to, for whoever wants to know without running it.
 * @param load loads plugins of the user's own.
 */
export async function resolveEntries(
  builtIns: BuiltIns,
  config: MycnetConfig,
  baseDir: string,
  load: (specifier: string) => Promise<unknown> = importModule,
): Promise<Entry[]> {
  const fixed: Declaration = Object.fromEntries(alwaysPresent.map((id) => [id, {}]));
  for (const id of alwaysPresent) {
    if (config.plugins?.[id] === false) {
      throw new MycnetError("config_invalid", `mycnet.plugins.${id}: cannot be switched off`);
    }
  }
  const declaration = mergeDeclarations(fixed, defaultsFor(config), config.plugins);
  const declared = await resolveDeclaration(declaration, {
    builtIns: { ...coreBuiltIns, ...builtIns },
    base: baseDir,
    load,
  });
  const { node = {}, profiles = {} } = config;
  return [
    {
      id: "settings",
      plugin: settingsPlugin,
      config: { node, profiles, baseDir },
      path: ["mycnet"],
    },
    ...declared,
  ];
}

/** Declarations that may wait for the one being applied. */
const mostWaiting = 16;

/** Work done one piece after the other. */
class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Runs `work` when all that came before is done. Rejects with `overloaded` beyond the bound. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= mostWaiting) {
      throw new MycnetError("overloaded", `${mostWaiting} declarations wait to be applied already`);
    }
    this.#waiting++;
    const turn = this.#last.then(() => {
      this.#waiting--;
      return work();
    });
    this.#last = turn.catch(() => {});
    return await turn;
  }
}

/** How long a plugin of the user's own may take to load, in ms. */
const loadTimeoutMs = 30_000;

/** Loads a module within a limit: one that awaits the node at its top level, say, would never end. */
async function loadWithin(host: Host, specifier: string): Promise<unknown> {
  const late = Promise.withResolvers<never>();
  using _timer = host.after(loadTimeoutMs, () => {
    late.reject(
      new MycnetError(
        "plugin_setup_timeout",
        `it was not evaluated within ${loadTimeoutMs} ms; look at what it awaits at its top level`,
      ),
    );
  });
  return await Promise.race([importModule(specifier), late.promise]);
}

/** Makes nodes from one table of built-in plugins; mod.ts hands it in. */
export async function createNodeWith(builtIns: BuiltIns, options: NodeOptions = {}): Promise<Node> {
  const stray = Object.keys(options).find((key) => !optionKeys.includes(key));
  if (stray !== undefined) {
    throw new MycnetError("config_invalid", `createNode: ${unknownKey(stray, optionKeys)}`);
  }
  const { config: given, cwd = Deno.cwd(), host = createHost({ log: options.log }), watch = true } =
    options;
  const { node, plugins, profiles } = options;
  const over = checkShape(
    Object.fromEntries(
      Object.entries({ node, plugins, profiles }).filter(([, it]) => it !== undefined),
    ),
    "createNode",
  );
  const file = given === false ? undefined : await findConfig(given, cwd);
  const read = (from: ConfigFile | undefined): MycnetConfig =>
    from === undefined ? over : mergeConfig(checkShape(from.value, `${from.path}: mycnet`), over);
  const baseDir = file === undefined ? cwd : dirname(file.path);

  const kernel = new Kernel(host);
  const program = new Program();
  const joiner = new Joiner(program);
  const owned = new AsyncDisposableStack();
  const facts: ControlFacts = {
    runtimeVersion,
    startedAt: host.wallTime(),
    isReady: () => running.ready,
    isLeaving: () => running.leaving,
    plugins: () => kernel.running(),
    join: (seeds) => joiner.join(seeds),
    leave: (reason) => running.cluster.leave(reason),
  };
  const control = controlPlugin(facts);
  const { adapt = (entries) => entries } = options;
  // One after the other from the loading of modules on, so that the last declaration wins.
  const turns = new Turns();
  const apply = (config: () => MycnetConfig): Promise<BootReport> =>
    turns.take(async () =>
      await kernel.apply(adapt([
        ...await resolveEntries(builtIns, config(), baseDir, (it) => loadWithin(host, it)),
        { id: "node", plugin: control },
        { id: "program", plugin: program.plugin },
      ]))
    );
  const running = new Node({
    kernel,
    host,
    program,
    joiner,
    owned,
    reconfigure: (config) => apply(() => mergeConfig(checkShape(config, "mycnet"), over)),
  });

  try {
    await apply(() => read(file));
  } catch (error) {
    await running.stop("boot failed").catch((failure) => {
      host.log.error("Cleaning up after a failed boot failed too", errorFields(failure));
    });
    throw error;
  }
  if (file !== undefined && watch) {
    const tell = (outcome: BootReport | Error) => {
      try {
        options.onReload?.(outcome);
      } catch (error) {
        host.log.error("onReload threw", errorFields(error));
      }
    };
    const failed = (error: Error) => {
      if (!running.ready) return; // It is stopping, and no declaration will be taken over any more.
      // Somebody's slip of the pen: what helps is said in place of a stack.
      const { code, remedy } = error as Partial<MycnetError>;
      host.log.error("The changed configuration was not taken over; the node runs on as it was", {
        file: file.path,
        error: error.message,
        ...(code === undefined ? {} : { code, remedy }),
      });
      tell(error);
    };
    const changed = (next: ConfigFile) =>
      apply(() => read(next)).then((report) => {
        const { started, stopped, reconfigured } = report;
        host.log.info("The changed configuration was taken over", {
          file: file.path,
          started: started.map(({ id }) => id),
          stopped: stopped.map(({ id }) => id),
          reconfigured,
        });
        tell(report);
      }, failed);
    owned.use(watchConfig(host, file, changed, failed));
  }
  running.start();
  return running;
}

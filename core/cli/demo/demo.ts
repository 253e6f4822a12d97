/**
 * The demo: a real cluster of five processes on this machine, under load, that
 * loses a server to kill -9 and gets it back.
 *
 *   1. clear what dead demos left, make a folder, create a cluster with keys
 *   2. start two sclerotia, two rhizomorphs (servers) and one hyphae (client)
 *   3. let the client call for a while; then kill -9 one server
 *   4. wait until the client has noticed, has been rerouted, and the servers'
 *      gossip has declared the victim dead; start it again; wait until it answers
 *      again; let the client finish; judge
 *
 * Whatever ends it (the end, a signal, a failure), `finally` ends every child
 * and removes the folder; the caller's signal handlers stand before this runs.
 */
import { join } from "node:path";
import type { Host } from "../../kernel/host.ts";
import { initCluster } from "../../node/identity/authority.ts";
import type { NodeType } from "@mycnet/protocols/identity";
import { Child } from "./children.ts";
import { clearDead, makeFolder, temporaryRoot } from "./folder.ts";
import { freePorts } from "./ports.ts";
import type { Report } from "./reports.ts";
import { Story, type Verdict } from "./story.ts";
import type { ViewState } from "./view.ts";

/** The cast: who is in the cluster. The victim is one of the servers. */
const cast: readonly { readonly id: string; readonly type: NodeType }[] = [
  { id: "oak", type: "sclerotia" },
  { id: "elm", type: "sclerotia" },
  { id: "fern", type: "rhizomorph" },
  { id: "moss", type: "rhizomorph" },
  { id: "client", type: "hyphae" },
];
const victim = "elm";
/** How long a child may take to end when asked to, in ms, before it is killed. */
const endMs = 5000;

/** How the demo is run. */
export interface DemoOptions {
  readonly host: Host;
  /** The command line of a child, to which `--config <path>` and its role are added. */
  readonly program: readonly string[];
  /** Ends the demo early. */
  readonly signal: AbortSignal;
  /** Called at most ten times a second with what there is to show. Must not throw. */
  readonly show: (state: ViewState) => void;
  /** Calm load before the kill, and after the return, in ms. Default 3000. */
  readonly calmMs?: number;
  /** How long each step may take at the most, in ms. Default 20,000. */
  readonly stepMs?: number;
  /** Called when all is over but the nodes still run; they run on until it resolves. */
  readonly keep?: (admin: string | undefined, folder: string) => Promise<void>;
}

/** Runs it. Rejects only if the demo could not be set up. */
export async function runDemo(options: DemoOptions): Promise<Verdict> {
  const root = temporaryRoot();
  await clearDead(root);
  options.signal.throwIfAborted();
  const folder = makeFolder(root);
  const demo = new Demo(options, folder);
  try {
    return await demo.play();
  } finally {
    await demo.end();
    await Deno.remove(folder, { recursive: true });
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #host: Host;
  readonly #folder: string;
  readonly #story = new Story("client");
  readonly #children = new Map<string, Child>();
  readonly #waiting = new Set<() => void>();
  readonly #admins = new Map<string, string>();
  readonly #ready = new Set<string>();
  /** Ends that nobody asked for, by node. */
  readonly #failures = new Map<string, string>();
  readonly #addresses = new Map<string, string>();
  /** Where servers gossip. */
  readonly #gossip = new Map<string, string>();
  #status = "creating the cluster";
  #ending = false;
  #kept = false;

  constructor(options: DemoOptions, folder: string) {
    this.#options = options;
    this.#host = options.host;
    this.#folder = folder;
  }

  async play(): Promise<Verdict> {
    const { calmMs = 3000, keep } = this.#options;
    using _drawing = this.#host.every(100, () => this.#draw());
    try {
      await this.#prepare();
      this.#say("starting five processes");
      const servers = cast.filter((it) => it.type !== "hyphae").map((it) => it.id);
      for (const id of servers) this.#start(id);
      await this.#until("the servers are up", () => servers.every((id) => this.#ready.has(id)));
      this.#start("client");
      await this.#until(
        "the client has called every server",
        () => servers.every((id) => (this.#story.load?.byNode[id] ?? 0) > 0),
      );
      this.#say(`all is well; ${victim} has a moment to live`);
      await this.#host.sleep(calmMs, this.#options.signal);

      this.#say(`kill -9 ${victim}`);
      this.#kill();
      await this.#until("the client has noticed", () => this.#story.has("noticed"));
      await this.#until("a call has been rerouted", () => this.#story.has("rerouted"));
      await this.#children.get(victim)!.ended;
      this.#say(`running on without ${victim}`);
      await this.#until("gossip has declared it dead", () => this.#story.has("dead"));
      await this.#host.sleep(calmMs / 3, this.#options.signal);

      this.#say(`starting ${victim} again`);
      this.#ready.delete(victim);
      this.#start(victim);
      this.#story.restarted(this.#host.wallTime());
      await this.#until(`${victim} answers again`, () => this.#story.has("back"));
      this.#say("all is well again");
      await this.#host.sleep(calmMs / 3, this.#options.signal);
      if (keep !== undefined) {
        const admin = this.#admins.get(cast[0].id);
        this.#say(`kept running at ${admin}; keys and tokens in ${this.#folder}; Ctrl-C ends it`);
        await keep(admin, this.#folder);
        this.#kept = true;
      }
      await this.#finish();
      return this.#story.verdict();
    } catch (error) {
      const reason = this.#options.signal.aborted ? "interrupted" : (error as Error).message;
      return this.#story.verdict(reason);
    }
  }

  /** Shows at once what happens now. */
  #say(status: string): void {
    this.#status = status;
    this.#draw();
  }

  /** Ends every child and waits until they are gone: the client first, while there is somebody to answer it. */
  async end(): Promise<void> {
    this.#ending = true;
    const children = [...this.#children].filter(([, it]) => it.running);
    for (const group of [["client"], cast.map(({ id }) => id)]) {
      await this.#endAll(children.filter(([id]) => group.includes(id)).map(([, it]) => it));
    }
  }

  async #endAll(children: readonly Child[]): Promise<void> {
    await Promise.all(children.map((it) => it.finish()));
    const gone = Promise.all(children.map((it) => it.ended));
    const patience = new AbortController();
    await Promise.race([gone, this.#host.sleep(endMs, patience.signal).catch(() => {})]);
    patience.abort();
    for (const child of children) if (child.running) child.kill();
    await gone;
  }

  /** The cluster's keys, and a configuration for each node. Ports are taken from the system. */
  async #prepare(): Promise<void> {
    const stateDir = join(this.#folder, "state");
    await initCluster({ stateDir, cluster: "demo", nodes: cast, host: this.#host });
    const listening = cast.filter((it) => it.type !== "hyphae");
    const ports = freePorts(listening.length * 2, () => this.#host.random());
    listening.forEach(({ id }, i) => {
      this.#addresses.set(id, `127.0.0.1:${ports[2 * i]}`);
      this.#gossip.set(id, `127.0.0.1:${ports[2 * i + 1]}`);
    });
    for (const { id, type } of cast) {
      const seeds = listening.filter((it) => it.id !== id)
        .map((it) => ({ id: it.id, address: this.#addresses.get(it.id)! }));
      const mycnet = {
        node: {
          id,
          type,
          cluster: "demo",
          stateDir,
          bindAddress: this.#addresses.get(id) ?? false,
        },
        plugins: {
          static: { seeds },
          admin: { bindAddress: "127.0.0.1:0" },
          ...this.#membership(id),
        },
      };
      Deno.writeTextFileSync(this.#configPath(id), JSON.stringify({ mycnet }, null, 2));
    }
  }

  /** Gossip for a server, quick enough to be watched; the client has no part in it. */
  #membership(id: string): Record<string, unknown> {
    const bindAddress = this.#gossip.get(id);
    if (bindAddress === undefined) return {};
    const swim = {
      bindAddress,
      join: [...this.#gossip.values()].filter((it) => it !== bindAddress),
      probeInterval: "500ms",
      probeTimeout: "200ms",
      leaveTimeout: "500ms", // At the end all leave at once, and nobody is there to be told.
    };
    return { swim };
  }

  #configPath(id: string): string {
    return join(this.#folder, `${id}.json`);
  }

  #start(id: string): void {
    const role = id === "client" ? "client" : "server";
    const args = ["--role", role, "--config", this.#configPath(id)];
    const child = Child.start([...this.#options.program, ...args], (it) => this.#heard(id, it));
    this.#children.set(id, child);
    child.ended.then(({ success, code, signal }) => {
      const expected = this.#ending || success || (id === victim && signal === "SIGKILL");
      if (!expected) {
        const how = signal === null ? `exit code ${code}` : signal;
        this.#failures.set(id, `${id} ended with ${how}: ${child.complaint || "it said nothing"}`);
      }
      this.#wake();
    });
  }

  #kill(): void {
    const at = this.#host.wallTime();
    this.#children.get(victim)!.kill();
    this.#story.killed(victim, at);
  }

  /** Lets the client answer for what it has under way. */
  async #finish(): Promise<void> {
    const client = this.#children.get("client")!;
    this.#say("the client is finishing");
    await client.finish();
    await this.#within("the client has finished", client.ended);
  }

  #heard(id: string, report: Report): void {
    if (report.kind === "ready") {
      this.#ready.add(id);
      if (report.admin !== undefined) this.#admins.set(id, report.admin);
    }
    if (report.kind === "fatal") this.#failures.set(id, `${id}: ${report.message}`);
    this.#story.report(id, report);
    this.#wake();
  }

  #wake(): void {
    for (const check of [...this.#waiting]) check();
  }

  /** Resolves when `condition` holds; rejects when a child failed, the time is up or the signal aborts. */
  async #until(what: string, condition: () => boolean): Promise<void> {
    const reached = Promise.withResolvers<void>();
    const check = () => {
      const [failure] = this.#failures.values();
      if (failure !== undefined) reached.reject(new Error(failure));
      else if (condition()) reached.resolve();
    };
    this.#waiting.add(check);
    check();
    try {
      await this.#within(what, reached.promise);
    } finally {
      this.#waiting.delete(check);
    }
  }

  async #within(what: string, promise: Promise<unknown>): Promise<void> {
    const { stepMs = 20_000 } = this.#options;
    // The signal that ended the keeping must not end the orderly end that follows it.
    const signal = this.#kept ? new AbortController().signal : this.#options.signal;
    const over = new AbortController();
    const limit = this.#host.sleep(stepMs, AbortSignal.any([signal, over.signal])).then(() => {
      throw new Error(`it took more than ${stepMs / 1000} s until ${what}`);
    });
    try {
      await Promise.race([promise, limit]);
    } finally {
      over.abort();
      limit.catch(() => {});
    }
  }

  #draw(): void {
    this.#options.show({
      title: "mycnet demo: five processes, mutual TLS, one kill -9",
      nodes: cast.map(({ id, type }) => {
        const child = this.#children.get(id);
        return { id, type, pid: child?.pid, up: child?.running === true && this.#ready.has(id) };
      }),
      load: this.#story.load,
      timeline: this.#story.has("kill") ? this.#story.timeline() : [],
      status: this.#status,
    });
  }
}

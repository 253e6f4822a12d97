/** Two nodes of this process with real sockets and keys, for tests of files: `ada` asks, `bob` has a folder. */
import { createNode, type Node } from "@mycnet/runtime";
import { codeOf } from "@mycnet/runtime";
import { cli, FakeIo, type Ran } from "../../core/cli/fakes_test.ts";
import { TestCluster } from "./cluster.ts";

/** What `bob` declares of its folder. */
export type FilesConfig = Readonly<Record<string, unknown>>;

/**
 * A wire that breaks: everything to `bob` goes through it, and it cuts all connections once a number
 * of bytes has passed in either direction.
 */
export class Wire implements AsyncDisposable {
  readonly address: string;
  /** How often it was cut. */
  cuts = 0;
  /** Told of each cut. */
  onCut: () => void = () => {};
  readonly #listener: Deno.TcpListener;
  readonly #target: number;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #pumps = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  #left = Infinity;
  #next: number[] = [];

  /** A wire to a port of this machine. */
  constructor(target: number) {
    this.#target = target;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.address = `127.0.0.1:${this.#listener.addr.port}`;
    this.#accepting = this.#accept();
  }

  /** Cuts after each of these numbers of bytes, one after the other. */
  cutAfter(...bytes: number[]): void {
    this.#next = bytes;
    this.#left = this.#next.shift() ?? Infinity;
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      try {
        const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
        for (const [from, to] of [[client, server], [server, client]]) {
          from.setNoDelay(); // A wire that waits for more would be a slow one.
          this.#open.add(from);
          const pump = this.#pump(from, to);
          this.#pumps.add(pump);
          pump.finally(() => this.#pumps.delete(pump));
        }
      } catch {
        client.close();
      }
    }
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      while (true) {
        const count = await from.read(buffer);
        if (count === null) break;
        this.#left -= count;
        if (this.#left <= 0) return this.#cut();
        for (let rest = buffer.subarray(0, count); rest.length > 0;) {
          rest = rest.subarray(await to.write(rest));
        }
      }
      await to.closeWrite();
    } catch {
      this.#close(to);
    } finally {
      this.#close(from);
    }
  }

  #cut(): void {
    this.cuts++;
    this.onCut();
    this.#left = this.#next.shift() ?? Infinity;
    for (const connection of [...this.#open]) this.#close(connection);
  }

  #close(connection: Deno.TcpConn): void {
    if (!this.#open.delete(connection)) return;
    connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of [...this.#open]) this.#close(connection);
    await this.#accepting.catch(() => {});
    await Promise.all(this.#pumps);
  }
}

/** The two nodes, a folder for each, and the command line beside `ada`. */
export class FileNodes implements AsyncDisposable {
  /** What `bob` serves. */
  readonly shared: string;
  /** Where the command line is used. */
  readonly desk: string;
  readonly wire: Wire;
  readonly ada: Node;
  readonly bob: Node;
  readonly #cluster: TestCluster;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    cluster: TestCluster,
    wire: Wire,
    ada: Node,
    bob: Node,
    stack: AsyncDisposableStack,
  ) {
    this.#cluster = cluster;
    this.#stack = stack;
    this.wire = wire;
    this.ada = ada;
    this.bob = bob;
    this.shared = `${cluster.folder}/shared`;
    this.desk = `${cluster.folder}/desk`;
  }

  /** Starts them over mutual TLS. */
  static async start(files: FilesConfig = { root: "shared", write: true }): Promise<FileNodes> {
    await using stack = new AsyncDisposableStack();
    const cluster = stack.use(
      await TestCluster.create([{ id: "ada", type: "sclerotia" }, {
        id: "bob",
        type: "rhizomorph",
      }]),
    );
    for (const folder of ["shared", "desk"]) await Deno.mkdir(`${cluster.folder}/${folder}`);
    const common = {
      cwd: cluster.folder,
      config: false,
      log: () => {},
    } as const;
    const plugins = { swim: false, "http-gateway": false } as const;
    const bob = stack.use(
      await createNode({
        ...common,
        node: { id: "bob", bindAddress: "127.0.0.1:0", stateDir: cluster.stateDir },
        plugins: { ...plugins, admin: false, files },
      }),
    );
    const port = Number(bob.addresses[0].split(":").at(-1));
    const wire = stack.use(new Wire(port));
    const ada = stack.use(
      await createNode({
        ...common,
        node: { id: "ada", bindAddress: false, stateDir: cluster.stateDir },
        plugins: {
          ...plugins,
          admin: { bindAddress: "127.0.0.1:0" },
          static: { seeds: [{ id: "bob", address: wire.address }] },
        },
      }),
    );
    await ada.cluster.join([wire.address]);
    return new FileNodes(cluster, wire, ada, bob, stack.move());
  }

  /** `mycnet cp`, asking `ada`. */
  async cp(args: readonly string[], io: FakeIo = new FakeIo()): Promise<Ran> {
    io.cwd = this.desk;
    const { stateDir } = this.#cluster;
    return await cli(
      ["cp", ...args, "--admin", this.ada.adminAddress!, "--state-dir", stateDir],
      io,
    );
  }

  /** The same with `--json`: what it printed. @throws with what it printed instead. */
  async copied(...args: string[]): Promise<Record<string, unknown>> {
    const { code, out, err } = await this.cp([...args, "--json"]);
    if (code !== 0) throw new Error(`cp ended with ${code}: ${err}${out}`);
    return JSON.parse(out);
  }

  /** The same, failing: its code. */
  async refused(...args: string[]): Promise<string | undefined> {
    const { code, out, err } = await this.cp([...args, "--json", "--retries", "0"]);
    if (code === 0) throw new Error(`it went well: ${out}`);
    return codeOf(JSON.parse(err).error);
  }

  /** Asks `ada`'s endpoint. */
  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const token = await Deno.readTextFile(`${this.#cluster.stateDir}/nodes/ada/admin.token`);
    return await fetch(`${this.ada.adminAddress}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token.trim()}`, ...init.headers },
    });
  }

  /** The names in a folder of `bob`'s. */
  names(folder = ""): string[] {
    return [...Deno.readDirSync(`${this.shared}/${folder}`)].map(({ name }) => name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

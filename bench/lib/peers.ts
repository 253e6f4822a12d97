/**
 * Peers: other runtimes with the same echo, each as its users run it.
 *
 * Those of npm are installed, at the versions of bench/peers/package-lock.json,
 * into a cache folder outside of the tree, once; Debian's are looked for on the
 * path. A peer's programs speak as ours do (program.ts) and, on Node, measure with
 * our own load.ts made into JavaScript. A peer that cannot run says why, and what
 * would help.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../tests/harness/ports.ts";
import { run } from "./loopback.ts";
import type { PeerName } from "./options.ts";
import { Program } from "./program.ts";

const sources = fileURLToPath(new URL("../peers/", import.meta.url));
const shared = ["load", "sample"] as const;
/** Debian keeps servers where not every path leads. */
const env = { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin` };

/** Both processes of a peer; disposing ends them and all that they started. */
export interface PeerPair extends AsyncDisposable {
  readonly caller: Program;
}

/** A peer cannot run here; the message says why and what helps. */
export class PeerMissing extends Error {}

/** Starts a peer. @throws {PeerMissing} where it is not installed and `install` is false, or cannot be. */
export async function startPeer(name: PeerName, install: boolean): Promise<PeerPair> {
  return name === "erlang" ? await startErlang() : await startNodePeer(name, install);
}

async function startNodePeer(name: PeerName, install: boolean): Promise<PeerPair> {
  await need(["node", "--version"], "install Node.js 20 or later");
  if (name === "nats") await need(["nats-server", "--version"], "apt-get install nats-server");
  const installed = await installPeers(install);
  await using stack = new AsyncDisposableStack();
  const folder = await temporary(stack, installed);
  for (const entry of Deno.readDirSync(sources)) {
    if (!/\.(mjs|proto)$/.test(entry.name)) continue;
    await Deno.copyFile(join(sources, entry.name), join(folder, entry.name));
  }
  for (const file of shared) {
    const from = fileURLToPath(new URL(`./${file}.ts`, import.meta.url));
    await run([Deno.execPath(), "transpile", "--no-check", "-o", join(folder, `${file}.js`), from]);
  }
  const ports = name === "nats"
    ? { broker: freePort() }
    : { server: freePort(), client: freePort() };
  const start = async (role: string) =>
    stack.use(
      await Program.command(
        ["node", join(folder, `${name}.mjs`), JSON.stringify({ role, ports })],
        { env: { ...env, NODE_ENV: "production" } },
      ),
    );
  await start("server");
  const caller = await start("client");
  const owned = stack.move();
  return { caller, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Two nodes that find each other by a port instead of by the daemon that would outlive them. */
async function startErlang(): Promise<PeerPair> {
  await need(["erlc", "-help"], "apt-get install erlang-base", true);
  await using stack = new AsyncDisposableStack();
  const folder = await temporary(stack, tmpdir());
  await run(["erlc", "-o", folder, join(sources, "echo_bench.erl")]);
  const port = String(freePort());
  const start = async (role: string, ...flags: string[]) =>
    stack.use(
      await Program.command([
        "erl",
        ...["-noshell", "-pa", folder, "-name", `${role}@127.0.0.1`, "-setcookie", folder],
        ...["-start_epmd", "false", "-erl_epmd_port", port],
        ...["-kernel", "inet_dist_use_interface", "{127,0,0,1}", ...flags],
        ...["-s", "echo_bench", role],
      ], { env: { HOME: folder } }),
    );
  await start("server");
  const caller = await start("client", "-dist_listen", "false");
  const owned = stack.move();
  return { caller, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Installs what the lock file says, unless it is there; the folder. */
async function installPeers(install: boolean): Promise<string> {
  const lock = await Deno.readFile(join(sources, "package-lock.json"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", lock)).toHex().slice(0, 12);
  const cache = join(Deno.env.get("XDG_CACHE_HOME") ?? tmpdir(), "mycnet-bench-peers");
  const folder = join(cache, digest);
  if (await exists(join(folder, "node_modules"))) return folder;
  if (!install) throw new PeerMissing("not installed: deno run -A bench/peers.ts does it");
  await Deno.mkdir(cache, { recursive: true });
  // Under another name until it is whole: the next run takes what it finds.
  const making = await Deno.makeTempDir({ dir: cache, prefix: "making-" });
  try {
    for (const file of ["package.json", "package-lock.json"]) {
      await Deno.copyFile(join(sources, file), join(making, file));
    }
    await run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: making });
    await Deno.rename(making, folder).catch(async (error) => {
      if (!await exists(join(folder, "node_modules"))) throw error;
    });
    return folder;
  } catch (error) {
    throw new PeerMissing(`npm ci failed: ${(error as Error).message.slice(-300)}`);
  } finally {
    await Deno.remove(making, { recursive: true }).catch(() => {}); // Renamed, usually.
  }
}

/** @throws {PeerMissing} if a command cannot be run; `fails` if even one that runs may not succeed. */
async function need(command: readonly string[], remedy: string, fails = false): Promise<void> {
  try {
    await run(command, { env });
  } catch (error) {
    if (fails && !(error instanceof Deno.errors.NotFound)) return;
    throw new PeerMissing(`no ${command[0]}: ${remedy}`);
  }
}

async function temporary(stack: AsyncDisposableStack, dir: string): Promise<string> {
  const folder = await Deno.makeTempDir({ dir, prefix: "mycnet-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  return folder;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/**
 * Resident memory: an idle node beside a process that does nothing, what a link
 * costs beside a bare connection of the same kind (mutual TLS), and what a sender
 * grows by while its peer stands still.
 *
 *     deno run -A bench/memory.ts [--links 100] [--seconds 3] [--json]
 *
 * The node runs as it does by default (tls, admin, gateway, membership by
 * gossip); the other ends of its links are nodes in another process, of a kind
 * that does not gossip. What a link costs is the growth from no
 * links to all of them, shared out among them: of the process (TLS lives outside
 * of JavaScript, and a heap that grows takes its room ahead of need), and of what
 * JavaScript holds after a full collection. Medians of up to three runs.
 */
import { bareProgram } from "./bare.ts";
import { type BenchCluster, makeCluster } from "./lib/cluster.ts";
import { collectFlag, type Memory } from "./lib/memory.ts";
import type { BenchNode } from "./lib/nodes.ts";
import type { BenchOptions } from "./lib/options.ts";
import { Program } from "./lib/program.ts";
import type { Report } from "./lib/report.ts";
import { alternate, median, medianRatio } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";
import { measureStalls } from "./lib/stall.ts";
import type { BareArgument } from "./programs/bare.ts";
import type { ClientsArgument } from "./programs/clients.ts";

const program = (name: string) => new URL(`./programs/${name}.ts`, import.meta.url);
const flags = [collectFlag];
const mostRuns = 3;
const mebibyte = 1024 * 1024;

/** Memory of one run: before there are links, and with them. */
interface Run {
  readonly idle: Memory;
  readonly linked: Memory;
}

/** Measures memory. */
export async function benchMemory(options: BenchOptions): Promise<Report> {
  const { links } = options;
  const ids = Array.from({ length: links }, (_, i) => `leaf-${i}`);
  await using cluster = await makeCluster([
    { id: "server", type: "sclerotia" },
    { id: "client", type: "sclerotia" },
    ...ids.map((id) => ({ id, type: "hyphae" as const })),
  ]);
  const { empty, bare, ours } = await alternate<"empty" | "bare" | "ours", Run>(
    Math.min(options.rounds, mostRuns),
    {
      empty: () => measureEmpty(),
      bare: () => measureBare(cluster, links),
      ours: () => measureOurs(cluster, ids),
    },
  );
  const stalls = await measureStalls(cluster, options.seconds);
  const mebibytes = (side: readonly Run[], when: keyof Run) =>
    median(side.map((it) => it[when].resident)) / mebibyte;
  const perLink = (side: readonly Run[], what: keyof Memory) =>
    side.map(({ idle, linked }) => (linked[what] - idle[what]) / links / 1024);
  const linked = (side: readonly Run[]) => ({
    resident: mebibytes(side, "linked"),
    perLink: median(perLink(side, "resident")),
    held: median(perLink(side, "held")),
  });
  const idle = (side: readonly Run[]) => side.map((it) => it.idle.resident);
  return {
    bench: "memory",
    what: `resident memory over mutual TLS: idle, with ${links} links, and with a peer that does ` +
      `not read`,
    columns: [
      { key: "what", title: "what" },
      { key: "resident", title: "MiB" },
      { key: "perLink", title: "KiB a link" },
      { key: "held", title: "JavaScript's" },
      { key: "ratio", title: "ours/bare" },
      { key: "growth", title: "MiB more" },
      { key: "heldGrowth", title: "JavaScript's" },
      { key: "bound", title: "bound" },
      { key: "sent", title: "sent" },
      { key: "refused", title: "refused" },
    ],
    rows: [
      { what: "an empty process", resident: mebibytes(empty, "idle") },
      {
        what: "a node, idle",
        resident: mebibytes(ours, "idle"),
        ratio: medianRatio(idle(ours), idle(empty)),
      },
      { what: `a bare server, ${links} connections`, ...linked(bare) },
      {
        what: `a node, ${links} links`,
        ...linked(ours),
        ratio: medianRatio(perLink(ours, "resident"), perLink(bare, "resident")),
      },
      ...stalls,
    ],
  };
}

async function measureEmpty(): Promise<Run> {
  await using process = await Program.start(program("empty"), {}, flags);
  const idle = await process.ask<Memory>("memory");
  return { idle, linked: idle };
}

async function measureBare(cluster: BenchCluster, links: number): Promise<Run> {
  const argument = (id: string): BareArgument => ({ kind: "tls", files: cluster.files(id) });
  await using server = await Program.start<string>(bareProgram, argument("server"), flags);
  const idle = await server.ask<Memory>("memory");
  await using _clients = await Program.start(bareProgram, {
    ...argument("client"),
    address: server.ready,
    idle: links - 1, // It calls over one more.
  });
  await reach(server, "connections", links);
  return { idle, linked: await server.ask<Memory>("memory") };
}

async function measureOurs({ stateDir }: BenchCluster, ids: readonly string[]): Promise<Run> {
  const argument: BenchNode = {
    id: "server",
    type: "sclerotia",
    transport: "tls",
    stateDir,
    admin: true,
    gossip: true,
  };
  await using server = await Program.start<string>(program("node"), argument, flags);
  const idle = await server.ask<Memory>("memory");
  await using _clients = await Program.start(
    program("clients"),
    { stateDir, ids, seed: server.ready } satisfies ClientsArgument,
  );
  await reach(server, "links", ids.length);
  return { idle, linked: await server.ask<Memory>("memory") };
}

/** Waits until a program counts as many as it should. */
async function reach(program: Program<string>, command: string, wanted: number): Promise<void> {
  const endsAt = performance.now() + 60_000;
  for (let count; (count = await program.ask<number>(command)) !== wanted;) {
    if (performance.now() > endsAt) throw new Error(`${command}: ${count} instead of ${wanted}`);
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

if (import.meta.main) await runBenches([benchMemory]);

/**
 * From the start of a process to a node that is ready, beside a process that
 * has nothing to do.
 *
 *     deno run -A bench/start.ts [--starts 10] [--json]
 *
 * The clock runs from just before the process is started until its first line
 * is read. `mycnet node` is the command line with a configuration file;
 * `createNode` is a program that makes the same node. Both are the node as users
 * run it: tls, admin, gateway, and membership by gossip. Module caches are warm:
 * one start of each goes before.
 */
import { join } from "node:path";
import { nodeArguments, started, startMycnet } from "../tests/harness/processes.ts";
import { makeCluster } from "./lib/cluster.ts";
import type { BenchNode } from "./lib/nodes.ts";
import type { BenchOptions } from "./lib/options.ts";
import { Program } from "./lib/program.ts";
import type { Report } from "./lib/report.ts";
import { alternate, median, medianRatio } from "./lib/rounds.ts";
import { runBenches } from "./lib/run.ts";

/** What is started, by the names of the columns. */
const subjects = {
  empty: "an empty program",
  library: "createNode in a program",
  command: "mycnet node",
} as const;

/** Measures starts. */
export async function benchStart({ starts }: BenchOptions): Promise<Report> {
  await using cluster = await makeCluster([{ id: "server", type: "sclerotia" }]);
  const { stateDir } = cluster;
  const config = join(stateDir, "bench.json");
  const local = "127.0.0.1:0";
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      mycnet: {
        node: { id: "server", cluster: "bench", stateDir, bindAddress: local },
        plugins: { admin: { bindAddress: local } },
      },
    }),
  );
  const node: BenchNode = {
    id: "server",
    type: "sclerotia",
    transport: "tls",
    stateDir,
    admin: true,
    gossip: true,
  };
  const sides = {
    empty: () => startProgram("empty"),
    library: () => startProgram("node", node),
    command: async () => {
      const beganAt = performance.now();
      await using child = startMycnet([...nodeArguments, "--config", config]);
      await started(child);
      const ms = performance.now() - beganAt;
      await child.stop();
      return ms;
    },
  };
  await alternate(1, sides);
  const results = await alternate(starts, sides);
  return {
    bench: "start",
    what: `from the start of a process to its first line; medians of ${starts} starts`,
    columns: [
      { key: "what", title: "what" },
      { key: "ms", title: "ms" },
      { key: "least", title: "least ms" },
      { key: "added", title: "ms over empty" },
      { key: "ratio", title: "ours/empty" },
    ],
    rows: Object.entries(subjects).map(([name, what]) => {
      const took = results[name as keyof typeof subjects];
      const ours = name === "empty" ? undefined : {
        added: median(took.map((ms, i) => ms - results.empty[i])),
        ratio: medianRatio(took, results.empty),
      };
      return { what, ms: median(took), least: Math.min(...took), ...ours };
    }),
  };
}

async function startProgram(name: string, argument: unknown = {}): Promise<number> {
  const beganAt = performance.now();
  await using _process = await Program.start(
    new URL(`./programs/${name}.ts`, import.meta.url),
    argument,
  );
  return performance.now() - beganAt;
}

if (import.meta.main) await runBenches([benchStart]);

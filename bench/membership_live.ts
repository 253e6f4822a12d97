/**
 * Membership live: real processes and sockets on one machine, killed and stopped,
 * beside HashiCorp memberlist and Serf agents under the same script.
 *
 *     deno run -A bench/membership_live.ts [--live 32] [--json]
 *
 * One run of each, one after the other, all with their `lan` settings: a quiet time
 * for the cost; two members stopped (SIGSTOP) for four seconds, less than a
 * suspicion lasts; two stopped for twenty; four killed (SIGKILL). A peer that is
 * not installed is said to be missing and left out. Bytes are those of the loopback
 * interface of a network namespace, every header included, which takes root.
 */
import { freePorts } from "../core/cli/demo/ports.ts";
import { LiveCluster } from "./lib/live_cluster.ts";
import { kinds, type MemberKind, MemberStarter } from "./lib/live_members.ts";
import { Loopback } from "./lib/loopback.ts";
import type { BenchOptions } from "./lib/options.ts";
import type { Cell, Report } from "./lib/report.ts";
import { runBenches } from "./lib/run.ts";

/** How long each part of the script takes, ms. */
export interface LiveScript {
  readonly preset: "lan" | "local";
  readonly quietMs: number;
  readonly shortStopMs: number;
  readonly longStopMs: number;
  /** The longest wait for what must come. */
  readonly patienceMs: number;
}

const script: LiveScript = {
  preset: "lan",
  quietMs: 30_000,
  shortStopMs: 4000,
  longStopMs: 20_000,
  patienceMs: 60_000,
};

/** Measures live clusters. */
export async function benchMembershipLive({ live }: BenchOptions): Promise<Report> {
  const rows: Record<string, Cell>[] = [];
  for (const kind of kinds) {
    try {
      rows.push(await measureLive(kind, live, script));
    } catch (error) {
      // Ours must run; the others may be missing, which nobody should overlook.
      if (kind === "mycnet") throw error;
      console.error(`membership_live: ${kind} is left out: ${(error as Error).message}`);
      rows.push({ kind, members: "left out, see above" });
    }
  }
  return {
    bench: "membership_live",
    what: `${live} members on real sockets of one machine, \`lan\` settings; times in seconds ` +
      `from SIGKILL or SIGSTOP until the first and the last of the others declared them dead`,
    columns: [
      { key: "kind", title: "members of" },
      { key: "members", title: "members" },
      { key: "first", title: "killed: first" },
      { key: "last", title: "last" },
      { key: "stopFirst", title: "stopped: first" },
      { key: "stopLast", title: "last" },
      { key: "back", title: "back after" },
      { key: "shortDeaths", title: "dead while stopped short" },
      { key: "falseDeaths", title: "false deaths" },
      { key: "bytes", title: "B/member/s" },
      { key: "packets", title: "packets/member/s" },
      { key: "cpu", title: "CPU ms/member/s" },
    ],
    rows,
  };
}

/** Runs the script with one kind. */
export async function measureLive(
  kind: MemberKind,
  count: number,
  { preset, quietMs, shortStopMs, longStopMs, patienceMs }: LiveScript,
): Promise<Record<string, Cell>> {
  await using network = await Loopback.create(kind);
  await using starter = await MemberStarter.create(kind, network, preset);
  const ports = freePorts(count, Math.random);
  const members = ports.map((port, i) => ({ name: `m${i}`, port }));
  await using cluster = await LiveCluster.start(starter, members, patienceMs);

  const before = { cpu: await cluster.cpuMs(), traffic: await network.traffic() };
  await cluster.wait(quietMs);
  const after = { cpu: await cluster.cpuMs(), traffic: await network.traffic() };
  const share = 1000 / quietMs / count;
  const [had, has] = [before.traffic, after.traffic];

  const { victims } = cluster;
  const quarter = victims.length / 4;
  const shortly = victims.slice(0, quarter);
  const longly = victims.slice(quarter, 2 * quarter);
  const killed = victims.slice(2 * quarter);
  await cluster.stop(shortly);
  await cluster.wait(shortStopMs);
  cluster.go(shortly);
  await cluster.wait(quietMs / 4);
  const shortDeaths = cluster.deaths(shortly);

  const stoppedAt = await cluster.stop(longly);
  await cluster.wait(longStopMs);
  const stopped = await cluster.dead(longly, stoppedAt, patienceMs);
  const wentAt = cluster.go(longly);
  const back = await cluster.back(longly, wentAt, patienceMs);

  const killedAt = await cluster.kill(killed);
  const gone = await cluster.dead(killed, killedAt, patienceMs);
  return {
    kind,
    members: count,
    first: gone.first / 1000,
    last: gone.last / 1000,
    stopFirst: stopped.first / 1000,
    stopLast: stopped.last / 1000,
    back: back / 1000,
    shortDeaths,
    falseDeaths: cluster.falseDeaths(),
    bytes: had && has ? (has.bytes - had.bytes) * share : undefined,
    packets: had && has ? (has.packets - had.packets) * share : undefined,
    cpu: (after.cpu - before.cpu) * share,
  };
}

if (import.meta.main) await runBenches([benchMembershipLive]);

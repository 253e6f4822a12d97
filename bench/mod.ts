/**
 * The benches, one after another: the figures of the README.
 *
 *     deno task bench [--seconds 3] [--json] …
 *
 * Each is a file of its own and runs alone as well; their options are those of
 * lib/options.ts, and each reads the ones that mean something to it. Two run only
 * alone: the soak, which lasts an hour (`deno task soak`), and what tracing costs
 * (tracing.ts), which is ours beside ours.
 */
import { benchBare } from "./bare.ts";
import { benchBulk } from "./bulk.ts";
import { benchCalls } from "./calls.ts";
import { benchFalsePositives } from "./false_positives.ts";
import { benchMembership } from "./membership.ts";
import { benchMembershipLive } from "./membership_live.ts";
import { benchMemory } from "./memory.ts";
import { benchOneWay } from "./oneway.ts";
import { benchPeers } from "./peers.ts";
import { benchPriorities } from "./priorities.ts";
import { runBenches } from "./lib/run.ts";
import { benchStart } from "./start.ts";

if (import.meta.main) {
  await runBenches([
    benchStart,
    benchMemory,
    benchBare,
    benchCalls,
    benchPeers,
    benchOneWay,
    benchBulk,
    benchPriorities,
    benchMembership,
    benchFalsePositives,
    benchMembershipLive,
  ]);
}

/** A process that simulates clusters of bare SWIM machines, so that its memory is theirs alone. */
import { CrashRun, detect, type RunFindings } from "../lib/detection.ts";
import { peakMemory } from "../lib/memory.ts";
import { programArgument, serveCommands } from "../lib/program.ts";

const { members } = programArgument<{ readonly members: number }>();
let run: CrashRun | undefined;

await serveCommands(members, {
  /** Times from crash to first suspicion, ms. */
  detect: (seed) => detect(members, seed as number),
  /** Begins a run. */
  begin: (argument) => {
    const { seed, quietMs } = argument as { readonly seed: number; readonly quietMs: number };
    run = new CrashRun(members, seed, quietMs);
  },
  /** Virtual ms pass. Real ms that it took. */
  advance: (ms) => {
    const beganAt = performance.now();
    run!.advance(ms as number);
    return performance.now() - beganAt;
  },
  findings: (): RunFindings => run!.findings(),
  /** The most that was ever resident, bytes. */
  peak: () => peakMemory(),
});

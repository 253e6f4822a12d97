/**
 * Which core a measured process runs on.
 *
 * Two processes that take turns (and an echo with everything in one batch is
 * that) are woken sooner on one core than across two, and the kernel moves them
 * between the two cases as it likes: the bare echo of 256 calls then jumps
 * between 2.4 and 5 million a second, from run to run and within one. So where
 * `taskset` exists, both sides of a ratio have their processes pinned alike.
 */

/** Where the two processes of a pair run. */
export const placements = ["apart", "together", "free"] as const;
/** One of {@linkcode placements}: each on a core of its own, both on one, or as the system likes. */
export type Placement = (typeof placements)[number];

let found: boolean | undefined;

/** The cores of the one that serves and the one that calls. Undefined: any. */
export function coresOf(placement: Placement): { server?: number; caller?: number } {
  if (placement === "free" || navigator.hardwareConcurrency < 2 || !hasTaskset()) return {};
  return { server: 0, caller: placement === "apart" ? 1 : 0 };
}

/** What came of a placement on this machine, in words. */
export function placed(placement: Placement): string {
  if (coresOf(placement).server === undefined) return "processes placed by the system";
  return placement === "apart" ? "each process on a core of its own" : "both processes on one core";
}

/** The command line that runs a command on one core. */
export function onCore(core: number | undefined, command: readonly string[]): readonly string[] {
  return core === undefined ? command : ["taskset", "-c", String(core), ...command];
}

function hasTaskset(): boolean {
  if (found !== undefined) return found;
  try {
    const probe = new Deno.Command("taskset", { args: ["-c", "0,1", "true"], stderr: "null" });
    found = probe.outputSync().success;
  } catch {
    found = false;
  }
  return found;
}

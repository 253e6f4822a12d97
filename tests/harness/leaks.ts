/**
 * Tests that must give back everything they took.
 *
 * Deno's test sanitizers watch what Deno itself opened; servers and sockets of
 * node:net, node:tls and node:http, and workers, slip past them. So this wrapper
 * compares `process.getActiveResourcesInfo()` before and after, and counts the
 * workers made and terminated in between. Closing takes a few turns of the event
 * loop after the promise that announces it, hence the settling time: a test that
 * gives everything back at once waits for nothing.
 */
import process from "node:process";

const lookEveryMs = 5;

/** What node: modules have open, timers included: the kind of each, e.g. `TCPServerWrap`. */
export function openResources(): readonly string[] {
  // Deno's types of node:process lack what Node has had since 17.3.
  const active: () => string[] = Reflect.get(process, "getActiveResourcesInfo");
  return active.call(process);
}

/** Kinds of resources and how many of each are open, e.g. `TCPServerWrap: 1`. */
type Census = ReadonlyMap<string, number>;

function census(workers: ReadonlySet<Worker>): Census {
  const counts = new Map<string, number>();
  for (const kind of openResources()) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  if (workers.size > 0) counts.set("Worker", workers.size);
  return counts;
}

/** What there is more of than before, e.g. `["2 TCPServerWrap"]`. */
function surplus(before: Census, after: Census): string[] {
  return [...after]
    .map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const)
    .filter(([, more]) => more > 0)
    .map(([kind, more]) => `${more} ${kind}`);
}

/**
 * Runs `body` and throws if it leaves a server, a socket, a timer or a worker behind.
 * What was closed may take `settleMs` to be gone.
 */
export async function withoutLeaks(
  body: () => void | Promise<void>,
  settleMs: number = 2000,
): Promise<void> {
  const workers = new Set<Worker>();
  const RealWorker = globalThis.Worker;
  globalThis.Worker = class extends RealWorker {
    constructor(...options: ConstructorParameters<typeof Worker>) {
      super(...options);
      workers.add(this);
    }
    override terminate() {
      workers.delete(this);
      super.terminate();
    }
  };
  const before = census(workers);
  try {
    await body();
  } finally {
    globalThis.Worker = RealWorker;
  }
  const deadline = performance.now() + settleMs;
  let left = surplus(before, census(workers));
  while (left.length > 0 && performance.now() < deadline) {
    await new Promise((resume) => setTimeout(resume, lookEveryMs));
    left = surplus(before, census(workers));
  }
  if (left.length > 0) {
    throw new Error(
      `The test leaves ${left.join(", ")} open: close what it starts, e.g. with \`await using\``,
    );
  }
}

/** A `Deno.test` that also fails when it leaves something behind that the sanitizers miss. */
export function clusterTest(
  name: string,
  body: (context: Deno.TestContext) => void | Promise<void>,
): void {
  Deno.test(name, (context) => withoutLeaks(() => body(context)));
}

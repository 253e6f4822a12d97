/**
 * Running a simulation: the driver, the double run, the report of a failure.
 *
 * The driver fires one event, crosses the event loop once (`setImmediate`, 1 to
 * 4 µs), looks whether the script or the run is over, and goes on. Promises are
 * deterministic by themselves, so between two crossings everything that an
 * event caused has been done, in an order that the seed determines. What would
 * break that (real timers, clocks, I/O) is trapped, and what slips past the
 * traps is found by running twice and comparing the traces line by line.
 */
import { codeOf, type ErrorCode, MycnetError } from "../kernel/errors.ts";
import { Simulation, type SimulationOptions } from "./simulation.ts";
import { type Divergence, Trace } from "./trace.ts";
import { nextTurn, setTraps } from "./traps.ts";

/** How a simulation is run. */
export interface SimulateOptions extends SimulationOptions {
  /** How often the seed is run; the traces must agree. Default 2; 1 trusts the script. */
  readonly runs?: 1 | 2;
  /** Virtual ms after which the run fails. Default one hour. */
  readonly maxVirtualMs?: number;
  /** Events after which the run fails. Default 5,000,000. */
  readonly maxEvents?: number;
  /** Whether nodes that still run when the script ends are stopped in good order. Default true. */
  readonly stopNodes?: boolean;
}

/** What a run left behind. */
export interface SimulationResult<T> {
  /** What the script returned. */
  readonly value: T;
  /** What determined everything. */
  readonly seed: number | string;
  /** How many events fired. */
  readonly events: number;
  /** How much virtual time passed, in ms. */
  readonly virtualMs: number;
  /** A hash over every line of the trace. */
  readonly hash: string;
  /** The first 200,000 lines of the trace. */
  readonly trace: readonly string[];
}

/** A script: what happens in a simulation, and what must be true. It runs twice, so it keeps its state inside. */
export type Script<T> = (sim: Simulation) => Promise<T> | T;

/**
 * Runs a script in virtual time, twice, and returns what it returned.
 *
 * @throws what went wrong as the cause of an error that names the seed, with code
 * `simulation_failed` (the script or a handler threw, or a rejection went unhandled),
 * `simulation_hung` (something awaits and nothing is left to happen),
 * `simulation_limit` (too much virtual time or too many events) or
 * `simulation_diverged` (two runs of the seed differ; it shows the first line that does).
 */
export async function simulate<T>(
  options: SimulateOptions,
  script: Script<T>,
): Promise<SimulationResult<T>> {
  const first = new Trace();
  const result = await runOnce(options, script, first);
  if (options.runs !== 1) await runOnce(options, script, new Trace(first));
  return result;
}

/** Runs one script over many seeds, one after the other; the first failure ends it. */
export async function simulateSeeds<T>(
  seeds: Iterable<number | string>,
  options: Omit<SimulateOptions, "seed">,
  script: Script<T>,
): Promise<SimulationResult<T>[]> {
  const results: SimulationResult<T>[] = [];
  for (const seed of seeds) results.push(await simulate({ ...options, seed }, script));
  return results;
}

async function runOnce<T>(
  options: SimulateOptions,
  script: Script<T>,
  trace: Trace,
): Promise<SimulationResult<T>> {
  const sim = new Simulation(options, trace);
  using _traps = setTraps((what) => trace.add(`${sim.now.toFixed(3)} trap ${what}`));
  using _rejections = onUnhandledRejection((error) =>
    sim.fail("a rejection went unhandled", error)
  );
  const outcome = await drive(sim, options, script, trace);
  sim.abandon();
  await crossing(); // Rejections of the last event are reported a turn later.
  await crossing();
  const divergence = trace.divergence ?? (outcome.ok ? trace.end() : undefined);
  if (divergence !== undefined) throw report(sim, trace, diverged(divergence));
  if (!outcome.ok) throw report(sim, trace, outcome.error);
  if (sim.failure !== undefined) throw report(sim, trace, sim.failure.error);
  return {
    value: outcome.value,
    seed: options.seed,
    events: sim.scheduler.fired,
    virtualMs: sim.now,
    hash: trace.hash,
    trace: trace.lines,
  };
}

type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown };

function drive<T>(
  sim: Simulation,
  options: SimulateOptions,
  script: Script<T>,
  trace: Trace,
): Promise<Outcome<T>> {
  const { maxVirtualMs = 3_600_000, maxEvents = 5_000_000, stopNodes = true } = options;
  const { scheduler } = sim;
  const whole = async (): Promise<T> => {
    const value = await script(sim);
    if (stopNodes) await sim.stopAll();
    return value;
  };
  return new Promise((resolve) => {
    let outcome: Outcome<T> | undefined;
    const fail = (error: unknown) => resolve({ ok: false, error });
    const tick = () => {
      if (outcome?.ok === false) return resolve(outcome);
      if (sim.failure !== undefined) return fail(sim.failure.error);
      if (trace.divergence !== undefined) return fail(undefined);
      if (outcome !== undefined) return resolve(outcome);
      if (sim.settleWatchers()) return nextTurn(tick);
      const next = scheduler.nextAt;
      if (next === undefined) return fail(hung(sim));
      if (next > maxVirtualMs) return fail(exceeded(sim, `maxVirtualMs (${maxVirtualMs})`));
      if (scheduler.fired >= maxEvents) return fail(exceeded(sim, `maxEvents (${maxEvents})`));
      try {
        scheduler.step();
      } catch (error) {
        return fail(error);
      }
      nextTurn(tick);
    };
    nextTurn(tick);
    whole().then(
      (value) => outcome = { ok: true, value },
      (error) => outcome = { ok: false, error },
    );
  });
}

function crossing(): Promise<void> {
  return new Promise((resolve) => nextTurn(resolve));
}

function onUnhandledRejection(report: (error: unknown) => void): Disposable {
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    report(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", listener);
  return {
    [Symbol.dispose]: () => globalThis.removeEventListener("unhandledrejection", listener),
  };
}

function hung(sim: Simulation): MycnetError {
  return new MycnetError(
    "simulation_hung",
    `nothing is left to happen (a first import() or other real I/O is no event: do it before ` +
      `the run), and still awaiting are${list(sim.waiting())}`,
  );
}

function exceeded(sim: Simulation, bound: string): MycnetError {
  return new MycnetError(
    "simulation_limit",
    `the run exceeds ${bound}; awaiting are${list(sim.waiting())}`,
  );
}

function diverged({ line, first, second }: Divergence): MycnetError {
  const shown = (text: string | undefined) => text ?? "(nothing: it had ended, or is not kept)";
  return new MycnetError(
    "simulation_diverged",
    `two runs of the seed differ, first in line ${line + 1} of the trace\n` +
      `    first run:  ${shown(first)}\n    second run: ${shown(second)}`,
  );
}

/** The error that a failing run throws: what, when, which seed, and the end of the trace. */
function report(sim: Simulation, trace: Trace, error: unknown): MycnetError {
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error) ?? "";
  const known: ErrorCode = isOwn(code) ? code : "simulation_failed";
  const again = trace.isRepetition && known !== "simulation_diverged"
    ? "in the second run only: "
    : "";
  const seed = JSON.stringify(sim.seed);
  const where = `at ${sim.now.toFixed(3)} ms, after ${sim.scheduler.fired} events`;
  return new MycnetError(
    known,
    `${again}${message}\n  seed ${seed}, ${where}; repeat it with simulate({ seed: ${seed} }, ...)\n` +
      `  the end of its trace:${list(trace.tail)}`,
    { cause: error },
  );
}

function isOwn(code: string): code is ErrorCode {
  return ["simulation_diverged", "simulation_hung", "simulation_limit"].includes(code);
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `\n    ${line}`).join("");
}

/**
 * Every bench, one after another: the figures of the README.
 *
 *     deno task bench [--seconds 3] [--json] …
 *
 * Each is a file of its own and runs alone as well; their options are those of
 * lib/options.ts, and each reads the ones that mean something to it.
 */
import { benchBare } from "./bare.ts";
import { benchCalls } from "./calls.ts";
import { benchMemory } from "./memory.ts";
import { runBenches } from "./lib/run.ts";
import { benchStart } from "./start.ts";

if (import.meta.main) await runBenches([benchStart, benchMemory, benchBare, benchCalls]);

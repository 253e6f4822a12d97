/**
 * The peer's end of the pipe to the bench: what lib/program.ts does in Deno, for Node.
 * It ends when its standard input does, so that it outlives nobody.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { load } from "./load.js";

/** The argument that the program was started with. */
export const argument = JSON.parse(process.argv[2]);

/** Says that it is ready, then answers until standard input ends; `ending` runs last. */
export async function serve(starts, ending = () => {}) {
  console.log(JSON.stringify({ ready: "" }));
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, argument } = JSON.parse(line);
    try {
      console.log(JSON.stringify({ id, result: await load(starts, argument) }));
    } catch (error) {
      console.log(JSON.stringify({ id, error: error.stack }));
    }
  }
  await ending();
  process.exit(0);
}

/** What fails ends the program: a bench with failures measures nothing. */
export function fail(error) {
  console.error(error);
  process.exit(1);
}

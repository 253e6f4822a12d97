/** What is not complete yet of a copy to this machine. */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";

/** What its name ends with. */
export const partSuffix = ".mycnet-part";

/** Where it waits: beside its place, and by the same name for what comes from the same `origin`. */
export function partOf(place: string, ...origin: readonly string[]): string {
  const name = createHash("sha256").update(JSON.stringify(origin)).digest("hex").slice(0, 16);
  return join(dirname(place), `.${basename(place)}.${name}${partSuffix}`);
}

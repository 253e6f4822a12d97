/**
 * What is awaited, by name, so that a run with nothing left to happen can say
 * who waits for ever.
 */

/** The folder of this module and the root module that wraps it: not where a script's calls stand. */
const own = [
  new URL("./", import.meta.url).href,
  new URL("../../simulation.ts", import.meta.url).href,
];

/** A register of awaits. */
export class Waits {
  readonly #open = new Set<{ readonly what: string; readonly sinceMs: number }>();

  /** Names a promise until it settles, and returns it. */
  track<T>(what: string, sinceMs: number, work: Promise<T>): Promise<T> {
    const entry = { what, sinceMs };
    this.#open.add(entry);
    const settled = () => void this.#open.delete(entry);
    work.then(settled, settled);
    return work;
  }

  /** One line each, in the order in which they began. */
  describe(): string[] {
    return [...this.#open].map(({ what, sinceMs }) => `${what}, since ${sinceMs.toFixed(3)} ms`);
  }
}

/** Where the script stands that called into the simulator: `file:line:column`, or `unknown`. */
export function callSite(): string {
  for (const line of new Error().stack?.split("\n").slice(1) ?? []) {
    const place = /\(?((?:file|https?):\/\/[^)\s]+)\)?$/.exec(line.trim())?.[1];
    if (place === undefined) continue;
    const inside = own.some((prefix) => place.startsWith(prefix)) && !place.includes("_test.ts");
    if (!inside) return place;
  }
  return "unknown";
}

/**
 * Wall clocks of processes under test that jump while the machine's own does not:
 * libfaketime, loaded into the process, adds what a file says. Monotonic time, which
 * timers run on, is left alone, as when a machine's clock is set.
 */

/** Where Debian's package puts the library, and what says that it is elsewhere. */
const variable = "MYCNET_FAKETIME";
const folders = ["/usr/lib", "/usr/lib64"];
const name = "faketime/libfaketime.so.1";

function library(): string | undefined {
  const given = Deno.env.get(variable);
  if (given !== undefined) return given;
  const exists = (path: string) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  };
  for (const folder of folders) {
    try {
      const inside = [...Deno.readDirSync(folder)].filter((it) => it.isDirectory);
      const found = ["", ...inside.map((it) => `${it.name}/`)]
        .map((it) => `${folder}/${it}${name}`).find(exists);
      if (found !== undefined) return found;
    } catch {
      // No such folder.
    }
  }
  return undefined;
}

/** What is wanted and missing here, or undefined if nothing is. */
export function steppedClockMissing(): string | undefined {
  return library() === undefined ? "there is no libfaketime: apt-get install faketime" : undefined;
}

/** A clock for processes that are started with its environment. */
export class SteppedClock {
  readonly #path: string;

  /** @param path of the file that says by how much it is wrong; it is made. */
  constructor(path: string) {
    this.#path = path;
    this.set(0);
  }

  /** What a process is to be started with. */
  get env(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: library()!,
      FAKETIME_TIMESTAMP_FILE: this.#path,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
    };
  }

  /** From now on it is so many seconds ahead of the machine's clock. */
  set(aheadS: number): void {
    // Replaced rather than rewritten: a process that reads half of it would run on another clock.
    const draft = `${this.#path}.new`;
    Deno.writeTextFileSync(draft, `${aheadS < 0 ? "" : "+"}${aheadS}s\n`);
    Deno.renameSync(draft, this.#path);
  }
}

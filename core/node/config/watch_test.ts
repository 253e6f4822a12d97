import assert from "node:assert/strict";
import { join } from "node:path";
import { createHost } from "../../kernel/real_host.ts";
import type { Host } from "../../kernel/host.ts";
import { type ConfigFile, readConfig } from "./file.ts";
import { watchConfig } from "./watch.ts";

const declaring = (id: string) => JSON.stringify({ mycnet: { node: { id } } });
const idIn = ({ value }: ConfigFile) => (value as { node: { id: string } }).node.id;

/** A real host whose regular timers are beaten by hand; `events` as well: then nothing else happens. */
function handBeaten(events: boolean): Host & { beat(): void } {
  const real = createHost();
  const beats = new Set<() => void>();
  return Object.assign(real, {
    beat: () => beats.forEach((it) => it()),
    every: (_ms: number, run: () => void) => {
      beats.add(run);
      return { [Symbol.dispose]: () => void beats.delete(run) };
    },
    ...(events ? {} : { after: () => ({ [Symbol.dispose]: () => {} }) }),
  });
}

/** What a watcher tells, one after the other. */
class Told {
  readonly #waiting: ((value: string) => void)[] = [];
  readonly #come: string[] = [];

  readonly tell = (value: string): void => {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting(value);
    else this.#come.push(value);
  };

  next(): Promise<string> {
    const come = this.#come.shift();
    return come !== undefined
      ? Promise.resolve(come)
      : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** What nobody has asked for yet. */
  get left(): readonly string[] {
    return this.#come;
  }
}

async function watched(
  events: boolean,
  test: (parts: { folder: string; path: string; told: Told; beat: () => void }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await Deno.mkdir(join(folder, "one"));
    await Deno.mkdir(join(folder, "two"));
    await Deno.writeTextFile(join(folder, "one", "deno.json"), declaring("one"));
    await Deno.writeTextFile(join(folder, "two", "deno.json"), declaring("two"));
    await Deno.symlink(join(folder, "one"), join(folder, "current"));
    const path = join(folder, "current", "deno.json");
    const told = new Told();
    const host = handBeaten(events);
    await using _watch = watchConfig(
      host,
      await readConfig(path),
      (file) => told.tell(idIn(file)),
      (error) => told.tell(error.message),
    );
    await test({ folder, path, told, beat: () => host.beat() });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a symlink that is swapped is noticed by the regular reading, though nothing tells of it", async () => {
  await watched(false, async ({ folder, told, beat }) => {
    // As orchestrators do it: a new link beside the old, renamed over it.
    await Deno.symlink(join(folder, "two"), join(folder, "next"));
    await Deno.rename(join(folder, "next"), join(folder, "current"));
    beat();
    assert.equal(await told.next(), "two");
  });
});

Deno.test("a write is told at once, not only at the next regular reading", async () => {
  await watched(true, async ({ path, told }) => {
    await Deno.writeTextFile(path, declaring("written"));
    assert.equal(await told.next(), "written");
  });
});

Deno.test("a file that was put in place of the old one is told at once, and so is the next", async () => {
  await watched(true, async ({ folder, path, told }) => {
    for (const id of ["first", "second"]) {
      await Deno.writeTextFile(join(folder, "draft"), declaring(id));
      await Deno.rename(join(folder, "draft"), path);
      assert.equal(await told.next(), id);
      await Deno.writeTextFile(path, declaring(`${id}, edited`));
      assert.equal(await told.next(), `${id}, edited`);
    }
  });
});

Deno.test("a file that is caught half written is no trouble: the next reading finds it whole", async () => {
  await watched(true, async ({ path, told, beat }) => {
    Deno.writeTextFileSync(path, "");
    beat(); // Reads the empty file; the reading after it comes once writes have settled.
    await Deno.stat(path);
    Deno.writeTextFileSync(path, declaring("whole"));
    assert.equal(await told.next(), "whole");
  });
});

Deno.test("each text and each trouble is told once, and a file that comes back is told again", async () => {
  await watched(false, async ({ path, told, beat }) => {
    const write = async (text: string) => {
      await Deno.writeTextFile(path, text);
      beat();
      beat();
    };
    await write("{ half");
    assert.match(await told.next(), /current\/deno\.json:1:/);
    await write(declaring("whole"));
    assert.equal(await told.next(), "whole");
    await Deno.remove(path);
    beat();
    beat();
    assert.match(await told.next(), /No such file/);
    await write(declaring("whole"));
    await write(declaring("another"));
    assert.equal(await told.next(), "another", "the same text again is no change");
    assert.deepEqual(told.left, []);
  });
});

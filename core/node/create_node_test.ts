import assert from "node:assert/strict";
import { createHost, type Host } from "../kernel/mod.ts";
import { createNodeWith } from "./create_node.ts";

/** The real host, on which timers of half a minute run out at once. */
function hurriedHost(): Host {
  const host = createHost({ log: () => {} });
  return new Proxy(host, {
    get(target, key) {
      if (key === "after") {
        return (ms: number, run: () => void) => target.after(ms === 30_000 ? 1 : ms, run);
      }
      const value = target[key as keyof Host] as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

Deno.test("a plugin whose module does not end its evaluation is named", async () => {
  const release = Promise.withResolvers<void>();
  const shared = globalThis as { mycnetTestRelease?: Promise<void> };
  shared.mycnetTestRelease = release.promise;
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/stuck.ts`, "await globalThis.mycnetTestRelease;");
    await assert.rejects(
      createNodeWith({}, {
        config: false,
        cwd: folder,
        host: hurriedHost(),
        plugins: { stuck: { use: "./stuck.ts" } },
      }),
      /plugins\.stuck\.use: cannot load "\.\/stuck\.ts": it was not evaluated within 30000 ms/,
    );
  } finally {
    release.resolve();
    delete shared.mycnetTestRelease;
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an option that does not exist is answered with the nearest that does", async () => {
  await assert.rejects(
    createNodeWith({}, { conifg: false } as never),
    /createNode: .*conifg.*did you mean "config"/,
  );
});

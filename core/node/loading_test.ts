import assert from "node:assert/strict";
import { createHost, type Host } from "../kernel/mod.ts";
import { createNodeWith } from "./create_node.ts";

/** The real host, on which timers of half a minute run out at once. */
function hurriedHost(): Host {
  const host = createHost({ log: () => {} });
  const after = host.after.bind(host);
  return Object.assign(host, {
    after: (ms: number, run: () => void) => after(ms === 30_000 ? 1 : ms, run),
  });
}

Deno.test("a plugin whose module does not end its evaluation is named", async () => {
  const release = Promise.withResolvers<void>();
  const shared = globalThis as { mycnetTestRelease?: Promise<void> };
  shared.mycnetTestRelease = release.promise;
  const folder = await Deno.makeTempDir({ prefix: "mycnet-test-" });
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

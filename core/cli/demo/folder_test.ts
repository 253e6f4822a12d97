import assert from "node:assert/strict";
import { clearDead, isAlive, makeFolder } from "./folder.ts";

Deno.test("a dead demo's folder is cleared, a live one's and everybody else's are kept", async () => {
  const root = await Deno.makeTempDir();
  try {
    const child = new Deno.Command(Deno.execPath(), { args: ["--version"], stdout: "null" })
      .spawn();
    await child.status; // A process id that is certain to have existed and to be gone.
    assert.equal(isAlive(child.pid), false);
    const dead = `${root}/mycnet-demo-${child.pid}-abc`;
    Deno.mkdirSync(`${dead}/nodes`, { recursive: true });
    Deno.mkdirSync(`${root}/mycnet-demonstration`);
    const live = makeFolder(root);
    assert.deepEqual(await clearDead(root), [dead]);
    assert.ok(Deno.statSync(live).isDirectory);
    assert.ok(Deno.statSync(`${root}/mycnet-demonstration`).isDirectory);
    assert.equal(Deno.statSync(live).mode! & 0o777, 0o700);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

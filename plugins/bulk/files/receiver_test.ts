import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { IncomingBulk } from "../../../core/contracts/bulk.ts";
import { codeOf } from "../../../core/kernel/errors.ts";
import { createHost } from "../../../core/kernel/mod.ts";
import { Folder } from "./folder.ts";
import { partOf, Receiver } from "./receiver.ts";

const path = "file";
const transfer = "0123456789abcdef";

/** A transfer that brings the rest of a content, or nothing ever. */
function bringing(content: Uint8Array, all: boolean): IncomingBulk {
  const accept = (offset = 0) =>
    new ReadableStream({
      type: "bytes",
      start(controller) {
        if (!all) return;
        controller.enqueue(content.slice(offset));
        controller.close();
      },
    });
  const metadata = { path, transfer };
  return { metadata, total: content.length, accept } as Partial<IncomingBulk> as IncomingBulk;
}

Deno.test("a transfer that stands still is ended by the next of its name, though its part is being read", async () => {
  const content = new Uint8Array(16 * 1024 * 1024).fill(7);
  const sha256 = createHash("sha256").update(content).digest("hex");
  const dir = await Deno.makeTempDir();
  try {
    const host = createHost();
    const folder = await Folder.open(dir);
    const receiver = new Receiver({ host, folder, maxBytes: 1e9, partTtlMs: 1e9 });
    const commit = () =>
      receiver.commit({ op: "commit", path, transfer, bytes: content.length, sha256 });
    await Deno.writeFile(partOf(dir, path, transfer), content.subarray(1000));
    const first = assert.rejects(receiver.put(bringing(content, false)), { code: "cancelled" });
    // While it has its place nothing is committed; it reads what is here already, which takes a while.
    while (await commit().then(() => "", codeOf) !== "overloaded");
    await receiver.put(bringing(content, true));
    await first;
    await commit();
    assert.deepEqual(await Deno.readFile(`${dir}/${path}`), content);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), [path]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

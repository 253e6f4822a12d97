/**
 * A stream of bytes from one node to another: too large for a message, resumed after a failure.
 *
 *   deno run --allow-net=127.0.0.1 examples/byte_stream.ts
 *
 * For files there is `mycnet cp`, which does all of this and more; see `mycnet help cp`.
 */
import { codeOf, createNode, MycnetError, type Node } from "@mycnet/runtime";

/** A node on a port of its own, in the clear: both run in this process. */
function start(id: string): Promise<Node> {
  return createNode({
    config: false,
    node: { id, cluster: "backups", type: "sclerotia", bindAddress: "127.0.0.1:0" },
    plugins: {
      identity: { insecure: true },
      tcp: { insecure: true },
      tls: false,
      admin: false,
      "http-gateway": false,
    },
  });
}

await using archive = await start("archive");
await using office = await start("office");
await office.cluster.join(archive.addresses);

// What the archive has so far. A real one would keep it on disk.
const kept: Uint8Array[] = [];
const size = () => kept.reduce((sum, { length }) => sum + length, 0);
let failures = 1;

await using _taking = archive.bulk.handle("backup", async (transfer) => {
  console.log(`archive takes ${transfer.metadata.file} from byte ${size()}`);
  // Reading slowly holds the sender back; what is not read is not sent.
  for await (const chunk of transfer.accept(size())) {
    if (failures > 0 && size() + chunk.length > 3_000_000) {
      failures--;
      kept.push(chunk.subarray(0, 3_000_000 - size()));
      throw new MycnetError("unavailable", "the archive's disk went away for a moment");
    }
    kept.push(chunk);
  }
});

const backup = new Uint8Array(8_000_000).map((_, at) => at % 251);
const send = () =>
  office.bulk.send("archive", "backup", (offset) => new Blob([backup.subarray(offset)]).stream(), {
    total: backup.length,
    metadata: { file: "backup.tar" },
  });

await send().catch((error) => console.log(`archive failed: ${codeOf(error)}`));
const { bytes } = await send();
console.log(`sent ${bytes} of ${backup.length} bytes, the rest was there`);

const whole = new Uint8Array(await new Blob(kept as BlobPart[]).arrayBuffer());
console.log(`archive has all of it: ${whole.every((byte, at) => byte === backup[at])}`);

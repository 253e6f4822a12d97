/** `mycnet cp` between nodes over mutual TLS, and what must not get through it. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { FakeIo } from "../../core/cli/fakes_test.ts";
import { clusterTest } from "../harness/leaks.ts";
import { FileNodes } from "./bulk_nodes.ts";

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const noise = (length: number) => new Uint8Array(randomBytes(length));
/** Received bytes of `bob`, all attempts together. */
const received = (nodes: FileNodes) => nodes.bob.metrics().communication.bulk_bytes_received;

clusterTest("a file goes to a node and comes back, whole, with its mode, checked", async () => {
  await using nodes = await FileNodes.start();
  const bytes = noise(3_000_001);
  await Deno.writeFile(`${nodes.desk}/data.bin`, bytes);
  await Deno.chmod(`${nodes.desk}/data.bin`, 0o750);
  const up = await nodes.copied("data.bin", "bob:backups/today/");
  assert.deepEqual(
    { ...up, seconds: 0 },
    {
      from: "data.bin",
      to: "bob:backups/today/",
      bytes: bytes.length,
      sha256: hashOf(bytes),
      resumedAt: 0,
      attempts: 1,
      seconds: 0,
    },
  );
  const there = `${nodes.shared}/backups/today/data.bin`;
  assert.deepEqual(await Deno.readFile(there), bytes);
  assert.equal((await Deno.stat(there)).mode! & 0o777, 0o750);
  assert.deepEqual(nodes.names("backups/today"), ["data.bin"], "nothing is left beside it");

  const down = await nodes.copied("bob:backups/today/data.bin", "copy.bin");
  assert.equal(down.sha256, up.sha256);
  assert.deepEqual(await Deno.readFile(`${nodes.desk}/copy.bin`), bytes);
  assert.equal((await Deno.stat(`${nodes.desk}/copy.bin`)).mode! & 0o777, 0o750);

  // Into a folder it keeps its name; an empty file is a file; what is there is replaced.
  await Deno.mkdir(`${nodes.desk}/here`);
  await nodes.copied("bob:backups/today/data.bin", "here");
  assert.equal((await Deno.stat(`${nodes.desk}/here/data.bin`)).size, bytes.length);
  await Deno.writeFile(`${nodes.desk}/empty`, new Uint8Array());
  await nodes.copied("empty", "bob:backups/today/data.bin");
  assert.equal((await Deno.stat(there)).size, 0);
  await nodes.copied("bob:backups/today/data.bin", "here/data.bin");
  assert.equal((await Deno.stat(`${nodes.desk}/here/data.bin`)).size, 0);
  const inDesk = [...Deno.readDirSync(nodes.desk)].map(({ name }) => name).sort();
  assert.deepEqual(inDesk, ["copy.bin", "data.bin", "empty", "here"]);
});

clusterTest("standard input becomes a file, and a person is told in a line", async () => {
  await using nodes = await FileNodes.start();
  const bytes = noise(700_000);
  const io = new FakeIo();
  io.stdin = new Blob([bytes]).stream();
  const { code, out, err } = await nodes.cp(["-", "bob:from-stdin"], io);
  assert.equal(code, 0, err);
  assert.match(out, /^- to bob:from-stdin: 700 kB in \d+s \(.*\/s\)\n$/);
  assert.deepEqual(await Deno.readFile(`${nodes.shared}/from-stdin`), bytes);
});

clusterTest("links that are cut in the middle resume the copy, up and down", async () => {
  await using nodes = await FileNodes.start();
  const bytes = noise(16_000_000);
  await Deno.writeFile(`${nodes.desk}/big`, bytes);
  nodes.wire.cutAfter(4_000_000, 4_000_000, 3_000_000);
  const up = await nodes.copied("big", "bob:big");
  assert.equal(nodes.wire.cuts, 3);
  assert.equal(up.attempts, 4);
  assert.equal(up.sha256, hashOf(bytes));
  assert.deepEqual(await Deno.readFile(`${nodes.shared}/big`), bytes);
  const total = received(nodes);
  // What had arrived and was not read yet, a window at most, comes again after each cut.
  const window = 1_600_000;
  assert(total < bytes.length + 3 * window, `${total} bytes arrived: it began anew`);

  nodes.wire.cutAfter(3_000_000, 3_000_000);
  const down = await nodes.copied("bob:big", "again");
  assert.equal(nodes.wire.cuts, 5);
  assert.equal(down.attempts, 3);
  assert.deepEqual(await Deno.readFile(`${nodes.desk}/again`), bytes);
  const back = nodes.ada.metrics().communication.bulk_bytes_received;
  assert(back < bytes.length + 2 * window, `${back} bytes came back: it began anew`);
});

clusterTest("a command that was ended goes on when it is given again", async () => {
  await using nodes = await FileNodes.start();
  const bytes = noise(6_000_000);
  await Deno.writeFile(`${nodes.desk}/big`, bytes);
  for (const [from, to] of [["big", "bob:big"], ["bob:big", "back"]]) {
    nodes.wire.cutAfter(3_000_000);
    const first = await nodes.cp([from, to, "--json", "--retries", "0"]);
    assert.equal(first.code, 1);
    assert.equal(JSON.parse(first.err).error.code === undefined, false);
    const second = await nodes.copied(from, to);
    const resumedAt = Number(second.resumedAt);
    assert(resumedAt > 1_000_000 && resumedAt < 3_000_000, `resumed at ${resumedAt}`);
    assert.equal(second.sha256, hashOf(bytes));
  }
  assert.deepEqual(await Deno.readFile(`${nodes.desk}/back`), bytes);
});

clusterTest("a file that changed is not put together from two", async () => {
  await using nodes = await FileNodes.start();
  await Deno.writeFile(`${nodes.shared}/file`, noise(4_000_000));
  nodes.wire.cutAfter(2_000_000);
  assert.equal((await nodes.cp(["bob:file", "file", "--json", "--retries", "0"])).code, 1);
  const changed = noise(4_000_000);
  await Deno.writeFile(`${nodes.shared}/file`, changed);
  await Deno.utime(`${nodes.shared}/file`, 1, 1);
  assert.equal((await nodes.copied("bob:file", "file")).resumedAt, 0);
  assert.deepEqual(await Deno.readFile(`${nodes.desk}/file`), changed);
  const old = "/api/v1/files/bob?path=file&op=read&offset=0&version=4000000-0-0";
  const answer = await nodes.ask(old);
  assert.equal((await answer.json()).code, "corrupted");
});

clusterTest("a wrong SHA-256 puts nothing in place, and the transfer is gone", async () => {
  await using nodes = await FileNodes.start();
  await Deno.writeTextFile(`${nodes.shared}/kept`, "as it was");
  const transfer = "ab".repeat(16);
  const file = `/api/v1/files/bob?path=kept&transfer=${transfer}`;
  const put = await nodes.ask(`${file}&offset=0&end=5`, { method: "PUT", body: "12345" });
  assert.deepEqual(await put.json(), { bytes: 5 });
  assert.deepEqual(await (await nodes.ask(`${file}&op=have`)).json(), { bytes: 5, inPlace: 9 });
  const commit = (sha256: string, bytes = 5) =>
    nodes.ask(file, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ bytes, sha256 }),
    });
  const wrong = await commit("0".repeat(64));
  assert.equal(wrong.status, 422);
  assert.equal((await wrong.json()).code, "corrupted");
  assert.deepEqual(nodes.names(), ["kept"]);
  assert.equal(await Deno.readTextFile(`${nodes.shared}/kept`), "as it was");
  assert.equal((await (await commit("0".repeat(64))).json()).code, "not_found");

  // A commit whose answer was lost may be asked again.
  await (await nodes.ask(`${file}&offset=0&end=5`, { method: "PUT", body: "12345" })).json();
  const right = hashOf(new TextEncoder().encode("12345"));
  for (let i = 0; i < 2; i++) {
    const answer = await commit(right);
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
  }
  assert.equal(await Deno.readTextFile(`${nodes.shared}/kept`), "12345");
});

clusterTest(
  "what is too large is refused before it is sent, and stopped where it did not say",
  async () => {
    await using nodes = await FileNodes.start({ root: "shared", write: true, maxBytes: 1_000_000 });
    await Deno.writeFile(`${nodes.desk}/large`, noise(1_000_001));
    assert.equal(await nodes.refused("large", "bob:large"), "too_large");
    assert.equal(received(nodes), 0);
    const io = new FakeIo();
    io.stdin = new Blob([noise(5_000_000)]).stream();
    const { code, err } = await nodes.cp(["-", "bob:large", "--json"], io);
    assert.equal(code, 1);
    assert.match(err, /too_large|link_lost/);
    const left = nodes.names().filter((name) => name === "large");
    assert.deepEqual(left, [], "nothing was put in place");
    for (const name of nodes.names()) {
      assert((await Deno.stat(`${nodes.shared}/${name}`)).size <= 1_000_000, name);
    }
    await Deno.writeFile(`${nodes.desk}/fits`, noise(1_000_000));
    assert.equal((await nodes.copied("fits", "bob:fits")).bytes, 1_000_000);
  },
);

clusterTest(
  "nothing leads out of the folder, by name or by link, to read or to write",
  async () => {
    await using nodes = await FileNodes.start();
    const secret = `${nodes.shared}/../secret`;
    await Deno.writeTextFile(secret, "secret");
    await Deno.writeTextFile(`${nodes.desk}/evil`, "evil");
    await Deno.symlink("..", `${nodes.shared}/up`);
    await Deno.symlink("../secret", `${nodes.shared}/link`);
    await Deno.symlink("../nowhere", `${nodes.shared}/dangling`);
    await Deno.mkdir(`${nodes.shared}/folder`);
    await Deno.writeTextFile(`${nodes.shared}/file`, "x");
    const paths: [path: string, write: string, read?: string][] = [
      ["../secret", "invalid_argument"],
      ["folder/../../secret", "invalid_argument"],
      ["./secret", "invalid_argument"],
      ["/etc/passwd", "invalid_argument"],
      ["folder//secret", "invalid_argument"],
      ["a\\b", "invalid_argument"],
      ["a\u0000b", "invalid_argument"],
      ["a\nb", "invalid_argument"],
      [`${"n".repeat(181)}`, "invalid_argument"],
      [".file.abababababababab.mycnet-part", "invalid_argument"],
      ["up/secret", "permission_denied"],
      ["link", "permission_denied"],
      ["dangling", "permission_denied"],
      ["folder", "invalid_argument", "usage"],
      ["file/below", "invalid_argument"],
    ];
    for (const [path, write, read = write] of paths) {
      assert.equal(await nodes.refused("evil", `bob:${path}`), write, `write ${path}`);
      assert.equal(await nodes.refused(`bob:${path}`, "stolen"), read, `read ${path}`);
    }
    assert.equal(await nodes.refused("bob:nothing/here", "stolen"), "not_found");
    // Encoded once more than a client would: a name like any other.
    const answer = await nodes.ask("/api/v1/files/bob?op=stat&path=..%252Fsecret");
    assert.equal(answer.status, 404);
    await answer.body?.cancel();
    assert.equal(await Deno.readTextFile(secret), "secret");
    assert.equal(await Deno.lstat(`${nodes.desk}/stolen`).catch(() => undefined), undefined);
    assert.deepEqual(nodes.names(), ["dangling", "file", "folder", "link", "up"]);
  },
);

clusterTest("copies to one path at once each arrive whole, and the last one stays", async () => {
  await using nodes = await FileNodes.start();
  const all = Array.from({ length: 5 }, () => noise(1_500_000));
  const copies = all.map(async (bytes, i) => {
    await Deno.writeFile(`${nodes.desk}/source-${i}`, bytes);
    return await nodes.copied(`source-${i}`, "bob:same");
  });
  const done = await Promise.all(copies);
  assert.deepEqual(done.map(({ sha256 }) => sha256), all.map(hashOf));
  const stayed = hashOf(await Deno.readFile(`${nodes.shared}/same`));
  assert(all.map(hashOf).includes(stayed));
  assert.deepEqual(nodes.names(), ["same"]);
});

clusterTest(
  "a second attempt of one transfer ends the first, and goes on from where it was",
  async () => {
    await using nodes = await FileNodes.start();
    const transfer = "cd".repeat(16);
    const route = `/api/v1/files/bob?path=slow&transfer=${transfer}`;
    const bytes = noise(400_000);
    const begun = Promise.withResolvers<void>();
    const stuck = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        controller.enqueue(bytes.slice(0, 100_000));
        begun.resolve();
        return new Promise(() => {});
      },
    }, { highWaterMark: 0 });
    const first = nodes.ask(`${route}&offset=0&end=${bytes.length}`, {
      method: "PUT",
      body: stuck,
      duplex: "half",
    } as RequestInit).then((it) => it.json(), (error) => error);
    await begun.promise;
    const have = async () => (await (await nodes.ask(`${route}&op=have`)).json()).bytes as number;
    while (await have() < 100_000);
    const rest = await nodes.ask(`${route}&offset=100000&end=${bytes.length}`, {
      method: "PUT",
      body: bytes.slice(100_000),
    });
    assert.deepEqual(await rest.json(), { bytes: 300_000 });
    const ended = await first;
    assert(ended instanceof Error || ended.code === "cancelled", JSON.stringify(ended));
    assert.equal(await have(), 400_000);
    const commit = await nodes.ask(route, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ bytes: bytes.length, sha256: hashOf(bytes) }),
    });
    assert.equal(commit.status, 200, await commit.text());
    assert.deepEqual(await Deno.readFile(`${nodes.shared}/slow`), bytes);
  },
);

clusterTest("a node gives and takes only what it declares, and says what is missing", async (t) => {
  const outcomes = async (files: Record<string, unknown>) => {
    await using nodes = await FileNodes.start(files);
    await Deno.writeTextFile(`${nodes.desk}/file`, "x");
    await Deno.writeTextFile(`${nodes.shared}/file`, "y");
    return [await nodes.cp(["file", "bob:new"]), await nodes.cp(["bob:file", "copy"])]
      .map(({ code, err }) => [code, err] as const);
  };
  await t.step("nothing without a folder", async () => {
    for (const [code, err] of await outcomes({})) {
      assert.equal(code, 1);
      assert.match(err, /node "bob" serves no files\n {2}Declare the plugin there/);
    }
  });
  await t.step("reading alone unless writing is allowed", async () => {
    const [[write, why], [read]] = await outcomes({ root: "shared" });
    assert.deepEqual([write, read], [4, 0]);
    assert.match(why, /files are not taken here/);
  });
  await t.step("no reading where it is switched off", async () => {
    const [[write], [read]] = await outcomes({ root: "shared", read: false, write: true });
    assert.deepEqual([write, read], [0, 4]);
  });
  await t.step("nobody but those who are named", async () => {
    for (const allow of [{ nodes: ["eve"] }, { types: ["hyphae"] }]) {
      for (const [code, err] of await outcomes({ root: "shared", write: true, allow })) {
        assert.equal(code, 4);
        assert.match(err, /"allow" does not name node "ada", a sclerotia/);
      }
    }
    const all = { nodes: ["ada"], types: ["sclerotia"] };
    for (const [code] of await outcomes({ root: "shared", write: true, allow: all })) {
      assert.equal(code, 0);
    }
  });
});

clusterTest("what nobody went on with is removed after its time", async () => {
  await using nodes = await FileNodes.start({ root: "shared", write: true, partTtl: "1h" });
  const route = (transfer: string) => `/api/v1/files/bob?path=file&transfer=${transfer}`;
  for (const transfer of ["aa".repeat(16), "bb".repeat(16)]) {
    const put = await nodes.ask(`${route(transfer)}&offset=0`, { method: "PUT", body: "part" });
    await put.body?.cancel();
  }
  const [old, young] = nodes.names();
  const twoHoursAgo = (await Deno.stat(`${nodes.shared}/${young}`)).mtime!.getTime() - 7_200_000;
  await Deno.utime(`${nodes.shared}/${old}`, twoHoursAgo / 1000, twoHoursAgo / 1000);
  await (await nodes.ask(`${route("cc".repeat(16))}&op=have`)).body?.cancel();
  assert.deepEqual(nodes.names(), [young]);
});

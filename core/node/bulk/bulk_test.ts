import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { BulkProgress, IncomingBulk } from "../../contracts/bulk.ts";
import { codeOf, MycnetError } from "../../kernel/errors.ts";
import { Cluster, pattern, readAll, Source } from "./fakes_test.ts";

Deno.test("a stream arrives whole, with its labels, and both sides agree on its SHA-256", async () => {
  await using cluster = new Cluster();
  let seen: IncomingBulk | undefined;
  let got: Uint8Array | undefined;
  cluster.of("b").handle("snapshots", async (transfer) => {
    seen = transfer;
    got = await readAll(transfer.accept());
  });
  const source = new Source(1_000_000);
  const told: BulkProgress[] = [];
  const result = await cluster.settled(
    cluster.of("a").send("b", "snapshots", source.from, {
      total: source.total,
      metadata: { table: "users", part: 3, last: true },
      sha256: true,
      progress: (progress) => void told.push(progress),
    }),
  );
  const sha256 = createHash("sha256").update(pattern(1_000_000)).digest("hex");
  assert.deepEqual(result, { resumedAt: 0, bytes: 1_000_000, sha256 });
  assert.deepEqual(got, pattern(1_000_000));
  assert.equal(seen!.from.id, "a");
  assert.equal(seen!.name, "snapshots");
  assert.equal(seen!.total, 1_000_000);
  assert.deepEqual(seen!.metadata, { table: "users", part: 3, last: true });
  assert.equal(seen!.signal.aborted, false);
  assert.deepEqual(told.at(-1), { bytes: 1_000_000, total: 1_000_000 });
  assert(told.every(({ bytes }, i) => i === 0 || bytes >= told[i - 1].bytes));
  assert.equal(cluster.active, 0);
});

Deno.test("streams of any size, in chunks of any size and from any offset, arrive as they were", async () => {
  await using cluster = new Cluster();
  let offset = 0;
  let got: Uint8Array = new Uint8Array();
  cluster.of("b").handle("any", async (it) => void (got = await readAll(it.accept(offset))));
  const sizes = fc.oneof(
    fc.nat(3000),
    fc.constantFrom(65_535, 65_536, 65_537, 262_144, 300_001),
  );
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 200_000 }), fc.nat(), async (
      size,
      chunk,
      from,
    ) => {
      offset = from % (size + 1);
      const source = new Source(size, Math.max(chunk, size / 50));
      const sent = cluster.of("a").send("b", "any", source.from, { total: size });
      const { resumedAt, bytes, sha256 } = await cluster.settled(sent);
      assert.deepEqual([resumedAt, bytes, sha256], [offset, size - offset, undefined]);
      assert.deepEqual(got, pattern(size - offset, offset));
    }),
    { numRuns: 60 },
  );
});

Deno.test("who does not read holds the source back, and bounded bytes wait", async () => {
  await using cluster = new Cluster();
  const go = Promise.withResolvers<void>();
  let got = 0;
  cluster.of("b").handle("slow", async (transfer) => {
    const stream = transfer.accept();
    await go.promise;
    got = (await readAll(stream)).length;
  });
  const source = new Source(5_000_000, 50_000);
  const sent = cluster.of("a").send("b", "slow", source.from);
  await cluster.host.advance(5000);
  assert(source.pulled >= 1536 * 1024, `${source.pulled}: a window is in use`);
  assert(source.pulled <= 1_700_000, `${source.pulled} bytes were pulled for nobody`);
  go.resolve();
  await cluster.settled(sent);
  assert.equal(got, 5_000_000);
});

Deno.test("a handler that refuses is heard, with its code; what it says by mistake stays here", async () => {
  await using cluster = new Cluster();
  const b = cluster.of("b");
  b.handle("full", () => Promise.reject(new MycnetError("too_large", "no room for that")));
  b.handle("throws", () => {
    throw new Error("secret");
  });
  b.handle("forgets", () => Promise.resolve());
  const source = new Source(10);
  const send = (name: string) => cluster.fails(cluster.of("a").send("b", name, source.from));
  const full = await send("full");
  assert.equal(full.code, "too_large");
  assert.match(full.message, /no room for that/);
  for (const name of ["throws", "forgets"]) {
    const error = await send(name);
    assert.equal(error.code, "internal");
    assert.doesNotMatch(error.message, /secret/);
  }
  assert.equal((await send("nobody")).code, "unhandled");
  assert.equal(source.offset, undefined, "the source was never asked");
  assert.equal(cluster.nodes.get("b")!.host.lines.filter((it) => it.level === "error").length, 2);
});

Deno.test("a link that breaks fails both ends, and the next attempt resumes where the receiver is", async () => {
  await using cluster = new Cluster();
  const kept: Uint8Array[] = [];
  const size = () => kept.reduce((sum, { length }) => sum + length, 0);
  const ends: string[] = [];
  cluster.of("b").handle("part", async (transfer) => {
    try {
      for await (const chunk of transfer.accept(size())) {
        kept.push(chunk);
        if (size() > 1_500_000 && ends.length === 0) cluster.net.open[0]?.dialer.cut();
      }
      ends.push("whole");
    } catch (error) {
      ends.push(`${codeOf(error)} ${transfer.signal.aborted}`);
      throw error;
    }
  });
  const first = new Source(4_000_000);
  const error = await cluster.fails(cluster.of("a").send("b", "part", first.from));
  assert.equal(error.code, "unavailable");
  await cluster.host.advance(10);
  assert.notEqual(first.cancelled, undefined, "the source was let go");
  const second = new Source(4_000_000);
  const had = size();
  const result = await cluster.settled(cluster.of("a").send("b", "part", second.from));
  assert.deepEqual([result.resumedAt, result.bytes], [had, 4_000_000 - had]);
  assert(had > 1_500_000 && second.offset === had);
  assert.deepEqual(ends, ["unavailable true", "whole"]);
  const whole = new Uint8Array(4_000_000);
  let at = 0;
  for (const chunk of kept) (whole.set(chunk, at), at += chunk.length);
  assert.deepEqual(whole, pattern(4_000_000));
});

Deno.test("the sender's signal gives it up on both sides", async () => {
  await using cluster = new Cluster();
  const ended = Promise.withResolvers<unknown>();
  cluster.of("b").handle("given-up", async (transfer) => {
    await readAll(transfer.accept()).catch((error) => {
      ended.resolve([codeOf(error), transfer.signal.aborted]);
      throw error;
    });
  });
  const abort = new AbortController();
  const source = new Source(10_000_000);
  const sent = cluster.of("a").send("b", "given-up", source.from, {
    signal: abort.signal,
    progress: ({ bytes }) => bytes > 100_000 && abort.abort(),
  });
  assert.equal((await cluster.fails(sent)).code, "aborted");
  assert.deepEqual(await cluster.settled(ended.promise), ["cancelled", true]);
  assert.notEqual(source.cancelled, undefined);
  const late = cluster.of("a").send("b", "given-up", source.from, { signal: abort.signal });
  assert.equal((await cluster.fails(late)).code, "aborted");
});

Deno.test("a reader that cancels, or leaves before the end, ends the transfer for the sender", async () => {
  await using cluster = new Cluster();
  const b = cluster.of("b");
  b.handle("leaves", async (transfer) => {
    for await (const _ of transfer.accept()) break;
  });
  b.handle("says", async (transfer) => {
    for await (const _ of transfer.accept()) throw new MycnetError("too_large", "disk full");
  });
  b.handle("returns", async (transfer) => {
    await transfer.accept().getReader().read();
  });
  const send = async (name: string) => {
    const source = new Source(5_000_000);
    const { code } = await cluster.fails(cluster.of("a").send("b", name, source.from));
    return [code, source.cancelled !== undefined];
  };
  assert.deepEqual(await send("leaves"), ["cancelled", true]);
  assert.deepEqual(await send("returns"), ["cancelled", true]);
  // Breaking out of the loop cancels before the error is known.
  assert.deepEqual(await send("says"), ["too_large", true]);
});

Deno.test("a source that fails is the sender's to hear as it is; the receiver sees no end", async () => {
  await using cluster = new Cluster();
  const seen: unknown[] = [];
  cluster.of("b").handle("it", async (transfer) => {
    await readAll(transfer.accept()).catch((error) => {
      seen.push(codeOf(error));
      throw error;
    });
  });
  const a = cluster.of("a");
  const broken = new Error("the disk is gone");
  const cases: [string, () => ReadableStream<Uint8Array>, number | undefined, RegExp][] = [
    [
      "throws",
      () => {
        throw broken;
      },
      undefined,
      /disk is gone/,
    ],
    ["errors", () => new ReadableStream({ pull: () => Promise.reject(broken) }), undefined, /disk/],
    ["too short", () => new Source(50).from(0), 100, /ended at 50/],
    ["too long", () => new Source(200).from(0), 100, /gave 200/],
  ];
  for (const [what, source, total, message] of cases) {
    const error = await cluster.fails(a.send("b", "it", source, { total }));
    assert.match(error.message, message, what);
  }
  await cluster.host.advance(100);
  assert.deepEqual(seen, ["cancelled", "cancelled", "cancelled", "cancelled"]);
});

Deno.test("nothing that moves for the idle timeout ends it at both ends, saying who stood still", async () => {
  await using cluster = new Cluster({ idleTimeout: 1000 });
  const never = new Promise<void>(() => {});
  const b = cluster.of("b");
  b.handle("never-accepts", () => never);
  b.handle("never-reads", (transfer) => (transfer.accept(), never));
  b.handle("never-ends", async (transfer) => {
    await readAll(transfer.accept());
    await never;
  });
  b.handle("reads", async (transfer) => void await readAll(transfer.accept()));
  const send = async (name: string, source = new Source(1_000_000).from) => {
    const before = cluster.host.now();
    const { code, message } = await cluster.fails(cluster.of("a").send("b", name, source));
    assert.equal(code, "deadline_exceeded", name);
    const took = cluster.host.now() - before;
    assert(took >= 1000 && took < 2000, `${name}: ${took} ms`);
    return message;
  };
  assert.match(await send("never-accepts"), /did not (take it|go on)/);
  const large = new Source(4_000_000).from;
  assert.match(await send("never-reads", large), /stopped reading|did not go on/);
  assert.match(await send("never-ends"), /did not (finish|go on)/);
  const stuck = () => new ReadableStream<Uint8Array>();
  assert.match(await send("reads", stuck), /nothing came from the sender/);
  await cluster.host.advance(2000);
  assert.equal(cluster.active, 0);
});

Deno.test("a transfer that moves a little is not idle", async () => {
  await using cluster = new Cluster({ idleTimeout: 1000 });
  cluster.of("b").handle("drip", async (transfer) => void await readAll(transfer.accept()));
  let left = 10;
  const source = () =>
    new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (left-- === 0) return controller.close();
        await cluster.host.sleep(700);
        controller.enqueue(pattern(10));
      },
    });
  const { bytes } = await cluster.settled(cluster.of("a").send("b", "drip", source));
  assert.equal(bytes, 100);
});

Deno.test("transfers are bounded each way, and one that ends makes room", async () => {
  await using cluster = new Cluster({ maxTransfers: 3 }, ["a", "b", "c"]);
  const go = Promise.withResolvers<void>();
  cluster.of("b").handle("held", async (transfer) => {
    await go.promise;
    await readAll(transfer.accept());
  });
  const send = (from: string) => cluster.of(from).send("b", "held", new Source(10).from);
  const held = [send("a"), send("a"), send("a")];
  assert.equal((await cluster.fails(send("a"))).code, "overloaded");
  await cluster.host.advance(100);
  const there = await cluster.fails(send("c"));
  assert.equal(there.code, "overloaded");
  assert.match(there.message, /come in already/);
  go.resolve();
  for (const { bytes } of await cluster.settled(Promise.all(held))) assert.equal(bytes, 10);
  await cluster.settled(send("c"));
});

Deno.test("a node that stops gives up its transfers: the other side may call again", async () => {
  for (const stops of ["a", "b"]) {
    await using cluster = new Cluster();
    const ended = Promise.withResolvers<unknown>();
    cluster.of("b").handle("it", async (transfer) => {
      transfer.accept();
      transfer.signal.addEventListener("abort", () => ended.resolve(transfer.signal.reason.code));
      await new Promise(() => {});
    });
    const sent = cluster.of("a").send("b", "it", new Source(1_000_000).from);
    sent.catch(() => {});
    await cluster.host.advance(100);
    cluster.of(stops)[Symbol.dispose]();
    const { code } = await cluster.fails(sent);
    assert.equal(code, stops === "a" ? "closed" : "unavailable");
    const reason = await cluster.settled(ended.promise);
    assert.equal(reason, stops === "a" ? "unavailable" : "closed");
    const again = cluster.of(stops).send("b", "it", new Source(1).from);
    assert.equal((await cluster.fails(again)).code, "closed");
  }
});

Deno.test("names, labels and totals are checked before anything is sent", async () => {
  await using cluster = new Cluster();
  const a = cluster.of("a");
  const source = new Source(1).from;
  const bad: [string, Parameters<typeof a.send>[3], RegExp][] = [
    ["", {}, /^name:/],
    ["ä".repeat(128), {}, /^name: 256 bytes/],
    ["x", { total: -1 }, /^total:/],
    ["x", { total: 1.5 }, /^total:/],
    ["x", { metadata: { note: "x".repeat(5000) } }, /^metadata: 50\d\d bytes/],
    ["x", { metadata: { list: [] } as never }, /^metadata:/],
  ];
  for (const [name, options, message] of bad) {
    const error = await cluster.fails(a.send("b", name, source, options));
    assert.equal(error.code, "invalid_argument");
    assert.match(error.message, message);
  }
  assert.equal(cluster.net.dials.length, 0);
  const first = a.handle("x", () => Promise.resolve());
  assert.throws(
    () => a.handle("x", () => Promise.resolve()),
    (error) => codeOf(error) === "duplicate_handler",
  );
  first[Symbol.dispose]();
  a.handle("x", () => Promise.resolve());
  assert.equal((await cluster.fails(a.send("z", "x", source))).code, "unknown_peer");
});

Deno.test("a transfer is accepted once, from a byte that there is", async () => {
  await using cluster = new Cluster();
  const refused: (string | undefined)[] = [];
  const attempt = (accept: () => unknown) => {
    try {
      accept();
    } catch (error) {
      refused.push(codeOf(error));
    }
  };
  cluster.of("b").handle("it", async (transfer) => {
    for (const offset of [-1, 1.5, 101]) attempt(() => transfer.accept(offset));
    const stream = transfer.accept(100);
    attempt(() => transfer.accept());
    assert.equal((await readAll(stream)).length, 0);
  });
  const source = new Source(100);
  const sent = cluster.of("a").send("b", "it", source.from, { total: 100 });
  assert.deepEqual(await cluster.settled(sent), { resumedAt: 100, bytes: 0, sha256: undefined });
  assert.deepEqual(refused, Array(4).fill("invalid_argument"));
});

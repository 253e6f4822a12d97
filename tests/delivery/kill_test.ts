// Sender and receiver killed with guaranteed messages in flight: nothing that was
// promised is lost, what a transaction wrote is there once and in order, and what is
// handled again was marked. `MYCNET_KILLS=300` kills more often than the usual 16 times.
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { freePort } from "../harness/ports.ts";
import { type Child, startDeno, tempFolder } from "../harness/processes.ts";
import type { Role } from "./program.ts";

const program = fileURLToPath(new URL("program.ts", import.meta.url));
const kills = Number(Deno.env.get("MYCNET_KILLS") ?? 16);

/** What each kill leaves waiting adds up, and in the end all of it is handled. */
const patienceMs = 30_000 + kills * 500;

const start = (role: Role): Child =>
  startDeno(["run", "-A", program, JSON.stringify(role)], { patienceMs });

const ready = (child: Child): Promise<number> =>
  child.line("that it is ready", (line) => {
    const match = /^ready (\d+)$/.exec(line);
    return match === null ? undefined : Number(match[1]);
  });

/** The numbers that a sender promised. */
const kept = (child: Child): number[] =>
  child.stdout.filter((line) => line.startsWith("kept ")).map((line) => Number(line.slice(5)));

/** Waits until so many promises were kept, or all there are. */
const some = (child: Child, count: number): Promise<unknown> => {
  let seen = 0;
  return child.line(
    `${count} promises`,
    (line) => line === "drained" || line.startsWith("kept ") && ++seen >= count ? line : undefined,
  );
};

Deno.test(`${kills} kills of sender and receiver lose nothing, and repeat nothing that a transaction wrote`, async () => {
  await using folder = await tempFolder();
  const stateDir = `${folder.path}/state`;
  for (const id of ["sender", "receiver"]) {
    await Deno.mkdir(`${stateDir}/nodes/${id}`, { recursive: true });
  }
  const address = `127.0.0.1:${freePort()}`;
  const receiverRole: Role = { role: "receiver", folder: stateDir, address };
  const promised = new Set<number>();
  let from = 1;
  const nextSender = () => {
    const role: Role = { role: "sender", folder: stateDir, address, from, count: 1000 };
    from += 10_000;
    return start(role);
  };
  let leftOver = 0;
  let receiver = start(receiverRole);
  let sender = nextSender();
  try {
    await ready(receiver);
    leftOver += await ready(sender);
    for (let kill = 0; kill < kills; kill++) {
      // In turn the one, the other and both, after few promises or many.
      await some(sender, 50 + kill * 97 % 700);
      const both = kill % 3 === 2;
      if (kill % 3 === 0 || both) await receiver.kill();
      if (kill % 3 === 1 || both) {
        await sender.kill();
        for (const number of kept(sender)) promised.add(number);
        await sender[Symbol.asyncDispose]();
        sender = nextSender();
        leftOver += await ready(sender);
      }
      if (kill % 3 === 0 || both) {
        await receiver[Symbol.asyncDispose]();
        receiver = start(receiverRole);
        await ready(receiver);
      }
    }
    await sender.line("that nothing waits", (line) => line === "drained" ? line : undefined);
    for (const number of kept(sender)) promised.add(number);
    await sender.stop();
    await receiver.stop();
  } finally {
    await sender[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
  }

  assert(leftOver > 0, "no sender was killed with messages in its outbox");
  using database = new DatabaseSync(`${stateDir}/nodes/receiver/delivery.db`);
  const seen = database.prepare("SELECT number FROM seen ORDER BY rowid").all()
    .map(({ number }) => Number(number));
  assert.equal(new Set(seen).size, seen.length, "a transaction was done twice");
  assert.deepEqual(seen, seen.toSorted((a, b) => a - b), "the order was not kept");
  const lines = (await Deno.readTextFile(`${stateDir}/plain.log`)).trim().split("\n");
  const handled = new Set<number>();
  let again = 0;
  for (const line of lines) {
    const number = parseInt(line);
    if (handled.has(number)) {
      again++;
      assert.match(line, / again$/, `${number} was handled again without a mark`);
    }
    handled.add(number);
  }
  const inTable = new Set(seen);
  for (const number of promised) {
    assert(inTable.has(number), `${number} was promised and is not in the table`);
    assert(handled.has(number), `${number} was promised and was not handled`);
  }
  assert(promised.size >= 1000, `${promised.size} promised: the last sender alone had 1000`);
  const outbox = new DatabaseSync(`${stateDir}/nodes/sender/delivery.db`);
  assert.equal(outbox.prepare("SELECT count(*) AS n FROM outbox").get()!.n, 0);
  outbox.close();
  console.log(`${promised.size} messages promised, ${again} handled again and marked`);
});

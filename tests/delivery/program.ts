/**
 * A node as a process, for tests that kill it: `sender` sends guaranteed messages
 * without end, `receiver` handles them. One argument: a {@linkcode Role} as JSON.
 *
 * Every number is sent under two names. `custom.once` is handled in the message's
 * transaction, which writes it into a table. `custom.plain` is written into a file by
 * a handler that takes its time now and then; a line says whether it was marked as redelivered.
 * The sender prints `kept <number>` for each number whose two promises were kept, and
 * `drained` whenever nothing waits any more. Ends with its standard input.
 */
import { createNode } from "../../mod.ts";

/** What a process is. */
export interface Role {
  readonly role: "sender" | "receiver";
  readonly folder: string;
  /** Where the receiver listens. */
  readonly address: string;
  /** The first number to send. */
  readonly from?: number;
  /** How many. */
  readonly count?: number;
}

async function start({ role, folder, address }: Role) {
  return await createNode({
    config: false,
    node: {
      id: role,
      cluster: "test",
      type: "sclerotia",
      bindAddress: role === "receiver" ? address : "127.0.0.1:0",
      stateDir: folder,
    },
    plugins: {
      "identity": { insecure: true },
      "tls": false,
      "tcp": { insecure: true },
      "static": { seeds: role === "sender" ? [address] : [] },
      "admin": false,
      "http-gateway": false,
    },
  });
}

type TestNode = Awaited<ReturnType<typeof start>>;

function receive(node: TestNode, folder: string): void {
  const encode = new TextEncoder();
  const decode = new TextDecoder();
  const file = Deno.openSync(`${folder}/plain.log`, { append: true, create: true });
  node.handle("custom.once", (bytes, context) => {
    context.transaction((database) => {
      database.exec("CREATE TABLE IF NOT EXISTS seen (number INTEGER)");
      database.prepare("INSERT INTO seen VALUES (?)").run(Number(decode.decode(bytes)));
    });
  });
  node.handle("custom.plain", async (bytes, { redelivered }) => {
    file.writeSync(encode.encode(`${decode.decode(bytes)}${redelivered ? " again" : ""}\n`));
    if (Number(decode.decode(bytes)) % 50 === 0) await new Promise((done) => setTimeout(done, 1));
  });
}

async function send(node: TestNode, from: number, count: number): Promise<void> {
  const options = { reliability: "guaranteed" } as const;
  const batch = 50;
  for (let first = from; first < from + count; first += batch) {
    const sends = Array.from({ length: batch }, async (_, at) => {
      const bytes = new TextEncoder().encode(`${first + at}`);
      await Promise.all([
        node.send("receiver", "custom.once", bytes, options),
        node.send("receiver", "custom.plain", bytes, { ...options, priority: "low" }),
      ]);
      console.log(`kept ${first + at}`);
    });
    await Promise.all(sends);
    await new Promise((done) => setTimeout(done, 5));
  }
  while (node.metrics().communication.outbox_messages > 0) {
    await new Promise((done) => setTimeout(done, 20));
  }
  console.log("drained");
}

if (import.meta.main) {
  const role: Role = JSON.parse(Deno.args[0]);
  await using node = await start(role);
  console.log(`ready ${node.metrics().communication.outbox_messages}`);
  if (role.role === "receiver") receive(node, role.folder);
  else await send(node, role.from!, role.count!);
  for await (const _ of Deno.stdin.readable) {
    // Only its end means something.
  }
}

/** Many nodes in one process, each with a link to the same other one; what they talk about is nothing. */
import { startNode } from "../lib/nodes.ts";
import { programArgument, serveCommands } from "../lib/program.ts";

/** What it is started with. */
export interface ClientsArgument {
  readonly stateDir: string;
  /** The nodes to be. */
  readonly ids: readonly string[];
  /** Whom all of them link to. */
  readonly seed: string;
}

/** Nodes that start at a time: enough to keep a core busy with handshakes. */
const atOnce = 8;

if (import.meta.main) {
  const { stateDir, ids, seed } = programArgument<ClientsArgument>();
  await using stack = new AsyncDisposableStack();
  const waiting = [...ids];
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let id; (id = waiting.shift()) !== undefined;) {
      stack.use(await startNode({ id, type: "hyphae", transport: "tls", stateDir, seed }));
    }
  }));
  await serveCommands("", {});
}

/** Whole nodes over memory, for the tests of the node itself. */
import { builtIns } from "../../plugins/mod.ts";
import { MemoryNetwork } from "../../plugins/transports/memory.ts";
import type { LogFields } from "../kernel/host.ts";
import { createNodeWith, type NodeOptions } from "./create_node.ts";
import type { Node } from "./node.ts";

/** One line of a node's log. */
export interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A network of nodes that touch neither sockets nor files, unless a test makes them. */
export class TestNodes {
  readonly network: MemoryNetwork = new MemoryNetwork();
  readonly lines: Line[] = [];

  /** What a node that nobody needs to trust is declared as; it listens at `memory://<id>`. */
  options(id: string, over: NodeOptions = {}): NodeOptions {
    return {
      config: false,
      log: (level, message, fields) => void this.lines.push({ level, message, fields }),
      ...over,
      node: { id, cluster: "test", type: "sclerotia", stateDir: "unused", ...over.node },
      plugins: {
        "identity": { insecure: true },
        "memory": { network: this.network, address: id },
        "tls": false,
        "admin": false,
        "http-gateway": false,
        ...over.plugins,
      },
    };
  }

  /** Starts one. */
  start(id: string, over: NodeOptions = {}): Promise<Node> {
    return createNodeWith(builtIns, this.options(id, over));
  }

  /** What was logged at a level. */
  logged(...levels: string[]): string[] {
    return this.lines.filter(({ level }) => levels.includes(level)).map(({ message }) => message);
  }
}

/** Resolves when `id` is linked to a node. */
export async function linked(node: Node, id: string): Promise<void> {
  const up = () =>
    node.members().some((it) => it.id === id && it.links.some((link) => link.state === "up"));
  const events = node.events();
  try {
    while (!up()) if ((await events.next()).done) throw new Error(`${node.id} stopped`);
  } finally {
    await events.return?.();
  }
}

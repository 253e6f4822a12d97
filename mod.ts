/**
 * mycnet: a cluster runtime for Deno and TypeScript.
 *
 * `createNode` makes a node of a network out of the plugins that the nearest
 * deno.json declares; `deno run mod.ts <command>` is the command line.
 *
 * @example A service and a call to it, in one process.
 * ```ts
 * import { createNode, defineService } from "@mycnet/runtime";
 * import { z } from "zod";
 *
 * const greeter = defineService("greeter", {
 *   version: 1,
 *   methods: { hello: { input: z.string(), output: z.string(), idempotent: true } },
 * });
 *
 * await using node = await createNode({
 *   config: false,
 *   node: { id: "solo" },
 *   plugins: { identity: { insecure: true }, tls: false, admin: false, "http-gateway": false },
 * });
 * await using serving = node.serve(greeter, { hello: (name) => `Hello, ${name}` });
 * console.log(await node.client(greeter).hello("Ada"));
 * ```
 * @module
 */
import { createNodeWith, type NodeOptions } from "./core/node/create_node.ts";
import type { Node } from "./core/node/node.ts";
import { builtIns } from "./plugins/mod.ts";
// What plugins of the user's own import: loaded beforehand, it takes them no permission to read it.
import "./plugin.ts";

export * from "./core/node/public.ts";

/**
 * Makes and starts a node.
 *
 * The declaration is the `mycnet` key of the nearest deno.json (or what
 * `config` names), with `node`, `plugins` and `profiles` of `options` laid
 * over it. The node runs until it is stopped; `await using` stops it.
 *
 * @throws with `code` `config_unreadable`, `config_invalid`, `plugin_unknown`,
 * `plugin_missing`, `plugin_setup_failed` ..., a message that names the field
 * and a `remedy`. Nothing is left running then.
 */
export function createNode(options: NodeOptions = {}): Promise<Node> {
  return createNodeWith(builtIns, options);
}

if (import.meta.main) {
  // Loaded here only, so that whoever imports the library does not carry it. Not awaited: a
  // plugin that imports this module is loaded once this module has been evaluated, not before.
  import("./core/cli/main.ts").then(({ main }) => main(builtIns, import.meta.url));
}

/** The `messenger` plugin: messages by name over the node's links. */
import { z } from "zod";
import { type Messenger, messenger } from "../../contracts/messenger.ts";
import { metricsSources } from "../../contracts/metrics.ts";
import { peers } from "../../contracts/peers.ts";
import { definePlugin } from "../../kernel/define_plugin.ts";
import type { Plugin } from "../../kernel/plugin.ts";
import { NodeMessenger } from "./messenger.ts";

/** Messages by name: send, request, broadcast, scatter, quorum, handle. */
const plugin: Plugin<Messenger> = definePlugin({
  name: "messenger",
  summary: "Messages by name between nodes: send, request, broadcast, scatter, quorum.",
  provides: messenger,
  needs: { peers },
  config: z.strictObject({}),
  setup(scope): Messenger {
    const node = scope.own(new NodeMessenger(scope.host, scope.needs.peers));
    scope.contribute(metricsSources, { category: "communication", read: () => node.metrics() });
    return node;
  },
});

export default plugin;

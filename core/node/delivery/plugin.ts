/** The `delivery` plugin: acknowledged messages over the node's links. */
import { databases } from "../../contracts/databases.ts";
import { type Delivery, delivery } from "../../contracts/delivery.ts";
import { healthSources } from "../../contracts/health.ts";
import { identity } from "../../contracts/identity.ts";
import { metricsSources } from "../../contracts/metrics.ts";
import { peers } from "../../contracts/peers.ts";
import { definePlugin } from "../../kernel/define_plugin.ts";
import type { Plugin } from "../../kernel/plugin.ts";
import { deliveryConfig } from "./config.ts";
import { NodeDelivery } from "./delivery.ts";

/** Messages that are acknowledged, sent again, and handed up once and in order. */
const plugin: Plugin<Delivery> = definePlugin({
  name: "delivery",
  summary: "Messages that are acknowledged: sent again until they are, handed up once.",
  provides: delivery,
  needs: { peers, databases, identity },
  config: deliveryConfig,
  setup({ host, config, needs: { peers, databases, identity }, own, contribute }): Delivery {
    const node = own(new NodeDelivery({ host, self: identity.self.id, peers, databases, config }));
    contribute(metricsSources, {
      category: "communication",
      gauges: ["messages_in_flight", "outbox_messages", "outbox_bytes"],
      read: () => node.metrics(),
    });
    contribute(healthSources, () => node.health());
    return node;
  },
});

export default plugin;

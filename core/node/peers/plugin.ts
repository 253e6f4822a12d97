/**
 * The `peers` plugin: attaches every transport and every source of addresses
 * to the peers of the node, and reports health and metrics.
 */
import { databases } from "../../contracts/databases.ts";
import { discovery } from "../../contracts/discovery.ts";
import { healthSources } from "../../contracts/health.ts";
import { identity } from "../../contracts/identity.ts";
import { metricFamilies, metricsSources } from "../../contracts/metrics.ts";
import { announcedGossip, memberStates, type Peers, peers } from "../../contracts/peers.ts";
import { settings } from "../../contracts/settings.ts";
import { transport } from "../../contracts/transport.ts";
import { definePlugin } from "../../kernel/define_plugin.ts";
import { live, maybe, type Plugin } from "../../kernel/plugin.ts";
import { defaultCapabilities } from "@mycnet/protocols/negotiation";
import { zstdAvailable } from "../links/compression.ts";
import { memberState } from "../member_state.ts";
import { peersConfig } from "./config.ts";
import { networkFamilies } from "./families.ts";
import { NodePeers } from "./peers.ts";
import { Announcer, follow } from "./sources.ts";

/** The peers of a node: links to other nodes over every transport there is. */
const plugin: Plugin<Peers> = definePlugin({
  name: "peers",
  summary: "Links to other nodes over every transport there is.",
  provides: peers,
  needs: {
    settings,
    identity,
    databases: maybe(databases),
    transports: live(transport),
    sources: live(discovery),
    states: live(memberStates),
    gossips: live(announcedGossip),
  },
  config: peersConfig,
  setup(scope): Peers {
    const { config, host } = scope;
    const { settings, identity: { self }, databases, transports, sources, states, gossips } =
      scope.needs;
    const node = new NodePeers({
      host,
      self,
      config,
      capabilities: {
        ...defaultCapabilities,
        compressions: config.compression.enabled && zstdAvailable ? ["zstd", "none"] : ["none"],
        reliabilities: databases !== undefined && databases.unavailable === undefined
          ? [...defaultCapabilities.reliabilities, "guaranteed"]
          : defaultCapabilities.reliabilities,
        transports: [...new Set([...transports].map(({ scheme }) => scheme))],
      },
      profiles: settings.profiles,
      maxConnections: settings.maxConnections,
      connectionTimeoutMs: settings.connectionTimeoutMs,
      transports: () => transports,
      stateOf: (id) => memberState(states, id),
      gossip: () => [...gossips][0]?.address,
    });
    scope.own({
      [Symbol.asyncDispose]: () =>
        scope.closing.aborted
          ? node.close("shutting_down", "the node is stopping")
          : node.close("restarting", "the node is reloading its configuration"),
    });
    const announcer = new Announcer(host, () => ({
      id: self.id,
      addresses: [...transports].flatMap(({ addresses }) => addresses),
      metadata: { type: self.type },
    }));
    scope.own(transports.each((transport) => {
      const accepting = transport.accept((connection) => node.accept(connection));
      announcer.changed();
      return {
        [Symbol.dispose]: () => {
          accepting[Symbol.dispose]();
          announcer.changed();
        },
      };
    }));
    scope.own(sources.each((source) => {
      const announced = announcer.add(source);
      const following = follow({
        host,
        source,
        self: self.id,
        retryMs: config.backoff.cap,
        learn: (hint) => node.learn(hint),
      });
      return {
        async [Symbol.asyncDispose]() {
          await Promise.all([following[Symbol.asyncDispose](), announced[Symbol.asyncDispose]()]);
        },
      };
    }));
    scope.contribute(healthSources, () => node.health());
    scope.contribute(metricsSources, {
      category: "communication",
      gauges: ["active_connections"],
      read: () => node.metrics(),
    });
    scope.contribute(metricsSources, { category: "communication", read: () => node.compression });
    for (const family of networkFamilies(node.measures)) scope.contribute(metricFamilies, family);
    return node;
  },
});

export default plugin;

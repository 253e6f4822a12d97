/**
 * The plugin `swim`: who is in the cluster and alive, by gossip.
 *
 * Theory of operation. Decisions are those of pure machines (protocols/swim and,
 * above it, protocols/serf); this plugin gives them a port, a timer, a cipher, a
 * memory and a way to the rest of the node. address.ts says where it listens;
 * driver.ts moves packets, streams and time; gossip.ts is the contract; joiner.ts
 * finds the others for as long as it takes, through seeds, discovery (discovered.ts)
 * and whoever is linked (linked.ts: a hello says where its sender gossips); memory.ts keeps what a restart must not forget; hints.ts tells the peers
 * where members take links; retagging.ts says when tags are told anew. Gossip is encrypted under the cluster's key and does
 * not start without one, unless told to. A hyphae holds no such key: on it the
 * plugin runs without gossiping, and links alone tell who is there. When the node
 * stops it leaves in order, within a bound; when only the plugin is restarted, by
 * a changed configuration, it does not, and nobody notices.
 */
import { GossipKeyring } from "@mycnet/protocols/swim";
import { adminRoutes } from "../../core/contracts/admin.ts";
import { discovery } from "../../core/contracts/discovery.ts";
import { type HealthReport, healthSources } from "../../core/contracts/health.ts";
import {
  gossipTags,
  type Membership,
  membership,
  servicesTag,
} from "../../core/contracts/membership.ts";
import { metricsSources } from "../../core/contracts/metrics.ts";
import { nodeControl } from "../../core/contracts/node.ts";
import { announcedGossip, memberStates, peers, peerUp } from "../../core/contracts/peers.ts";
import { type Settings, settings } from "../../core/contracts/settings.ts";
import { type Port, type Sockets, sockets } from "../../core/contracts/sockets.ts";
import { store } from "../../core/contracts/store.ts";
import { transport } from "../../core/contracts/transport.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import { codeOf, MycnetError } from "../../core/kernel/errors.ts";
import { live, maybe, type Plugin } from "../../core/kernel/plugin.ts";
import { parseHostPort } from "../../core/node/net/mod.ts";
import { runtimeVersion } from "../../core/node/version.ts";
import { absentMembership } from "./swim/absent.ts";
import { addressBeside, gossipAboveLinks, portBeside } from "./swim/address.ts";
import { gcmCipher } from "./swim/cipher.ts";
import { machineConfig, swimConfig, type SwimPluginConfig } from "./swim/config.ts";
import { type Candidates, followSource } from "./swim/discovered.ts";
import { GossipDriver } from "./swim/driver.ts";
import { Gossip } from "./swim/gossip.ts";
import { MemberHints } from "./swim/hints.ts";
import { Joiner } from "./swim/joiner.ts";
import { loadKeys } from "./swim/keys.ts";
import { leaveWithin } from "./swim/leaving.ts";
import { candidatesNow, isStranger } from "./swim/linked.ts";
import { GossipMemory } from "./swim/memory.ts";
import { topologyGauges } from "./swim/metrics.ts";
import { PlainLayer } from "./swim/plain.ts";
import { membershipRoutes } from "./swim/routes.ts";
import { Retagging } from "./swim/retagging.ts";
import { SerfLayer } from "./swim/serf.ts";
import { nodeTags, type Tags } from "./swim/tags.ts";

/** The plugin. */
const plugin: Plugin<Membership> = definePlugin({
  name: "swim",
  summary: "Membership by gossip: SWIM with Lifeguard, on the wire of memberlist and Serf.",
  provides: membership,
  needs: {
    settings,
    peers,
    sockets,
    store,
    control: maybe(nodeControl),
    transports: live(transport),
    words: live(gossipTags),
    sources: live(discovery),
  },
  config: swimConfig,
  permissions: ({ keyringPath }) => ({
    net: true,
    ...(keyringPath === undefined ? {} : { read: [keyringPath], write: [keyringPath] }),
  }),
  async setup(scope) {
    const { config, host, needs, own, contribute } = scope;
    if (needs.settings.type === "hyphae") return absentMembership();

    const machine = machineConfig(config);
    const keys = await loadKeys(config, needs.settings, host);
    const keyring = new GossipKeyring(gcmCipher((length) => host.randomBytes(length)), keys.keys);
    const port = own(await bind(config, needs.settings, needs.sockets));
    const memory = own(await GossipMemory.load(needs.store, host));
    const driver = own(new GossipDriver({ host, port, lagEveryMs: Math.max(50, machine.lagMs) }));
    const hints = own(
      new MemberHints({
        self: needs.settings.id,
        cluster: needs.settings.cluster,
        learn: (hint) => needs.peers.learn(hint),
        log: host.log,
      }),
    );
    let written = config;
    const tags = (changes: Readonly<Record<string, string | undefined>>): Tags => {
      const all = { ...written.tags, ...changes };
      const users = Object.fromEntries(
        Object.entries(all).filter((it): it is [string, string] => it[1] !== undefined),
      );
      return nodeTags({
        ...needs.settings,
        linkAddresses: [...needs.transports].flatMap((it) => it.addresses),
        version: runtimeVersion,
        services: [...needs.words].find(({ name }) => name === servicesTag)?.value(),
      }, users);
    };
    const gossip = new Gossip({
      host,
      self: needs.settings.id,
      cluster: needs.settings.cluster,
      driver,
      memory,
      hints,
      keyring,
      keys,
      probeIntervalMs: machine.probeIntervalMs,
      tags,
      layer: (handler) => {
        const parts = {
          name: needs.settings.id,
          address: port.address,
          config: machine,
          incarnation: memory.incarnation,
          tags: tags({}),
          keyring,
          clocks: memory.clocks,
          random: () => host.random(),
          nowMs: host.now(),
        };
        return config.interop === "memberlist" ? new PlainLayer(parts, handler) : new SerfLayer({
          ...parts,
          reconnectIntervalMs: config.reconnectInterval,
          reconnectTimeoutMs: config.reconnectTimeout,
          tombstoneMs: config.tombstoneTimeout,
        }, handler);
      },
    });
    const { layer } = gossip;
    own({ [Symbol.asyncDispose]: () => keys.settled() });
    own({ [Symbol.dispose]: () => layer.stop() });
    memory.followClocks(() => layer.clocks);
    driver.start(layer);

    const ownPort = parseHostPort(port.address).port;
    const gossipPort = config.bindAddress === undefined ? portBeside : () => ownPort;
    const found = new Map<string, Candidates>();
    const stateOf = (id: string) => layer.member(id)?.state;
    const joiner = own(
      new Joiner({
        host,
        layer,
        address: port.address,
        seeds: () => {
          if (!config.joinDiscovered) return { told: written.join, guessed: [] };
          const { told, guessed } = candidatesNow({
            peers: needs.peers.list(),
            found: found.values(),
            stateOf,
            gossipPort,
          });
          return { told: [...written.join, ...told], guessed };
        },
        known: () =>
          memory.hasLeft && !config.rejoin
            ? []
            : memory.known.filter(([name]) => name !== needs.settings.id),
        intervalMs: config.reconnectInterval,
        active: () => !gossip.leaving,
        enter: (run) => void driver.enter(run),
      }),
    );
    own({
      [Symbol.asyncDispose]: async () => {
        joiner[Symbol.dispose]();
        // A plugin that is merely restarted says nothing: the others will not have missed it.
        if (needs.control?.ready !== true) {
          const told = needs.control?.leaving === true;
          const leave = () => told ? gossip.leave() : gossip.depart();
          await leaveWithin(host, { leave }, config.leaveTimeout);
        }
      },
    });
    if (config.joinDiscovered) {
      // Whoever is linked and no member may be the way into another half of the cluster.
      own(host.on(peerUp, ({ id, type }) => {
        if (isStranger(type, stateOf(id))) joiner.start();
      }));
      own(needs.sources.each((source) => {
        const following = followSource({
          host,
          source,
          self: needs.settings.id,
          gossipPort,
          found: (candidates) => {
            found.set(source.id, candidates);
            if (layer.swim.liveCount <= 1) joiner.start();
          },
        });
        return {
          async [Symbol.asyncDispose]() {
            await following[Symbol.asyncDispose]();
            found.delete(source.id);
          },
        };
      }));
    }
    const retagging = own(
      new Retagging(host, () => {
        try {
          gossip.setTags({});
        } catch (error) {
          host.log.warn("The tags of this node cannot be changed.", {
            reason: (error as Error).message,
          });
        }
      }),
    );
    const retag = () => retagging.changed();
    own(needs.transports.each(() => {
      retag();
      return { [Symbol.dispose]: retag };
    }));
    own(needs.words.each((word) => {
      retag();
      const hearing = word.onChange(retag);
      return {
        [Symbol.dispose]() {
          hearing[Symbol.dispose]();
          retag();
        },
      };
    }));
    if (memory.hasLeft && !config.rejoin && memory.known.length > 0) {
      host.log.info("This node was told to leave: it does not seek the members that it knew.", {
        remedy: "Join one, name one in join, or set rejoin to true.",
      });
    }
    joiner.start();

    scope.onReconfigure((next) => {
      if (!sameBut(written, next, ["tags", "join"])) return false;
      nodeTags({ ...needs.settings, linkAddresses: [], version: runtimeVersion }, next.tags);
      written = next;
      retag();
      joiner.start();
      return true;
    });
    contribute(memberStates, gossip);
    contribute(announcedGossip, { address: port.address });
    contribute(metricsSources, {
      category: "topology",
      gauges: topologyGauges,
      read: () => gossip.metrics(),
    });
    contribute(healthSources, () => report(gossip, joiner));
    const shown = () => ({
      node: needs.settings.id,
      address: port.address,
      interop: config.interop,
      encrypted: keyring.keys.length > 0,
      status: layer.swim.status,
      incarnation: layer.swim.self.incarnation,
      healthScore: layer.swim.healthScore,
      members: layer.swim.size,
      alive: layer.swim.liveCount,
      counters: gossip.metrics(),
    });
    const parts = { host, membership: gossip, own: shown, signal: scope.signal };
    for (const routes of membershipRoutes(parts)) contribute(adminRoutes, routes);
    host.log.info("Gossip listens.", { address: port.address, interop: config.interop });
    return gossip;
  },
});
export default plugin;

/** Binds the plugin's own address, or one beside that of links; tells others its own, or the node's host. */
async function bind(
  config: SwimPluginConfig,
  { bindAddress, advertiseAddress }: Settings,
  sockets: Sockets,
): Promise<Port> {
  const { bindAddress: own } = config;
  const address = own ?? addressBeside(bindAddress);
  try {
    return await sockets.bind({
      bindAddress: address,
      advertiseAddress: config.advertiseAddress ?? advertiseAddress?.replace(/:\d+$/, ":0"),
    });
  } catch (error) {
    if (own !== undefined || codeOf(error) !== "address_in_use") throw error;
    throw new MycnetError(
      "address_in_use",
      `${address}, where this node gossips (${gossipAboveLinks} ports above node.bindAddress), ` +
        `is in use by another process. Set node.bindAddress (--bind) to another port, or ` +
        `bindAddress of swim`,
      { cause: error },
    );
  }
}

function report(gossip: Gossip, joiner: Joiner): HealthReport {
  if (gossip.nameLost) {
    return { status: "unhealthy", reason: "the cluster holds another member for this node's id" };
  }
  const { trouble } = joiner;
  if (trouble !== undefined) return { status: "degraded", reason: trouble };
  const { healthScore } = gossip.layer.swim;
  if (healthScore < 2) return { status: "healthy" };
  return {
    status: "degraded",
    reason: `this process is slow or its network lossy: local health score ${healthScore}`,
  };
}

/** Whether two configurations differ in nothing but the named fields. */
function sameBut(
  a: SwimPluginConfig,
  b: SwimPluginConfig,
  names: readonly (keyof SwimPluginConfig)[],
): boolean {
  const rest = (config: SwimPluginConfig) =>
    JSON.stringify(
      Object.entries(config).filter(([key]) => !(names as readonly string[]).includes(key)).sort(),
    );
  return rest(a) === rest(b);
}

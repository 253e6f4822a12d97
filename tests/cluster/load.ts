/**
 * A plugin for nodes under test: calls `greeter/who` without a pause, and writes
 * into the node's log, ten times a second, what came of it and how its links do.
 */
import { type ServiceLayer, serviceLayer } from "@mycnet/runtime";
import { capability, definePlugin, peers, type Plugin } from "@mycnet/runtime/plugin";
import { z } from "zod";
import { greeter } from "./greeter.ts";

/** What came of the calls since the tally before. */
export interface Tally {
  /** Wall-clock time in ms. */
  readonly at: number;
  /** Calls under way. */
  readonly pending: number;
  readonly failures: readonly string[];
  /** Answers by `id@generation`. */
  readonly answers: Readonly<Record<string, number>>;
  /** The link to each node that has one: its id and health. */
  readonly links: Readonly<Record<string, { readonly id: string; readonly health: string }>>;
}

const plugin: Plugin<ServiceLayer> = definePlugin({
  name: "load",
  summary: "Calls without a pause.",
  provides: capability<ServiceLayer>("load"),
  needs: { services: serviceLayer, peers },
  config: z.strictObject({}),
  setup({ needs, host, own }) {
    const client = needs.services.client(greeter);
    let pending = 0;
    let failures: string[] = [];
    let answers: Record<string, number> = {};
    own(host.every(4, () => {
      pending++;
      client.who({}).then(
        (from) => answers[from] = (answers[from] ?? 0) + 1,
        (error) => failures.push(`${error.code}: ${error.message}`),
      ).finally(() => pending--);
    }));
    own(host.every(100, () => {
      const links = Object.fromEntries(
        needs.peers.links().map(({ id, peer, info }) => [peer.id, { id, health: info.health }]),
      );
      const tally: Tally = { at: host.wallTime(), pending, failures, answers, links };
      host.log.info("tally", { ...tally });
      failures = [];
      answers = {};
    }));
    return needs.services;
  },
});
export default plugin;

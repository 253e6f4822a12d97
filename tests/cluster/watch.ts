/**
 * A plugin for nodes under test whose endpoints cannot be reached: writes into the
 * node's log, ten times a second, how it sees the members.
 */
import {
  capability,
  definePlugin,
  membership,
  nodeControl,
  type Plugin,
} from "@mycnet/runtime/plugin";
import { z } from "zod";

/** How a node sees the members. */
export interface View {
  /** Wall-clock time in ms. */
  readonly at: number;
  /** The state of each by id, this node included. */
  readonly states: Readonly<Record<string, string>>;
  /** The counters of its gossip. */
  readonly counters: Readonly<Record<string, number>>;
}

/** Nothing is to be had from it. */
const watch: Plugin<object> = definePlugin({
  name: "watch",
  summary: "Logs the members.",
  provides: capability<object>("watch"),
  needs: { membership, control: nodeControl },
  config: z.strictObject({}),
  setup({ needs, host, own }) {
    own(host.every(100, () => {
      const members = needs.membership.members().map(({ id, state }) => [id, state]);
      const view: View = {
        at: host.wallTime(),
        states: Object.fromEntries(members),
        counters: needs.control.metrics().topology ?? {},
      };
      host.log.info("view", { ...view });
    }));
    return {};
  },
});
export default watch;

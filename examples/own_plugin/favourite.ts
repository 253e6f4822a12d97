/**
 * A balancer of one's own: one node does all the work while it is healthy, and
 * otherwise whoever is least busy.
 *
 * A plugin is the default export of a module. Its `config` is what may stand
 * beside it in the configuration: a mistake there is reported with the field.
 */
import { type Balancer, balancer, definePlugin, type Plugin } from "@mycnet/runtime/plugin";
import { z } from "zod";

const plugin: Plugin<Balancer> = definePlugin({
  name: "favourite",
  summary: "Prefers one node, then whoever is least busy.",
  provides: balancer,
  needs: {},
  config: z.strictObject({ node: z.string().describe("The id of the node to prefer.") }),
  setup({ id, config }) {
    return {
      id,
      select(candidates) {
        const favourite = candidates.findIndex((it) =>
          it.id === config.node && it.health === "healthy"
        );
        if (favourite >= 0) return favourite;
        let best = 0;
        for (const [index, { inFlight }] of candidates.entries()) {
          if (inFlight < candidates[best].inFlight) best = index;
        }
        return best;
      },
    };
  },
});
export default plugin;

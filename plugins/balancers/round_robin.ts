/**
 * Round robin: each subject's calls go to its servers in turn.
 *
 * The turn is kept per subject as the id last chosen, not as an index, so that
 * a server that joins or leaves shifts nobody's turn: the next is the first id
 * after the last one, in the order of ids, and then from the beginning.
 * Unhealthy candidates are passed over while a better one exists. The number
 * of subjects remembered is bounded; forgetting one costs it its place only.
 */
import { z } from "zod";
import { type Balancer, balancer } from "../../core/contracts/balancer.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import type { Plugin } from "../../core/kernel/plugin.ts";

const maxSubjects = 1024;

/** A balancer by turns. `id` is its instance id. */
export function roundRobin(id: string): Balancer {
  const lastBySubject = new Map<string, string>();
  return {
    id,
    select(candidates, { subject }): number {
      const last = lastBySubject.get(subject);
      let chosen = -1;
      for (let pass = 0; pass < 2 && chosen < 0; pass++) {
        const anyHealth = pass === 1;
        let first = -1;
        for (let i = 0; i < candidates.length && chosen < 0; i++) {
          const candidate = candidates[i];
          if (!anyHealth && candidate.health !== "healthy") continue;
          if (first < 0) first = i;
          if (last === undefined || candidate.id > last) chosen = i;
        }
        if (chosen < 0) chosen = first;
      }
      if (lastBySubject.size >= maxSubjects && last === undefined) lastBySubject.clear();
      lastBySubject.set(subject, candidates[chosen].id);
      return chosen;
    },
  };
}

/** The plugin. It has nothing to configure. */
const plugin: Plugin<Balancer> = definePlugin({
  name: "round_robin",
  summary: "Sends each service's calls to its servers in turn.",
  provides: balancer,
  needs: {},
  config: z.strictObject({}),
  setup: ({ id }) => roundRobin(id),
});
export default plugin;

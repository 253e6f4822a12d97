/**
 * A plugin for nodes under test: the service `greeter`, and word in the node's
 * log of what becomes of its calls.
 */
import { defineService, type ServiceLayer, serviceLayer } from "@mycnet/runtime";
import { capability, definePlugin, identity, type Plugin } from "@mycnet/runtime/plugin";
import { z } from "zod";

/** Both sides' contract. */
export const greeter = defineService("greeter", {
  version: 1,
  methods: {
    hello: { input: z.object({ name: z.string() }), output: z.string(), idempotent: true },
    /** Answers `after` milliseconds later. */
    hold: { input: z.object({ after: z.number() }), output: z.string() },
    /** Counts until nobody listens. */
    count: { input: z.object({ to: z.number() }), stream: z.number() },
    /** Who serves, and which start of it: `id@generation`. */
    who: { input: z.object({}), output: z.string(), idempotent: true },
  },
});

const plugin: Plugin<{ readonly services: ServiceLayer }> = definePlugin({
  name: "greeter",
  summary: "Greets.",
  provides: capability<{ readonly services: ServiceLayer }>("greeter"),
  needs: { services: serviceLayer, identity },
  config: z.strictObject({}),
  setup({ needs: { services, identity }, host, own }) {
    const { id, generation } = identity.self;
    own(services.serve(greeter, {
      hello: ({ name }) => `Hello, ${name}, from ${id}`,
      async hold({ after }) {
        host.log.info("holding");
        await host.sleep(after);
        return `held by ${id}`;
      },
      async *count({ to }, { signal }) {
        try {
          for (let at = 1; at <= to; at++) {
            yield at;
            await host.sleep(5, signal);
          }
        } finally {
          host.log.info("counted", { aborted: signal.aborted });
        }
      },
      who: () => `${id}@${generation}`,
    }));
    return { services };
  },
});
export default plugin;

/**
 * A plugin for nodes under test: the service `relay`, whose calls go through the
 * nodes that they name, the last of which asks the first by message.
 */
import { defineService, type ServiceLayer, serviceLayer } from "@mycnet/runtime";
import { capability, definePlugin, identity, messenger, type Plugin } from "@mycnet/runtime/plugin";
import { z } from "zod";

const relay = defineService("relay", {
  version: 1,
  methods: {
    /** Goes on to the first of `to` with the rest; without any, asks `home` by message. */
    pass: { input: z.object({ to: z.array(z.string()), home: z.string() }), output: z.string() },
    fail: { input: z.object({}), output: z.string() },
  },
});

const plugin: Plugin<{ readonly services: ServiceLayer }> = definePlugin({
  name: "relay",
  summary: "Passes calls on.",
  provides: capability<{ readonly services: ServiceLayer }>("relay"),
  needs: { services: serviceLayer, messenger, identity },
  config: z.strictObject({}),
  setup({ needs: { services, messenger, identity }, own }) {
    const client = services.client(relay);
    own(messenger.handle("custom.echo", (bytes) => bytes));
    own(services.serve(relay, {
      async pass({ to: [next, ...rest], home }) {
        if (next !== undefined) return await client.pass({ to: rest, home }, { node: next });
        await messenger.request(home, "custom.echo", new Uint8Array(3));
        return identity.self.id;
      },
      fail: () => Promise.reject(new Error("on purpose")),
    }));
    return { services };
  },
});
export default plugin;

/**
 * Moleculer: an action that returns its parameter, and one whose parameters are
 * validated; TCP transporter, everything else as it comes (JSON, its own validator).
 */
import { ServiceBroker } from "moleculer";
import { sampleBytes, sampleOrder } from "./sample.js";
import { argument, fail, serve } from "./serve.mjs";

const { role, ports } = argument;
const broker = new ServiceBroker({
  nodeID: role,
  logger: { type: "Console", options: { level: "error" } },
  transporter: {
    type: "TCP",
    options: {
      udpDiscovery: false,
      port: ports[role],
      urls: Object.entries(ports).map(([name, port]) => `tcp://127.0.0.1:${port}/${name}`),
    },
  },
});
if (role === "server") {
  broker.createService({
    name: "bench",
    actions: {
      echo: (context) => context.params.body,
      order: {
        params: {
          id: "number|integer",
          symbol: "string",
          quantity: "number|integer|positive",
          price: "number|positive",
          tags: { type: "array", items: "string" },
        },
        handler: (context) => context.params,
      },
    },
  });
}
await broker.start();
// Text of 64 characters: JSON makes bytes of a Buffer several times as long.
const body = "x".repeat(sampleBytes.length);
const starts = {
  message: (done) => void broker.call("bench.echo", { body }).then(done, fail),
  typed: (done) => void broker.call("bench.order", sampleOrder).then(done, fail),
};
if (role === "client") await broker.waitForServices("bench");
await serve(starts, () => broker.stop());

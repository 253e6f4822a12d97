/**
 * NATS: a subscriber that responds, a client that requests, the server between them.
 * The responding side starts the server and ends it.
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { connect } from "nats";
import { sampleBytes } from "./sample.js";
import { argument, fail, serve } from "./serve.mjs";

const { role, ports: { broker: port } } = argument;
let server;
if (role === "server") {
  server = spawn("nats-server", ["-a", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
  server.on("error", fail);
  process.on("exit", () => server.kill());
}
const connection = await connect({
  servers: `127.0.0.1:${port}`,
  waitOnFirstConnect: true,
  reconnectTimeWait: 50,
});
if (role === "server") {
  connection.subscribe("echo", { callback: (_error, message) => message.respond(message.data) });
  await connection.flush();
}
await serve(
  {
    message: (done) =>
      void connection.request("echo", sampleBytes, { timeout: 10_000 }).then(done, fail),
  },
  async () => {
    await connection.close();
    server?.kill();
  },
);

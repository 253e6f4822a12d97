/** gRPC on @grpc/grpc-js: a unary call that returns its message, in the clear. */
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { sampleBytes } from "./sample.js";
import { argument, fail, serve } from "./serve.mjs";

const { role, ports } = argument;
const file = fileURLToPath(new URL("./echo.proto", import.meta.url));
const { Echo } = grpc.loadPackageDefinition(loadSync(file));
const address = `127.0.0.1:${ports.server}`;
const starts = {};
if (role === "server") {
  const server = new grpc.Server();
  server.addService(Echo.service, { echo: ({ request }, reply) => reply(null, request) });
  await promisify(server.bindAsync.bind(server))(
    address,
    grpc.ServerCredentials.createInsecure(),
  );
} else {
  const client = new Echo(address, grpc.credentials.createInsecure());
  const message = { body: sampleBytes };
  starts.message = (done) =>
    void client.echo(message, (error) => error ? fail(error) : done());
}
await serve(starts);

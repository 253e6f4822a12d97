import assert from "node:assert/strict";
import { freePorts } from "./ports.ts";

Deno.test("ports are different, free, and none that an outgoing connection is given", () => {
  const ports = freePorts(20, Math.random);
  assert.equal(new Set(ports).size, 20);
  for (const port of ports) {
    assert.ok(port >= 20_000 && port < 32_768, `${port}`);
    Deno.listen({ hostname: "127.0.0.1", port }).close();
  }
});

Deno.test("a port that is taken is passed over, and when all are, the error says so", () => {
  const [port] = freePorts(1, Math.random);
  using _taken = Deno.listen({ hostname: "127.0.0.1", port });
  const at = (port - 20_000 + 0.5) / 12_768;
  const draws = [at, at, 0.999];
  const [other] = freePorts(1, () => draws.shift() ?? Math.random());
  assert.notEqual(other, port);
  assert.throws(() => freePorts(1, () => at), { code: "address_in_use" });
});

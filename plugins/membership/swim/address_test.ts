import assert from "node:assert/strict";
import { addressBeside, portBeside } from "./address.ts";

Deno.test("gossip listens 946 ports above the links, at the same host", () => {
  assert.equal(addressBeside("0.0.0.0:7000"), "0.0.0.0:7946");
  assert.equal(addressBeside("127.0.0.1:7001"), "127.0.0.1:7947");
  assert.equal(addressBeside("[::1]:7002"), "[::1]:7948");
  assert.equal(addressBeside(":7000"), ":7946");
  assert.equal(addressBeside("10.0.0.1:0"), "10.0.0.1:0", "any free port for both");
  assert.equal(addressBeside(undefined), "0.0.0.0:7946", "without links, Serf's port");
});

Deno.test("where there is no port so far above, one has to be set", () => {
  assert.equal(portBeside(64_589), 65_535);
  assert.equal(portBeside(64_590), undefined);
  assert.throws(() => addressBeside("127.0.0.1:65000"), {
    code: "config_invalid",
    message: /no port 946 above .*127\.0\.0\.1:65000.* set bindAddress of swim/,
  });
});

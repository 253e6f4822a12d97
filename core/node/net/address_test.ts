import assert from "node:assert/strict";
import fc from "fast-check";
import { announcedAddress, formatHostPort, isWildcard, parseHostPort } from "./address.ts";
import { bindingOf } from "./binding.ts";

Deno.test("host:port is read with names, addresses, brackets and an empty host", () => {
  assert.deepEqual(parseHostPort("db-1.example:7000"), { host: "db-1.example", port: 7000 });
  assert.deepEqual(parseHostPort("10.0.0.5:0"), { host: "10.0.0.5", port: 0 });
  assert.deepEqual(parseHostPort("[::1]:65535"), { host: "::1", port: 65_535 });
  assert.deepEqual(parseHostPort("[fe80::1%eth0]:1"), { host: "fe80::1%eth0", port: 1 });
  assert.deepEqual(parseHostPort(":7000"), { host: "", port: 7000 });
});

Deno.test("what is not host:port is refused by the field's name, and nothing else is thrown", () => {
  for (
    const text of ["", "host", "::1:7000", "host:65536", "host:x", "a b:1", "[x]:1", "tls://h:1"]
  ) {
    assert.throws(() => parseHostPort(text, "bindAddress"), {
      code: "address_invalid",
      message: /^bindAddress: .* is not host:port/,
    });
  }
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      const { host, port } = parseHostPort(text);
      assert.deepEqual(parseHostPort(formatHostPort(host, port)), { host, port });
    } catch (error) {
      assert.equal((error as { code?: string }).code, "address_invalid");
    }
  }));
});

Deno.test("a wildcard is the empty host and zero in both families", () => {
  assert.deepEqual(["", "0.0.0.0", "::", "0:0:0:0:0:0:0:0"].map(isWildcard), Array(4).fill(true));
  assert.deepEqual(["::1", "127.0.0.1", "localhost", "00"].map(isWildcard), Array(4).fill(false));
});

Deno.test("an address is announced as advertised, else as bound, else by the machine's name", () => {
  const announce = (host: string, advertise?: string) =>
    announcedAddress({ bound: { host, port: 7001 }, advertise, hostname: () => "box" });
  assert.equal(announce("10.0.0.5"), "10.0.0.5:7001");
  assert.equal(announce("::1"), "[::1]:7001");
  assert.equal(announce("0.0.0.0"), "box:7001");
  assert.equal(announce("0.0.0.0", "public.example:9000"), "public.example:9000");
  assert.equal(announce("0.0.0.0", "public.example:0"), "public.example:7001");
  assert.throws(() => announce("10.0.0.5", "0.0.0.0:7000"), {
    message: /^advertiseAddress: .*every/,
  });
});

Deno.test("the node's advertised port belongs to the node's own bind address", () => {
  const node = { bindAddress: "0.0.0.0:7000", advertiseAddress: "a.example:7000" };
  assert.deepEqual(bindingOf({}, node), { bind: "0.0.0.0:7000", advertise: "a.example:7000" });
  assert.deepEqual(bindingOf({ bindAddress: "0.0.0.0:7001" }, node), {
    bind: "0.0.0.0:7001",
    advertise: "a.example:0",
  });
  assert.deepEqual(
    bindingOf({ bindAddress: ":1", advertiseAddress: "b.example:2" }, node),
    { bind: ":1", advertise: "b.example:2" },
  );
  assert.equal(bindingOf({}, { bindAddress: undefined, advertiseAddress: undefined }), undefined);
});

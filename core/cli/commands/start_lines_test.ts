import assert from "node:assert/strict";
import { startOptions } from "./start_lines.ts";

const [a, b, c] = ["a", "b", "c"].map((id) => ({ id, type: "sclerotia" as const }));
const client = { id: "client", type: "hyphae" as const };
const said = (...args: Parameters<typeof startOptions>) =>
  startOptions(...args).map((it) => it.join(" "));

Deno.test("nodes of one machine get ports of their own and find the first", () => {
  assert.deepEqual(said([a, b, c], 0, undefined), [
    "",
    "--bind 0.0.0.0:7001 --admin 127.0.0.1:7081 --seed 127.0.0.1:7000",
    "--bind 0.0.0.0:7002 --admin 127.0.0.1:7082 --seed 127.0.0.1:7000",
  ]);
  assert.deepEqual(said([c], 2, undefined), [
    "--bind 0.0.0.0:7002 --admin 127.0.0.1:7082 --seed 127.0.0.1:7000",
  ]);
});

Deno.test("they count from what the configuration declares", () => {
  const declared = {
    node: { bindAddress: "[::1]:9000" },
    plugins: { admin: { use: "admin", config: { bindAddress: "127.0.0.1:9100" } } },
  };
  assert.deepEqual(said([a, b], 0, declared), [
    "",
    "--bind [::1]:9001 --admin 127.0.0.1:9101 --seed [::1]:9000",
  ]);
  const free = { node: { bindAddress: "0.0.0.0:0" }, plugins: { admin: false } };
  assert.deepEqual(said([a, b], 0, free), ["", ""]);
  const last = { node: { bindAddress: "h:65535" }, plugins: { admin: { bindAddress: 7 } } };
  assert.deepEqual(said([a, b], 0, last), ["", "--seed h:65535"]);
  assert.deepEqual(said([a, b], 0, { node: { bindAddress: "nonsense" } })[0], "");
});

Deno.test("a hyphae listens nowhere and is nobody's seed", () => {
  assert.deepEqual(said([client, b, c], 0, undefined), [
    "--seed 127.0.0.1:7001",
    "--bind 0.0.0.0:7001 --admin 127.0.0.1:7081",
    "--bind 0.0.0.0:7002 --admin 127.0.0.1:7082 --seed 127.0.0.1:7001",
  ]);
  assert.deepEqual(said([client], 0, undefined), [""]);
  const told = { node: { bindAddress: "127.0.0.1:7000" } };
  assert.equal(
    said([a, client], 0, told)[1],
    "--bind 127.0.0.1:7001 --admin 127.0.0.1:7081 --seed 127.0.0.1:7000",
  );
});

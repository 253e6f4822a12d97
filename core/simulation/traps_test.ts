import assert from "node:assert/strict";
import { codeOf } from "../kernel/errors.ts";
import { setTraps } from "./traps.ts";

/** What a run may not call, and what its error must tell to use instead. */
const forbidden: readonly (readonly [string, () => unknown, RegExp])[] = [
  ["setTimeout", () => setTimeout(() => {}, 1), /host\.after\(\)/],
  ["setInterval", () => setInterval(() => {}, 1), /host\.every\(\)/],
  ["setImmediate", () => globalThis.setImmediate(() => {}), /host\.barrier\(\)/],
  ["Date.now", () => Date.now(), /host\.wallTime\(\)/],
  ["new Date()", () => new Date(), /host\.wallTime\(\)/],
  ["Date()", () => Date(), /host\.wallTime\(\)/],
  ["Math.random", () => Math.random(), /host\.random\(\)/],
  ["performance.now", () => performance.now(), /host\.now\(\)/],
  [
    "crypto.getRandomValues",
    () => crypto.getRandomValues(new Uint8Array(1)),
    /host\.randomBytes\(\)/,
  ],
  ["crypto.randomUUID", () => crypto.randomUUID(), /host\.id\(\)/],
  [
    "crypto.subtle.digest()",
    () => crypto.subtle.digest("SHA-256", new Uint8Array()),
    /node:crypto/,
  ],
  ["fetch", () => fetch("http://localhost/"), /transport/],
  ["WebSocket", () => new WebSocket("ws://localhost/"), /transport/],
  ["AbortSignal.timeout", () => AbortSignal.timeout(1), /host\.after\(\)/],
  ["Temporal.Now.instant", () => Temporal.Now.instant(), /host\.wallTime\(\)/],
  ["Deno.readFile", () => Deno.readFile("x"), /store/],
  ["Deno.readTextFileSync", () => Deno.readTextFileSync("x"), /store/],
  ["Deno.writeFile", () => Deno.writeFile("x", new Uint8Array()), /store/],
  ["Deno.connect", () => Deno.connect({ port: 1 }), /transport/],
  ["Deno.listen", () => Deno.listen({ port: 0 }), /transport/],
  ["Deno.Command", () => new Deno.Command("x"), /outside of the run/],
];

Deno.test("each forbidden call throws, names itself, and names what to use instead", () => {
  const sprung: string[] = [];
  using _traps = setTraps((what) => sprung.push(what));
  for (const [name, call, remedy] of forbidden) {
    assert.throws(call, (error: Error) => {
      assert.equal(codeOf(error), "simulation_trap");
      assert.ok(error.message.startsWith(`${name} `), error.message);
      assert.match(error.message, remedy);
      return true;
    }, name);
  }
  assert.deepEqual(sprung, forbidden.map(([name]) => name));
});

Deno.test("everything is put back exactly, even after a failure", () => {
  const look = () =>
    [
      [globalThis, "setTimeout"],
      [globalThis, "Date"],
      [globalThis, "fetch"],
      [Math, "random"],
      [performance, "now"],
      [crypto, "subtle"],
      [crypto, "getRandomValues"],
      [AbortSignal, "timeout"],
      [Deno, "readFile"],
      [Deno, "Command"],
    ].map(([target, key]) => Object.getOwnPropertyDescriptor(target, key as string));
  const before = look();
  assert.throws(() => {
    using _traps = setTraps();
    assert.notDeepEqual(look(), before);
    throw new Error("the run failed");
  }, /the run failed/);
  const after = look();
  for (const [i, descriptor] of before.entries()) {
    assert.equal(after[i]?.value, descriptor?.value);
    assert.equal(after[i]?.get, descriptor?.get);
    assert.equal(after[i] === undefined, descriptor === undefined);
  }
  assert.ok(Date.now() > 0 && new Date() instanceof Date && performance.now() > 0);
});

Deno.test("dates of a given time still work, and are dates", () => {
  using _traps = setTraps();
  const date = new Date(1_767_225_600_000);
  assert.equal(date.toISOString(), "2026-01-01T00:00:00.000Z");
  assert.ok(date instanceof Date);
  assert.equal(Date.parse("2026-01-01"), 1_767_225_600_000);
  assert.equal(Date.UTC(2026, 0), 1_767_225_600_000);
});

Deno.test("one simulation at a time: a second set of traps is refused", () => {
  {
    using _traps = setTraps();
    assert.throws(() => setTraps(), (error) => codeOf(error) === "simulation_failed");
  }
  setTraps()[Symbol.dispose]();
});

import assert from "node:assert/strict";
import { type Bulk, bulk } from "../contracts/bulk.ts";
import { messenger } from "../contracts/messenger.ts";
import { type Peers, peers } from "../contracts/peers.ts";
import { createHost, type Entry, Kernel, providePlugin } from "../kernel/mod.ts";
import { Program, type ProgramLayers } from "./program.ts";
import { type ServiceLayer, serviceLayer } from "./services/mod.ts";

/** A kernel with a program over layers that do nothing but have names. */
function fixture() {
  const kernel = new Kernel(createHost({ log: () => {} }));
  const program = new Program();
  const layer = (name: string) => ({ name }) as unknown;
  const parts = (name: string): Entry[] => [
    {
      id: "services",
      plugin: providePlugin("services", serviceLayer, layer(name) as ServiceLayer),
    },
    {
      id: "messenger",
      plugin: providePlugin("messenger", messenger, layer(name) as ProgramLayers["messenger"]),
    },
    { id: "peers", plugin: providePlugin("peers", peers, layer(name) as Peers) },
    { id: "bulk", plugin: providePlugin("bulk", bulk, layer(name) as Bulk) },
    { id: "program", plugin: program.plugin },
  ];
  return { kernel, program, run: (name: string) => kernel.apply(parts(name)) };
}

const nameOf = (layers: ProgramLayers) => (layers.services as unknown as { name: string }).name;

Deno.test("registrations move to the new layers in their order, after the old ones let go in reverse", async () => {
  const { kernel, program, run } = fixture();
  const trace: string[] = [];
  const register = (what: string) =>
    program.add((layers) => {
      const on = nameOf(layers);
      trace.push(`+${what} on ${on}`);
      return { [Symbol.dispose]: () => void trace.push(`-${what} on ${on}`) };
    });
  await run("old");
  register("x");
  const y = register("y");
  await run("new");
  assert.deepEqual(trace.splice(0), [
    "+x on old",
    "+y on old",
    "-y on old",
    "-x on old",
    "+x on new",
    "+y on new",
  ]);
  await y[Symbol.asyncDispose]();
  await y[Symbol.asyncDispose]();
  await run("newer");
  assert.deepEqual(trace.splice(0), ["-y on new", "-x on new", "+x on newer"]);
  await kernel.stop();
  assert.deepEqual(trace, ["-x on newer"]);
});

Deno.test("what drains goes first and together, while the rest still stands and calls can be made", async () => {
  const { kernel, program, run } = fixture();
  const trace: string[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await run("only");
  const service = (name: string, gate: Promise<void>) =>
    program.add(() => ({
      [Symbol.asyncDispose]: async () => {
        trace.push(`${name} drains`);
        await gate;
        trace.push(`${name} is gone, over ${nameOf(program.layers)}`);
      },
    }));
  program.add(() => ({ [Symbol.dispose]: () => void trace.push("-handler") }));
  service("a", gates[0].promise);
  program.add(() => ({ [Symbol.dispose]: () => void trace.push("-middleware") }));
  service("b", gates[1].promise);
  const stopped = kernel.stop();
  gates[0].resolve();
  gates[1].resolve();
  await stopped;
  assert.deepEqual(trace, [
    "b drains",
    "a drains",
    "b is gone, over only",
    "a is gone, over only",
    "-middleware",
    "-handler",
  ]);
  assert.throws(() => program.layers, { code: "closed" });
});

Deno.test("a registration that is refused is not kept", async () => {
  const { kernel, program, run } = fixture();
  await run("old");
  let tries = 0;
  assert.throws(() =>
    program.add(() => {
      tries++;
      throw new Error("taken");
    }), /taken/);
  await run("new");
  assert.equal(tries, 1);
  await kernel.stop();
});

Deno.test("before the boot and after the end there is nothing to register with", async () => {
  const { kernel, program, run } = fixture();
  const closed = { code: "closed", message: /stopping, has stopped, or is reloading/ };
  assert.throws(() => program.layers, closed);
  await run("only");
  assert.equal(nameOf(program.layers), "only");
  const registration = program.add(() => ({ [Symbol.dispose]: () => {} }));
  await kernel.stop();
  assert.throws(() => program.layers, closed);
  await registration[Symbol.asyncDispose]();
});

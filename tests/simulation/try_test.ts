import { simulate, simulatedNode } from "../../simulation.ts";
import { defineService } from "../../mod.ts";
import { z } from "zod";
import assert from "node:assert/strict";
const clock = defineService("clock", { version: 1, methods: { zone: { input: z.object({}), output: z.string(), idempotent: true } } });
Deno.test("try", async () => {
 const r = await simulate({ seed: 7 }, async (sim) => {
   const seeds = ["a:7000", "b:7000"];
   const start = simulatedNode({ plugins: { static: { seeds } } });
   const a = await sim.node("a", start);
   const b = await sim.node("b", start);
   const c = await sim.node("c", start);
   a.value.serve(clock, { zone: () => "UTC" });
   b.value.serve(clock, { zone: () => "UTC" });
   const client = c.value.client(clock);
   assert.equal(await client.zone({}), "UTC");
   a.crash({ connections: "silent" });
   assert.equal(await client.zone({}, { timeout: "10s" }), "UTC");
 });
 console.log(r.events, r.virtualMs, r.trace.length, r.trace.slice(0,60).join("\n"));
});

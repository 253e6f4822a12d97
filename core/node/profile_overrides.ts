/** The schema of `mycnet.profiles`: what a declaration changes of the table in protocols/negotiation. */
import { z } from "zod";
import { type NodeType, nodeTypes } from "@mycnet/protocols/identity";
import type { ProfileOverrides } from "@mycnet/protocols/negotiation";

/** `a-b` for every two types, in either order. */
const pairs = nodeTypes.flatMap((a: NodeType) => nodeTypes.map((b: NodeType) => `${a}-${b}`));

const override = z.strictObject({
  encryption: z.enum(["minimal", "standard", "high"]).optional()
    .describe("The least that a link must have; one that has less is refused."),
  compression: z.enum(["none", "low", "medium", "high"]).optional()
    .describe("How hard to compress."),
  compressions: z.array(z.string().min(1).max(32)).max(8).optional()
    .describe("Algorithms in order of preference."),
  reliability: z.enum(["best-effort", "high", "guaranteed"]).optional()
    .describe("What a message is promised at the least."),
  validation: z.enum(["basic", "standard", "strict"]).optional()
    .describe("How closely input is checked."),
  adaptation: z.strictObject({
    base: z.enum(["standard", "minimal"]),
    strategy: z.enum(["capability-based", "latency-based", "bandwidth-based"]),
    fallback: z.enum(["standard", "minimal"]),
  }).optional().describe("What an adaptive profile goes by."),
  negotiationEnabled: z.boolean().optional().describe("Whether both peers may propose changes."),
});

/** The schema. */
export const overridesSchema: z.ZodType<ProfileOverrides> = z.partialRecord(
  z.enum(pairs as [string, ...string[]]),
  override,
) as unknown as z.ZodType<ProfileOverrides>;

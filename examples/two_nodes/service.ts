/** What the two nodes agree on. */
import { defineService } from "@mycnet/runtime";
import { z } from "zod";

/** Adds up. */
export const calculator = defineService("calculator", {
  version: 1,
  methods: {
    sum: { input: z.array(z.number()), output: z.number(), idempotent: true },
  },
});

/**
 * The contract that server.ts and client.ts share: schemas check at run time
 * what the types derived from them promise at compile time.
 */
import { defineService } from "@mycnet/runtime";
import { z } from "zod";

/** An entry as it is kept. */
const entry = z.object({ number: z.int(), text: z.string(), kind: z.enum(["note", "task"]) });

/** A ledger for each tenant. */
export const ledger = defineService("ledger", {
  version: 1,
  methods: {
    /** Not idempotent: running it twice would append twice, so a lost call is not made again. */
    append: {
      // With a default, callers may leave `kind` out, and the handler always finds it.
      input: z.object({ text: z.string().min(1), kind: z.enum(["note", "task"]).default("note") }),
      output: entry,
    },
    read: { input: z.object({ number: z.int() }), output: entry, idempotent: true },
    /** A stream: an async generator on the server, an async iterable at the caller. */
    tail: { input: z.object({ from: z.int().default(1) }), stream: entry, idempotent: true },
  },
  errors: {
    /** There is no such entry. */
    noEntry: z.object({ number: z.int(), last: z.int() }),
  },
});

/** The metadata under which the tenant travels with every call. */
export const tenantKey = "tenant";

/** The serving side: a ledger for each tenant, kept in memory. */
import { CallError, type Node, serviceError } from "@mycnet/runtime";
import { ledger, tenantKey } from "./definition.ts";

/** Serves the ledger on a node until disposed of. */
export function serveLedger(node: Node): AsyncDisposable {
  const ledgers = new Map<string, { number: number; text: string; kind: "note" | "task" }[]>();
  const of = (metadata: Readonly<Record<string, string>>) => {
    const tenant = metadata[tenantKey];
    let entries = ledgers.get(tenant);
    if (entries === undefined) ledgers.set(tenant, entries = []);
    return entries;
  };

  const resources = new AsyncDisposableStack();
  // Stands before the input is parsed: who names no tenant learns nothing of the schema.
  resources.use(node.use((call, next) => {
    const { side, service, metadata } = call;
    if (side === "server" && service === ledger.name && metadata[tenantKey] === undefined) {
      throw new CallError("permission_denied", `say which ${tenantKey} in the metadata`);
    }
    return next();
  }));
  resources.use(node.serve(ledger, {
    append: ({ text, kind }, { metadata }) => {
      const entries = of(metadata);
      const entry = { number: entries.length + 1, text, kind };
      entries.push(entry);
      return entry;
    },
    read: ({ number }, { metadata }) => {
      const entries = of(metadata);
      const entry = entries[number - 1];
      if (entry === undefined) {
        throw serviceError(ledger, "noEntry", { number, last: entries.length });
      }
      return entry;
    },
    async *tail({ from }, { metadata }) {
      yield* of(metadata).slice(from - 1);
    },
  }));
  return resources;
}

/** The calling side. */
import { codeOf, isServiceError, type Node } from "@mycnet/runtime";
import { ledger, tenantKey } from "./definition.ts";

/** Makes every call of this node one of a tenant's, until disposed of. */
export function actFor(node: Node, tenant: string): AsyncDisposable {
  return node.use((call, next) => {
    if (call.side === "client") call.metadata[tenantKey] = tenant;
    return next();
  });
}

/** What becomes of an entry that may be missing. */
export async function describe(node: Node, number: number): Promise<string> {
  try {
    const { text } = await node.client(ledger).read({ number });
    return `entry ${number}: ${text}`;
  } catch (error) {
    if (isServiceError(ledger, error)) {
      // Typed from here on: `data` is what definition.ts says of `noEntry`.
      return `no entry ${error.data.number}; the last is ${error.data.last}`;
    }
    return `failed with ${codeOf(error)}: ${(error as Error).message}`;
  }
}

/** Everything in the ledger. */
export async function readAll(node: Node): Promise<string[]> {
  const lines: string[] = [];
  for await (const { number, kind, text } of node.client(ledger).tail({})) {
    lines.push(`${number}. ${kind}: ${text}`);
  }
  return lines;
}

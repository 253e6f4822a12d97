/**
 * The databases of a simulated machine: in memory, outliving its processes.
 *
 * A commit of SQLite with `synchronous=FULL` survives any crash, and its code is
 * synchronous and deterministic, so real SQLite runs here; what a crash undoes is
 * the transaction that was open. Commits take no virtual time.
 */
import { DatabaseSync } from "node:sqlite";
import { type Databases, databases } from "../contracts/databases.ts";
import type { Plugin } from "../kernel/plugin.ts";

/** What a machine keeps. */
export class SimDatabases implements Databases {
  readonly unavailable: string | undefined = undefined;
  /** By name. */
  protected readonly files: Map<string, DatabaseSync> = new Map<string, DatabaseSync>();

  /** Opens one as the present process of the machine finds it. */
  open(name: string) {
    let database = this.files.get(name);
    if (database === undefined) this.files.set(name, database = new DatabaseSync(":memory:"));
    if (database.isTransaction) database.exec("ROLLBACK");
    return { database, path: `:memory:/${name}`, [Symbol.dispose]: () => {} };
  }

  /** True if it was opened before. */
  exists(name: string): boolean {
    return this.files.has(name);
  }

  /** The machine is taken away. */
  [Symbol.dispose](): void {
    for (const database of this.files.values()) database.close();
    this.files.clear();
  }
}

/** The databases plugin over a machine's. */
export function simulatedDatabases(
  kept: SimDatabases,
  original: Plugin<unknown>,
): Plugin<Databases> {
  return {
    name: original.name,
    summary: original.summary,
    provides: databases,
    needs: original.needs,
    parse: (config) => original.parse(config),
    schema: () => original.schema(),
    permissions: () => ({}),
    setup: () => kept,
  };
}

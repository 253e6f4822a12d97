/**
 * Databases: SQLite files of this node alone, for what must be changed in
 * transactions. Everything in them is synchronous; a commit waits for the disk.
 */
import { type Capability, capability } from "../kernel/plugin.ts";

/** What SQLite stores. */
export type SqlValue = null | number | bigint | string | Uint8Array;
/** A row by the names of its columns. */
export type SqlRow = Record<string, SqlValue>;

/** A prepared statement: the part of `StatementSync` of node:sqlite that is promised here. */
export interface SqlStatement {
  /** Runs it. */
  run(...values: SqlValue[]): {
    readonly changes: number | bigint;
    readonly lastInsertRowid: number | bigint;
  };
  /** Its first row. */
  get(...values: SqlValue[]): SqlRow | undefined;
  /** All its rows. */
  all(...values: SqlValue[]): SqlRow[];
}

/** A database: the part of `DatabaseSync` of node:sqlite that is promised here. */
export interface SqlDatabase {
  /** Runs statements that give no rows. Inside a transaction of somebody else, none that begins or ends one. */
  exec(sql: string): void;
  /** Prepares a statement. */
  prepare(sql: string): SqlStatement;
}

/** A database that was opened. Disposing of it closes the file. */
export interface OpenedDatabase extends Disposable {
  /** The open database: journal in WAL, `synchronous=FULL`, nobody else has it open. */
  readonly database: SqlDatabase & {
    /** True within a transaction. */
    readonly isTransaction: boolean;
  };
  /** Where it is, for messages to people. */
  readonly path: string;
}

/** The databases of a node. */
export interface Databases {
  /** Why there can be none, as a sentence with what helps; undefined if there can. */
  readonly unavailable: string | undefined;
  /**
   * Opens a database, made if it does not exist.
   * @param name a file name without a folder, e.g. `delivery.db`.
   * @throws `unavailable` where there can be none, or the file cannot be used (naming it).
   */
  open(name: string): OpenedDatabase;
  /** True if there is such a file. */
  exists(name: string): boolean;
}

/** The capability token of {@linkcode Databases}. */
export const databases: Capability<Databases> = capability("databases");

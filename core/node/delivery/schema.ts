/**
 * The tables of the delivery database, and the statements over them.
 *
 *   meta     the epoch: 64 random bits that name this count of sequences; the floor: where
 *            lanes begin that are not in `outgoing`
 *   outgoing the next sequence for each node and lane
 *   outbox   what is not acknowledged yet
 *   inbox    for each sender and lane, the epoch and the next sequence to handle
 *
 * Whatever handlers write in their transactions stands beside them, in tables of other names.
 */
import type { OpenedDatabase, SqlDatabase, SqlStatement } from "../../contracts/databases.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";

/** The tables below, counted up when they change. */
const schemaVersion = 1;
/** Nodes and lanes whose next sequence is kept although nothing waits for them. */
const maxIdleLanes = 20_000;
/** Senders and lanes remembered; the one that was quiet longest is forgotten first. */
const maxInbox = 100_000;

const tables = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
  CREATE TABLE outgoing (
    node TEXT, lane INTEGER, next INTEGER NOT NULL, PRIMARY KEY (node, lane)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE outbox (
    node TEXT, lane INTEGER, sequence INTEGER, type INTEGER NOT NULL, route TEXT, metadata BLOB,
    body BLOB NOT NULL, PRIMARY KEY (node, lane, sequence)
  ) STRICT;
  CREATE TABLE inbox (
    node TEXT, lane INTEGER, epoch BLOB NOT NULL, next INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (node, lane)
  ) STRICT, WITHOUT ROWID;
`;

/** Makes the tables that are not there yet. @throws `unavailable` for those of a later version. */
export function prepareTables({ database, path }: OpenedDatabase, host: Host): void {
  const version = Number(database.prepare("PRAGMA user_version").get()!.user_version);
  if (version > schemaVersion) {
    throw new MycnetError(
      "unavailable",
      `the database ${path} has schema ${version}; this version knows ${schemaVersion}`,
      { remedy: "Run the newer version, or move the file away: what it holds is lost then." },
    );
  }
  if (version === 0) {
    database.exec(`BEGIN IMMEDIATE; ${tables}`);
    const meta = database.prepare("INSERT INTO meta VALUES (?, ?)");
    meta.run("epoch", host.randomBytes(8));
    meta.run("floor", 1);
    database.exec(`PRAGMA user_version = ${schemaVersion}; COMMIT`);
  }
  trim(database);
}

/** Forgets nodes of long ago. A lane that begins again begins above all that was. */
function trim(database: SqlDatabase): void {
  const { lanes } = database.prepare("SELECT count(*) AS lanes FROM outgoing").get() as {
    lanes: number;
  };
  if (lanes > maxIdleLanes) {
    database.exec(`BEGIN IMMEDIATE;
      UPDATE meta SET value = (SELECT max(next) FROM outgoing) WHERE key = 'floor';
      DELETE FROM outgoing WHERE NOT EXISTS
        (SELECT 1 FROM outbox WHERE outbox.node = outgoing.node AND outbox.lane = outgoing.lane);
      COMMIT`);
  }
  trimInbox(database);
}

/** Forgets senders of long ago, beyond as many as are remembered. */
export function trimInbox(database: SqlDatabase): void {
  database.exec(`DELETE FROM inbox WHERE (node, lane) IN
    (SELECT node, lane FROM inbox ORDER BY at DESC LIMIT -1 OFFSET ${maxInbox})`);
}

/** The statements by name. */
export type StatementName =
  | "epoch"
  | "floor"
  | "sizes"
  | "size"
  | "pending"
  | "next"
  | "setNext"
  | "append"
  | "load"
  | "delete"
  | "moveAside"
  | "moveBack"
  | "handled"
  | "setHandled";

/** Prepares all of them. */
export function prepareStatements(database: SqlDatabase): Record<StatementName, SqlStatement> {
  const sql: Record<StatementName, string> = {
    epoch: "SELECT value FROM meta WHERE key = 'epoch'",
    floor: "SELECT value FROM meta WHERE key = 'floor'",
    sizes: "SELECT count(*) AS rows, coalesce(sum(length(body)), 0) AS bytes FROM outbox",
    size: `SELECT count(*) AS messages, coalesce(sum(length(body)), 0) AS bytes FROM outbox
      WHERE node = ? AND lane = ? AND sequence >= ? AND sequence < ?`,
    pending: `SELECT node, lane, min(sequence) AS first, max(sequence) + 1 AS next
      FROM outbox GROUP BY node, lane`,
    next: "SELECT next FROM outgoing WHERE node = ? AND lane = ?",
    setNext: "INSERT INTO outgoing VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
    append: "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?)",
    load: `SELECT sequence, type, route, metadata, body FROM outbox
      WHERE node = ? AND lane = ? AND sequence >= ? ORDER BY sequence LIMIT ?`,
    delete: "DELETE FROM outbox WHERE node = ? AND lane = ? AND sequence < ?",
    moveAside: `UPDATE outbox SET sequence = -(sequence + ?)
      WHERE node = ? AND lane = ? AND sequence >= ?`,
    moveBack: `UPDATE outbox SET sequence = -sequence
      WHERE node = ? AND lane = ? AND sequence < 0`,
    handled: "SELECT epoch, next FROM inbox WHERE node = ? AND lane = ?",
    setHandled: `INSERT INTO inbox VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
      SET epoch = excluded.epoch, next = excluded.next, at = excluded.at`,
  };
  const entries = Object.entries(sql).map(([name, text]) => [name, database.prepare(text)]);
  return Object.fromEntries(entries);
}

/**
 * What delivery keeps on disk: the outbox of guaranteed messages, and how far those
 * of other nodes were handled.
 *
 * A commit waits for the disk, so everything of one turn of the event loop shares
 * one transaction (group commit): whoever wrote is told when it is safe, or that it
 * was not. Where the disk is slow, commits are held apart so that waiting for them
 * takes at most a quarter of the loop. What was acknowledged is deleted with the
 * next transaction or a little later; a message that a crash brings back is known to
 * its receiver.
 */
import type {
  Databases,
  OpenedDatabase,
  SqlDatabase,
  SqlRow,
  SqlStatement,
} from "../../contracts/databases.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host, Timer } from "../../kernel/host.ts";
import { prepareStatements, prepareTables, type StatementName, trimInbox } from "./schema.ts";

/** The name of the file. */
export const fileName = "delivery.db";
/** A commit that takes longer than this is followed by a pause, in ms. */
const quickMs = 2;
/** The pause after a slow commit, as a multiple of what it took. */
const pauseFactor = 3;
/** How long deletions wait for a transaction to go with, in ms. */
const deleteDelayMs = 50;
/** How long they wait when that one failed, in ms. */
const deleteRetryMs = 1000;
/** New senders after which those of long ago are looked for. */
const trimAfter = 1000;

/** A message of the outbox. */
export interface Kept {
  readonly sequence: number;
  readonly type: number;
  readonly route: string | undefined;
  readonly metadata: Uint8Array | undefined;
  readonly body: Uint8Array;
}

/** Told once what was written is on disk, or with the error that it is not. Must not throw. */
export type Committed = (error?: MycnetError) => void;

/** The database of one node's delivery. */
export class DeliveryStore implements Disposable {
  /** Messages in the outbox. */
  rows = 0;
  /** Their bytes. */
  bytes = 0;
  readonly #host: Host;
  readonly #freed: () => void;
  readonly #opened: OpenedDatabase;
  readonly #database: OpenedDatabase["database"];
  readonly #statements: Readonly<Record<StatementName, SqlStatement>>;
  readonly #next = new Map<string, number>();
  readonly #deletes = new Map<string, { node: string; lane: number; below: number }>();
  #waiting: Committed[] = [];
  readonly #before = new Set<() => void>();
  #open = false;
  #newSenders = 0;
  #timer: Timer | undefined;
  #quietUntilMs = -Infinity;
  readonly #epoch: Uint8Array;

  /**
   * Opens it, made if it is not there.
   * @param freed runs when there is less in the outbox than before.
   * @throws `unavailable`.
   */
  constructor(databases: Databases, host: Host, freed: () => void) {
    this.#host = host;
    this.#freed = freed;
    this.#opened = databases.open(fileName);
    this.#database = this.#opened.database;
    try {
      prepareTables(this.#opened, host);
      this.#statements = prepareStatements(this.#database);
      this.#epoch = this.#statements.epoch.get()!.value as Uint8Array;
      const { rows, bytes } = this.#statements.sizes.get() as { rows: number; bytes: number };
      this.rows = rows;
      this.bytes = bytes;
    } catch (error) {
      this.#opened[Symbol.dispose]();
      if (error instanceof MycnetError) throw error;
      throw new MycnetError(
        "unavailable",
        `the database ${this.#opened.path} cannot be used: ${(error as Error).message}`,
        {
          cause: error,
          remedy: "Restore the file, or move it and its -wal file away: what they hold is lost.",
        },
      );
    }
  }

  /** Where it is. */
  get path(): string {
    return this.#opened.path;
  }

  /** Names this count of sequences. */
  get epoch(): bigint {
    return toEpoch(this.#epoch);
  }

  /** The nodes and lanes for which something waits, with the first sequence of each. */
  pending(): { node: string; lane: number; first: number; next: number }[] {
    return this.#statements.pending.all() as {
      node: string;
      lane: number;
      first: number;
      next: number;
    }[];
  }

  /** The sequence that the next message to a node and lane gets. */
  next(node: string, lane: number): number {
    const key = keyOf(node, lane);
    let next = this.#next.get(key);
    if (next === undefined) {
      const kept = this.#statements.next.get(node, lane) as { next: number } | undefined;
      next = kept?.next ?? Number(this.#statements.floor.get()!.value);
      this.#next.set(key, next);
    }
    return next;
  }

  /** Puts a message into the outbox; `committed` runs when it is safe there. @throws `unavailable`. */
  append(
    node: string,
    lane: number,
    message: Omit<Kept, "sequence">,
    committed: Committed,
  ): number {
    this.#begin();
    const sequence = this.next(node, lane);
    const { type, route = null, metadata = null, body } = message;
    try {
      this.#statements.append.run(node, lane, sequence, type, route, metadata, body);
      this.#statements.setNext.run(node, lane, sequence + 1);
    } catch (cause) {
      // One that does not fit takes the others of its turn with it: so does SQLite.
      const error = this.#failed(cause);
      this.#settle(error);
      throw error;
    }
    this.#next.set(keyOf(node, lane), sequence + 1);
    this.rows++;
    this.bytes += body.length;
    this.#waiting.push((error) => {
      if (error !== undefined) {
        this.rows--;
        this.bytes -= body.length;
      }
      committed(error);
    });
    return sequence;
  }

  /** Up to `limit` messages of a lane from a sequence on; none, which is logged, where they cannot be read. */
  load(node: string, lane: number, from: number, limit: number): Kept[] {
    try {
      return this.#statements.load.all(node, lane, from, limit).map(keptOf);
    } catch (error) {
      this.#host.log.error("Guaranteed messages could not be read", {
        path: this.path,
        error: (error as Error).message,
      });
      return [];
    }
  }

  /** What a lane holds from one sequence to another. */
  size(node: string, lane: number, from: number, to: number): { messages: number; bytes: number } {
    return this.#statements.size.get(node, lane, from, to) as { messages: number; bytes: number };
  }

  /** A message was acknowledged: it and those before it are deleted soon. */
  done(node: string, lane: number, below: number, messages: number, bytes: number): void {
    this.rows -= messages;
    this.bytes -= bytes;
    this.#deletes.set(keyOf(node, lane), { node, lane, below });
    if (!this.#open) this.#timer ??= this.#host.after(deleteDelayMs, () => this.#tick());
    this.#freed();
  }

  /**
   * Moves what waits for a node's lane up, so that it begins at `first`: the receiver has seen
   * later sequences than this database knows of, so this is an old copy of it.
   */
  renumber(node: string, lane: number, base: number, first: number): void {
    const by = first - base;
    const next = this.next(node, lane) + by;
    // All of it or nothing: half of it could be committed with what else this turn brings.
    this.transaction(() => {
      // In two steps, since a sequence may only be given to one row at a time.
      this.#statements.moveAside.run(by, node, lane, base);
      this.#statements.moveBack.run(node, lane);
      this.#statements.setNext.run(node, lane, next);
    });
    this.#next.set(keyOf(node, lane), next);
    this.#deletes.delete(keyOf(node, lane));
  }

  /** The next sequence to handle of a sender's lane, if it is known in this epoch. */
  handled(node: string, lane: number, epoch: bigint): number | undefined {
    const row = this.#statements.handled.get(node, lane) as
      | { epoch: Uint8Array; next: number }
      | undefined;
    if (row === undefined && ++this.#newSenders % trimAfter === 0) trimInbox(this.#database);
    return row === undefined || toEpoch(row.epoch) !== epoch ? undefined : row.next;
  }

  /** Notes how far a sender's lane was handled. To be called by what `beforeCommit` runs. */
  setHandled(node: string, lane: number, epoch: bigint, next: number): void {
    const name = new Uint8Array(8);
    new DataView(name.buffer).setBigUint64(0, epoch);
    this.#statements.setHandled.run(node, lane, name, next, Math.floor(this.#host.wallTime()));
  }

  /** Sees to a commit of this turn's work: `before` runs within the transaction, at its end, once however often it is asked for. */
  beforeCommit(before: () => void, committed: Committed): void {
    this.#begin();
    this.#before.add(before);
    this.#waiting.push(committed);
  }

  /** Runs work that is undone if it throws, within the transaction of this turn. */
  transaction<T>(work: (database: SqlDatabase) => T): T {
    this.#begin();
    this.#database.exec("SAVEPOINT handler");
    try {
      const result = work(this.#database);
      if (result instanceof Promise) {
        result.catch(() => {});
        throw new MycnetError(
          "invalid_argument",
          "the work of a transaction returned a promise; it must be done when it returns",
        );
      }
      this.#database.exec("RELEASE handler");
      return result;
    } catch (error) {
      // If the work ended the transaction itself, there is nothing left to go back to.
      if (this.#database.isTransaction) {
        this.#database.exec("ROLLBACK TO handler; RELEASE handler");
      } else {
        this.#settle(new MycnetError("internal", "a handler ended the transaction it ran in"));
      }
      throw error;
    }
  }

  /** Commits what is open, now. */
  flush(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    try {
      if (!this.#open && this.#deletes.size > 0) this.#begin();
    } catch {
      // It was logged; what was to be deleted is deleted with the next transaction.
    }
    this.#commit();
  }

  /** Ends the transaction that is open, and begins none: what the disk does not take would go round without end. */
  #commit(): void {
    if (!this.#open) return;
    let error: MycnetError | undefined;
    const startMs = this.#host.now();
    try {
      for (const before of this.#before) before();
      for (const { node, lane, below } of this.#deletes.values()) {
        this.#statements.delete.run(node, lane, below);
      }
      this.#database.exec("COMMIT");
      this.#deletes.clear();
    } catch (cause) {
      error = this.#failed(cause);
    }
    const tookMs = this.#host.now() - startMs;
    this.#quietUntilMs = tookMs < quickMs ? -Infinity : startMs + tookMs * (1 + pauseFactor);
    this.#settle(error);
    if (error === undefined || this.#open || this.#deletes.size === 0) return;
    this.#timer ??= this.#host.after(deleteRetryMs, () => this.#tick());
  }

  /** Commits what is open and closes the file. */
  [Symbol.dispose](): void {
    this.flush();
    this.#timer?.[Symbol.dispose]();
    this.#opened[Symbol.dispose]();
  }

  #begin(): void {
    if (this.#open) return;
    try {
      this.#database.exec("BEGIN IMMEDIATE");
    } catch (cause) {
      throw this.#failed(cause);
    }
    this.#open = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const waitMs = this.#quietUntilMs === -Infinity ? 0 : this.#quietUntilMs - this.#host.now();
    if (waitMs > 0) this.#timer = this.#host.after(waitMs, () => this.#tick());
    else queueMicrotask(() => this.#commit());
  }

  #failed(cause: unknown): MycnetError {
    const why = (cause as Error).message;
    this.#host.log.error("Guaranteed messages could not be written", {
      path: this.path,
      error: why,
    });
    return new MycnetError("unavailable", `${this.path} could not be written: ${why}`, {
      cause,
      remedy: "See whether the disk is full or broken.",
    });
  }

  #tick(): void {
    this.#timer = undefined;
    this.flush();
  }

  /** The transaction is over. */
  #settle(error: MycnetError | undefined): void {
    this.#open = false;
    this.#before.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    if (error !== undefined) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      this.#next.clear();
    }
    for (const committed of waiting) committed(error);
  }
}

/** A row of the outbox, whose table is STRICT: the columns have the types that the schema names. */
function keptOf({ sequence, type, route, metadata, body }: SqlRow): Kept {
  return {
    sequence: sequence as number,
    type: type as number,
    route: route as string | null ?? undefined,
    metadata: metadata as Uint8Array | null ?? undefined,
    body: body as Uint8Array,
  };
}

function keyOf(node: string, lane: number): string {
  return `${lane} ${node}`;
}

function toEpoch(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}

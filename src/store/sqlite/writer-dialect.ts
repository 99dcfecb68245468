// Kysely's SQLite dialect with its own queue for the one connection, transactions that may write from the start, and
// errors and booleans as every store has them.
import type Database from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteDialect,
} from 'kysely';
import { isDeciding } from '../relational/connection.ts';
import { StoreUnusable } from '../unusable.ts';
import { translated } from './errors.ts';
import type { WriteTurns } from './write-turns.ts';

/** This dialect queues for the one connection itself, since Kysely's queue lets a decision wait for itself. */
class OwnQueueAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

/** Converts booleans to SQLite's integers, and errors to those that every store throws. */
class TranslatingConnection implements DatabaseConnection {
  readonly #inner: DatabaseConnection;
  readonly #beforeWrite: () => Promise<void> | undefined;

  constructor(inner: DatabaseConnection, beforeWrite: () => Promise<void> | undefined) {
    this.#inner = inner;
    this.#beforeWrite = beforeWrite;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (!onlyReads.test(query.sql)) await this.#beforeWrite();
    try {
      return await this.#inner.executeQuery<Row>(withIntegers(query));
    } catch (error) {
      throw translated(error);
    }
  }

  streamQuery<Row>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<Row>> {
    return this.#inner.streamQuery<Row>(withIntegers(query), chunkSize);
  }
}

/** What it takes for a write needlessly waits for its turn; nothing worse. */
const onlyReads = /^\s*(?:select|with|pragma)\b/i;

function withIntegers(query: CompiledQuery): CompiledQuery {
  if (!query.parameters.some((each) => typeof each === 'boolean')) return query;
  return {
    ...query,
    parameters: query.parameters.map((each) => (typeof each === 'boolean' ? Number(each) : each)),
  };
}

/** Tells whether this connection has changed anything since it was last asked. An open transaction counts when it is over. */
function changesOf(database: Database.Database): () => boolean {
  const total = database.prepare<[], number>('select total_changes()').pluck();
  let before = 0;
  return () => {
    if (database.inTransaction) return false;
    const now = total.get() ?? 0;
    const hasChanged = now !== before;
    before = now;
    return hasChanged;
  };
}

/**
 * Every transaction takes the write lock when it begins. One that begins as a reader (SQLite's default) cannot become a
 * writer once another connection has written (SQLITE_BUSY_SNAPSHOT, sqlite.org/lang_transaction.html §2.2), and none
 * may act on what it read before that.
 */
export class WriterDialect extends SqliteDialect {
  readonly #database: Database.Database;
  readonly #loss: () => string | undefined;
  readonly #turns: WriteTurns | undefined;
  readonly #flush: (() => Promise<void>) | undefined;

  /**
   * `turns`: where this process has another connection that writes. `flush` brings commits to the disk, if SQLite does not do so itself.
   */
  constructor(
    database: Database.Database,
    loss: () => string | undefined,
    turns?: WriteTurns,
    flush?: () => Promise<void>,
  ) {
    super({ database });
    this.#database = database;
    this.#loss = loss;
    this.#turns = turns;
    this.#flush = flush;
  }

  override createAdapter(): DialectAdapter {
    return new OwnQueueAdapter();
  }

  override createDriver(): Driver {
    const driver = super.createDriver();
    const acquire = driver.acquireConnection.bind(driver);
    const waiting: (() => void)[] = [];
    let taken = false;
    let only: TranslatingConnection | undefined;
    const [turns, flush] = [this.#turns, this.#flush];
    const hasChanged = changesOf(this.#database);
    let hasTurn = false;
    // Until the connection is given back: a transaction is over by then.
    const takeTurn = (): Promise<void> | undefined =>
      turns && !hasTurn
        ? turns.take().then(() => {
            hasTurn = true;
          })
        : undefined;
    driver.acquireConnection = async (options) => {
      // A decision that uses the store outside its own transaction would deadlock, and block the gateway.
      if (isDeciding()) throw new Error('a decision uses the store that it was given, and no other');
      // A file that is no longer the one in the data directory must be neither read nor written.
      const loss = this.#loss();
      if (loss !== undefined) throw new StoreUnusable(loss);
      if (taken) await new Promise<void>((resolve) => waiting.push(resolve));
      taken = true;
      only ??= new TranslatingConnection(await acquire(options), takeTurn);
      return only;
    };
    driver.releaseConnection = () => {
      const owesFlush = flush !== undefined && hasChanged();
      if (hasTurn) {
        hasTurn = false;
        turns?.release();
      }
      // The longest-waiting caller gets the connection; `taken` stays true.
      const next = waiting.shift();
      if (next) next();
      else taken = false;
      // Others may see the change already; it is answered when it is on the disk.
      return owesFlush ? flush() : Promise.resolve();
    };
    const rollback = driver.rollbackTransaction.bind(driver);
    // A full disk has already rolled it back (sqlite.org/lang_transaction.html §2.3); rolling back again would raise an
    // error that hides the original one.
    driver.rollbackTransaction = async (connection) => {
      if (this.#database.inTransaction) await rollback(connection);
    };
    driver.beginTransaction = async (connection: DatabaseConnection) => {
      await connection.executeQuery(CompiledQuery.raw('begin immediate'));
    };
    return driver;
  }
}

// Opens the embedded store: one SQLite file in DATA_DIR, write-ahead log, one connection for the process.
// Refuses to start, with one sentence, on a file it cannot read or a schema newer than this program.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  Kysely,
  SqliteAdapter,
  SqliteDialect,
} from 'kysely';
import { Migrator } from 'kysely/migration';
import type { KeyId } from '../../domain/id.ts';
import {
  isBusy,
  isHeld,
  lossOf,
  makePrivate,
  openDirectory,
  StoreBusy,
  StoreUnusable,
  unusableFile,
} from '../data-directory.ts';
import { AnsweredModels, rollUp, usageColumns } from '../ledger/usage-rows.ts';
import type { Store } from '../ports/store.ts';
import { type CallerRow, isDeciding } from '../relational/engine.ts';
import { relationalStore } from '../relational/store.ts';
import { migrations, type Tables } from './migrations/list.ts';

/** Up to that size a database is looked through for damage at the start, which takes a fraction of a second. */
const checkedBytes = 64 * 1024 * 1024;

/**
 * Makes the directory (mode 0700) if need be, opens the file (mode 0600), migrates. `patienceMs`: how long a write waits
 * for somebody else's; all of its process waits with it. `holds`: this process holds the directory (`lockDirectory`).
 * @throws StoreUnusable.
 */
export async function openSqlite(dataDir: string, patienceMs = 5_000, holds = false): Promise<Store> {
  const file = join(dataDir, 'sekisho.db');
  let opened: Database.Database | undefined;
  try {
    openDirectory(dataDir);
    makePrivate(file);
    const database = new Database(file, { timeout: patienceMs });
    opened = database;
    database.pragma('journal_mode = WAL');
    // NORMAL keeps every commit over a kill of this process; only a power cut can lose the last ones. The ledger's
    // journal has the same promise.
    database.pragma('synchronous = NORMAL');
    database.pragma('foreign_keys = ON');
    if (statSync(file).size <= checkedBytes && database.pragma('quick_check(1)', { simple: true }) !== 'ok')
      throw Object.assign(new Error('a page of it is damaged'), { code: 'SQLITE_CORRUPT' });
    const loss = lossOf(file);
    const db = new Kysely<Tables>({ dialect: new WriterDialect(database, loss) });
    await migrate(db, database, () => {
      if (!holds && isHeld(dataDir))
        throw new StoreUnusable(
          `${file} is of an older Sekisho, and a gate of that version is using it. Start that gate anew with this version; then try again.`,
        );
    });
    const oneCaller = database.prepare<[string], CallerRow>(
      `select keys.*, accounts.name as account_name, accounts.created_at as account_created_at,
         accounts.role as account_role, accounts.closed_at as account_closed_at, accounts.unlimited as account_unlimited,
         accounts.plan as plan_name, plans.version as plan_version, plans.terms as plan_terms
       from keys join accounts on accounts.id = keys.account_id left join plans on plans.name = accounts.plan
       where keys.id = ?`,
    );
    return relationalStore(db, {
      type: 'sqlite',
      findCaller: Object.assign((id: KeyId) => oneCaller.get(id), { behind: () => database.inTransaction }),
      version: () => Promise.resolve(database.pragma('data_version', { simple: true }) as number),
      loss,
      appendUsage: usageAppender(database),
    });
  } catch (error) {
    opened?.close();
    throw unusable(file, error);
  }
}

/**
 * One prepared statement and one transaction a batch. Measured against the query builder's multi-row insert, which
 * compiles and prepares anew each time: 4 µs of CPU a row instead of 13.
 */
function usageAppender(database: Database.Database): (rows: readonly Tables['usage'][]) => void {
  const insert = database.prepare(
    `insert into usage (${usageColumns.join(', ')}) values (${usageColumns.map(() => '?').join(', ')})
     on conflict (id) do nothing`,
  );
  const sums = [
    'requests',
    'refused',
    'failed',
    'prompt_tokens',
    'completion_tokens',
    'estimated',
    'cache_read_tokens',
    'cache_write_tokens',
    'own_refusals',
  ] as const;
  const addUp = database.prepare(
    `insert into usage_quarterly (account_id, quarter, key_id, model, ${sums.join(', ')}) values (?, ?, ?, ?${', ?'.repeat(sums.length)})
     on conflict (account_id, quarter, key_id, model)
     do update set ${sums.map((sum) => `${sum} = ${sum} + excluded.${sum}`).join(', ')}`,
  );
  const answered = new AnsweredModels();
  return database.transaction((rows: readonly Tables['usage'][]) => {
    // A row that is there already is in the roll-ups already.
    const added = rows.filter((row) => insert.run(usageColumns.map((column) => row[column])).changes === 1);
    for (const sum of rollUp(added, answered))
      addUp.run([sum.account_id, sum.quarter, sum.key_id, sum.model, ...sums.map((name) => sum[name])]);
  });
}

/** The queue for the one connection is ours, since Kysely's own lets a decision wait for itself. */
class OwnQueueAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

/**
 * Every transaction takes the one right to write when it begins. One that begins as a reader (SQLite's default) cannot
 * become a writer once somebody else has written (SQLITE_BUSY_SNAPSHOT, sqlite.org/lang_transaction.html §2.2), and none
 * here may act on what it read before that.
 */
class WriterDialect extends SqliteDialect {
  readonly #database: Database.Database;
  readonly #loss: () => string | undefined;

  constructor(database: Database.Database, loss: () => string | undefined) {
    super({ database });
    this.#database = database;
    this.#loss = loss;
  }

  override createAdapter(): DialectAdapter {
    return new OwnQueueAdapter();
  }

  override createDriver(): Driver {
    const driver = super.createDriver();
    const acquire = driver.acquireConnection.bind(driver);
    const waiting: (() => void)[] = [];
    let taken = false;
    driver.acquireConnection = async (options) => {
      // A decision that asks the store outside of its own transaction would stand still for ever, and the gate with it.
      if (isDeciding()) throw new Error('a decision uses the store that it was given, and no other');
      // Nothing is written to, or believed of, a file that is no longer the one in the data directory.
      const loss = this.#loss();
      if (loss !== undefined) throw new StoreUnusable(loss);
      if (taken) await new Promise<void>((resolve) => waiting.push(resolve));
      taken = true;
      return acquire(options);
    };
    driver.releaseConnection = () => {
      // Whoever waits the longest has it now; `taken` stays.
      const next = waiting.shift();
      if (next) next();
      else taken = false;
      return Promise.resolve();
    };
    const rollback = driver.rollbackTransaction.bind(driver);
    // A full disk has rolled it back already (sqlite.org/lang_transaction.html §2.3); to do it again is an error that would be
    // told in place of what went wrong.
    driver.rollbackTransaction = async (connection) => {
      if (this.#database.inTransaction) await rollback(connection);
    };
    driver.beginTransaction = async (connection: DatabaseConnection) => {
      await connection.executeQuery(CompiledQuery.raw('begin immediate'));
    };
    return driver;
  }
}

/** All or nothing, so that a kill in the midst of it leaves what was there. Kysely does not do it by itself for SQLite. */
async function migrate(db: Kysely<Tables>, database: Database.Database, mayRenew: () => void): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });
  const known = await migrator.getMigrations();
  const pending = known.some(({ executedAt }) => executedAt === undefined);
  // Not under a gate that knows the old tables alone. A database without any is of a start that is going on.
  if (pending && known.some(({ executedAt }) => executedAt !== undefined)) mayRenew();
  if (pending) database.exec('begin immediate');
  const { error } = await migrator.migrateToLatest();
  if (pending && database.inTransaction) database.exec(error === undefined ? 'commit' : 'rollback');
  if (error !== undefined) throw error as Error;
}

function unusable(file: string, error: unknown): StoreUnusable {
  if (error instanceof StoreUnusable) return error;
  const { message } = error as { message: string };
  if (/corrupted migrations|previously executed migration/.test(message)) {
    return new StoreUnusable(`${file} was written by a newer Sekisho. Start that version, or restore an older backup.`);
  }
  if (isBusy(error))
    return new StoreBusy(`Another program is writing to ${file} and holds it. Try again when that is over.`);
  return unusableFile(file, error);
}

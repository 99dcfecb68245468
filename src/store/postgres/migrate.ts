// Migrates a PostgreSQL database to the tables of this version. Gates that start at the same time take turns.
import { StoreUnusable } from '../unusable.ts';
import { begin } from './dialect.ts';
import { now } from './heartbeat.ts';
import { type Migration, migrations, run } from './migrations/list.ts';
import type { Pool, Taken } from './pool.ts';

export interface Migrating {
  /** False for a move, which would leave behind what a newer version has added. */
  readonly mayBeNewer?: boolean;
  /** The gate that starts, whose place may still be taken by its former process. */
  readonly gateId?: string | undefined;
  readonly list?: readonly Migration[];
}

/**
 * All pending migrations are one transaction. Its lock ends with it: the query builder's own migrator takes one for the session,
 * which a pooler may give to others. A database that has migrations which this version does not know is used if all of them only
 * add something, so that gates of two versions can run side by side during an upgrade.
 * @throws StoreUnusable if a newer version has changed what this one needs, or if this one would change what gates that run need.
 */
export function migrate(
  pool: Pool,
  at: number,
  { mayBeNewer = true, gateId = '', list = migrations }: Migrating = {},
): Promise<void> {
  return pool.transact(begin, async (connection) => {
    await refuseUnfit(connection);
    await lockMigrations(connection);
    await connection.query(
      'create table if not exists migrations (name text primary key, expands bigint not null, at bigint not null)',
      [],
    );
    const done = await refuseNewer(connection, list, mayBeNewer);
    const pending = list.filter(({ name }) => !done.has(name));
    if (pending.some(({ expands }) => !expands)) await refuseRunning(connection, gateId);
    for (const migration of pending) {
      await run(connection, migration);
      await connection.query('insert into migrations values ($1, $2, $3)', [migration.name, migration.expands, at]);
    }
  });
}

/**
 * A database of another encoding takes only some characters: one call with others would hold up the whole ledger. In other isolation
 * levels, statements that meet fail instead of waiting. @throws StoreUnusable
 */
async function refuseUnfit(connection: Taken): Promise<void> {
  const { rows } = await connection.query<{ encoding: string; isolation: string }>(
    "select current_setting('server_encoding') as encoding, current_setting('transaction_isolation') as isolation",
    [],
  );
  const { encoding, isolation } = rows[0] as (typeof rows)[number];
  if (encoding !== 'UTF8')
    throw new StoreUnusable(
      `The database has the encoding ${encoding}, in which not every text can be stored. Create one with UTF8: createdb --encoding UTF8 --template template0 --owner <user> <database>`,
    );
  if (isolation !== 'read committed')
    throw new StoreUnusable(
      `Transactions in this database are ${isolation} unless they say otherwise, and Sekisho needs them read committed: alter role <user> set default_transaction_isolation = 'read committed'`,
    );
}

/** Until the transaction is over, nobody else migrates, and no gate takes its place. */
export async function lockMigrations(connection: Taken): Promise<void> {
  await connection.query("select pg_advisory_xact_lock(hashtext('sekisho migrations'))", []);
}

/** @returns the migrations that the database has. @throws StoreUnusable */
export async function refuseNewer(
  connection: Taken,
  list: readonly Migration[] = migrations,
  mayBeNewer = true,
): Promise<ReadonlySet<string>> {
  const { rows } = await connection.query<{ name: string; expands: number }>(
    'select name, expands from migrations',
    [],
  );
  const known = new Set(list.map(({ name }) => name));
  if (rows.some(({ name, expands }) => !known.has(name) && !(mayBeNewer && expands === 1)))
    throw new StoreUnusable(
      'The database was changed by a newer Sekisho. Start that version, or restore an older backup.',
    );
  return new Set(rows.map(({ name }) => name));
}

/** A gate that runs has another version: one of this version would have migrated the database. */
async function refuseRunning(connection: Taken, gateId: string): Promise<void> {
  // Another schema of the search path may have an installation of its own.
  const made = await connection.query(
    "select 1 where to_regclass(quote_ident(current_schema()) || '.gates') is not null",
    [],
  );
  if (made.rows.length === 0) return;
  const { rows } = await connection.query<{ host: string; version: string }>(
    `select host, version from gates where until > ${now} and id <> $1 order by host, id`,
    [gateId],
  );
  if (rows.length === 0) return;
  const named = rows.map(({ host, version }) => `${host} (${version})`).join(', ');
  throw new StoreUnusable(
    `This version changes tables that gateways of older versions need, and these run: ${named}. Stop them, wait 20 seconds if one was killed, and start this one again.`,
  );
}

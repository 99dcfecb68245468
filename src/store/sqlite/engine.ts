// The parts that are specific to SQLite; the queries are those of every relational database.
import type Database from 'better-sqlite3';
import { sql } from 'kysely';
import type { KeyId } from '../../domain/id.ts';
import type { CallerRow, Engine } from '../relational/engine.ts';
import { changesByOthers } from './change-count.ts';
import { translating } from './errors.ts';
import { usageAppender } from './usage-appender.ts';

export function sqliteEngine(database: Database.Database, loss: () => string | undefined): Engine {
  const oneCaller = database.prepare<[string], CallerRow>(
    `select keys.*, accounts.name as account_name, accounts.created_at as account_created_at,
       accounts.role as account_role, accounts.closed_at as account_closed_at, accounts.unlimited as account_unlimited,
       accounts.plan as plan_name, plans.version as plan_version, plans.terms as plan_terms
     from keys join accounts on accounts.id = keys.account_id left join plans on plans.name = accounts.plan
     where keys.id = ?`,
  );
  const version = translating(changesByOthers(database));
  const appendUsage = translating(usageAppender(database));
  return {
    type: 'sqlite',
    // There is one writer at a time, so no transaction needs to run again.
    transact: (db, work) => db.transaction().execute(work),
    now: sql`cast(unixepoch('subsec') * 1000 as integer)`,
    holds: (column, search) => sql`instr(lower(${sql.ref(column)}), lower(${search})) > 0`,
    findCaller: Object.assign(
      translating((id: KeyId) => oneCaller.get(id)),
      { behind: () => database.inTransaction },
    ),
    version: () => Promise.resolve({ figure: version(), accounts: 'all' }),
    loss,
    // On the builder's own connection, so it can never run inside another open transaction.
    appendUsage: (db, rows) => db.connection().execute(() => Promise.resolve(appendUsage(rows))),
  };
}

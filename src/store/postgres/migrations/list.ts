// The migrations of a PostgreSQL database, in order. relational/tables.ts describes the current rows; a test compares the tables
// with those of SQLite.
import { firstRegistration } from '../../../domain/application.ts';
import { firstPlans } from '../../../domain/plan.ts';
import { firstRules } from '../../../domain/rule.ts';
import type { Taken } from '../pool.ts';
import { accessTables } from './access-tables.ts';
import { auditSearchAndPulls } from './audit-search-and-pulls.ts';
import { callerChanges, changesOfAccounts } from './caller-changes.ts';
import { gateSealing, gateSecrets, gateShows, gateTables, gateTimeZone } from './gates.ts';
import { ledgerTables } from './ledger-tables.ts';
import { settingTables } from './setting-tables.ts';
import { noticing, versionTable } from './version.ts';

export interface Migration {
  readonly name: string;
  /** Gates of the version before can go on with the database after it. */
  readonly expands: boolean;
  readonly statements: readonly string[];
  /** Rows that a new database has. */
  readonly fill?: (connection: Taken) => Promise<void>;
}

const strangerRefusals = `create table stranger_refusals (
  minute bigint not null, code text not null, count bigint not null,
  constraint stranger_refusals_key primary key (minute, code)
)`;

/** Operators who view the pages of a member. */
const views = `create table views (
  id text primary key, session_id text not null, operator_id text not null, account_id text not null,
  started_at bigint not null
)`;

/** When calls of an account last came from the journal of a gateway that had ended. */
const recoveries = [
  'create table recoveries (account_id text primary key, n bigint not null)',
  ...changesOfAccounts(['keys', 'suspensions', 'recoveries']),
];

/** A published one is never changed. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-tables',
    expands: false,
    statements: [...versionTable, ...accessTables, ...ledgerTables],
    fill: firstRows,
  },
  { name: '0002-settings', expands: true, statements: settingTables },
  { name: '0003-stranger-refusals', expands: true, statements: [strangerRefusals] },
  { name: '0004-audit-search-and-pulls', expands: true, statements: auditSearchAndPulls },
  { name: '0005-views', expands: true, statements: [views] },
  { name: '0006-gates', expands: true, statements: gateTables },
  { name: '0007-gate-secrets', expands: true, statements: gateSecrets },
  { name: '0008-gate-shows', expands: true, statements: gateShows },
  { name: '0009-gate-sealing', expands: true, statements: gateSealing },
  { name: '0010-gate-time-zone', expands: true, statements: gateTimeZone },
  { name: '0011-caller-changes', expands: true, statements: callerChanges },
  { name: '0012-recoveries', expands: true, statements: recoveries },
];

/** Runs a migration; every table that it makes gets its triggers. */
export async function run(connection: Taken, { statements, fill }: Migration): Promise<void> {
  const tables = statements.flatMap((statement) => /^create table (\w+) \(/.exec(statement)?.[1] ?? []);
  for (const statement of [...statements.map(sorted), ...tables.flatMap(noticing)])
    await connection.query(statement, []);
  await fill?.(connection);
}

async function firstRows(connection: Taken): Promise<void> {
  const add = (text: string, ...values: readonly unknown[]) => connection.query(text, values);
  for (const { name, version, ...terms } of firstPlans)
    await add('insert into plans values ($1, $2, $3)', name, version, JSON.stringify(terms));
  for (const rule of firstRules) await add('insert into rules values ($1, $2)', rule.name, JSON.stringify(rule));
  await add('insert into registration values (1, $1)', JSON.stringify(firstRegistration));
  await add('insert into maintenance values (1, null)');
}

/** Texts compare by their bytes, as in SQLite, whatever language the database was made for. */
const sorted = (statement: string): string => statement.replaceAll(/ text\b/g, ' text collate "C"');

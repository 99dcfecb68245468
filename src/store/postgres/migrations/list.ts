// The migrations of a PostgreSQL database, in order. relational/tables.ts describes the current rows; a test compares the tables
// with those of SQLite.
import { firstRegistration } from '../../../domain/application.ts';
import { firstPlans } from '../../../domain/plan.ts';
import { firstRules } from '../../../domain/rule.ts';
import type { Taken } from '../pool.ts';
import { accessTables } from './access-tables.ts';
import { openAuditSearchAndPulls } from './audit-search-and-pulls.ts';
import { ledgerTables } from './ledger-tables.ts';
import { settingTables } from './setting-tables.ts';
import { noticing, versionTable } from './version.ts';

export interface Migration {
  readonly name: string;
  /** Gates of the version before can go on with the database after it. */
  readonly expands: boolean;
  readonly up: (connection: Taken) => Promise<void>;
}

/** A published one is never changed. */
export const migrations: readonly Migration[] = [
  { name: '0001-tables', expands: false, up: openTables },
  { name: '0002-settings', expands: true, up: openSettings },
  { name: '0003-stranger-refusals', expands: true, up: openStrangerRefusals },
  { name: '0004-audit-search-and-pulls', expands: true, up: openAuditSearchAndPulls },
  { name: '0005-views', expands: true, up: openViews },
];

async function openTables(connection: Taken): Promise<void> {
  const run = (text: string, values: readonly unknown[] = []) => connection.query(text, values);
  for (const statement of [...versionTable, ...accessTables, ...ledgerTables]) await run(sorted(statement));
  for (const statement of [...accessTables, ...ledgerTables]) {
    const table = /^create table (\w+)/.exec(statement)?.[1];
    for (const trigger of table === undefined ? [] : noticing(table)) await run(trigger);
  }
  for (const { name, version, ...terms } of firstPlans)
    await run('insert into plans values ($1, $2, $3)', [name, version, JSON.stringify(terms)]);
  for (const rule of firstRules) await run('insert into rules values ($1, $2)', [rule.name, JSON.stringify(rule)]);
  await run('insert into registration values (1, $1)', [JSON.stringify(firstRegistration)]);
  await run('insert into maintenance values (1, null)');
}

async function openStrangerRefusals(connection: Taken): Promise<void> {
  await connection.query(
    sorted(`create table stranger_refusals (
  minute bigint not null, code text not null, count bigint not null,
  constraint stranger_refusals_key primary key (minute, code)
)`),
    [],
  );
}

async function openSettings(connection: Taken): Promise<void> {
  for (const statement of settingTables) {
    await connection.query(sorted(statement), []);
    const table = /^create table (\w+)/.exec(statement)?.[1];
    for (const trigger of table === undefined ? [] : noticing(table)) await connection.query(trigger, []);
  }
}

/** Operators who view the pages of a member. */
async function openViews(connection: Taken): Promise<void> {
  await connection.query(
    sorted(`create table views (
  id text primary key, session_id text not null, operator_id text not null, account_id text not null,
  started_at bigint not null
)`),
    [],
  );
  for (const trigger of noticing('views')) await connection.query(trigger, []);
}

/** Texts compare by their bytes, as in SQLite, whatever language the database was made for. */
const sorted = (statement: string): string => statement.replaceAll(/ text\b/g, ' text collate "C"');

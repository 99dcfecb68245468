// The tables of sign-in, with the names and types of better-auth 1.7 (from its migration generator; only these
// migrations change the schema), and the columns that applications and accounts gain.
import { type ColumnDefinitionBuilder, type CreateTableBuilder, type Kysely, sql } from 'kysely';

type Column = [
  name: string,
  type: 'text' | 'integer',
  how?: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder,
];

const must = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull();
const whose: Column = ['userId', 'text', (column) => column.notNull().references('people.id').onDelete('cascade')];

/** Times are RFC 3339 text, as the library writes them. */
const tables: Readonly<Record<string, readonly Column[]>> = {
  people: [
    ['name', 'text', must],
    ['email', 'text', (column) => column.notNull().unique()],
    ['emailVerified', 'integer', must],
    ['image', 'text'],
    ['createdAt', 'text', must],
    ['updatedAt', 'text', must],
    ['twoFactorEnabled', 'integer'],
    ['accountId', 'text', (column) => column.references('accounts.id')],
    ['language', 'text'],
  ],
  sessions: [
    ['expiresAt', 'text', must],
    ['token', 'text', (column) => column.notNull().unique()],
    ['createdAt', 'text', must],
    ['updatedAt', 'text', must],
    ['ipAddress', 'text'],
    ['userAgent', 'text'],
    whose,
  ],
  credentials: [
    ['accountId', 'text', must],
    ['providerId', 'text', must],
    whose,
    ['accessToken', 'text'],
    ['refreshToken', 'text'],
    ['idToken', 'text'],
    ['accessTokenExpiresAt', 'text'],
    ['refreshTokenExpiresAt', 'text'],
    ['scope', 'text'],
    ['password', 'text'],
    ['createdAt', 'text', must],
    ['updatedAt', 'text', must],
  ],
  verifications: [
    ['identifier', 'text', must],
    ['value', 'text', must],
    ['expiresAt', 'text', must],
    ['createdAt', 'text', must],
    ['updatedAt', 'text', must],
  ],
  two_factors: [
    ['secret', 'text', must],
    ['backupCodes', 'text', must],
    whose,
    ['verified', 'integer'],
    ['failedVerificationCount', 'integer'],
    ['lockedUntil', 'text'],
  ],
  passkeys: [
    ['name', 'text'],
    ['publicKey', 'text', must],
    whose,
    ['credentialID', 'text', (column) => column.notNull().unique()],
    ['counter', 'integer', must],
    ['deviceType', 'text', must],
    ['backedUp', 'integer', must],
    ['transports', 'text'],
    ['createdAt', 'text'],
    ['aaguid', 'text'],
  ],
};

const indexes: readonly [table: string, column: string][] = [
  ['people', 'accountId'],
  ['sessions', 'userId'],
  ['credentials', 'userId'],
  ['verifications', 'identifier'],
  ['two_factors', 'userId'],
  ['passkeys', 'userId'],
];

export async function openPeople(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  for (const [table, columns] of Object.entries(tables)) {
    let making: CreateTableBuilder<string, string> = schema
      .createTable(table)
      .addColumn('id', 'text', (column) => column.primaryKey().notNull());
    for (const [name, type, how] of columns)
      making = how ? making.addColumn(name, type, how) : making.addColumn(name, type);
    await making.execute();
  }
  for (const [table, column] of indexes)
    await schema.createIndex(`${table}_by_${column.toLowerCase()}`).on(table).column(column).execute();
  await schema
    .createTable('one_time_links')
    .addColumn('digest', 'text', (column) => column.primaryKey().notNull())
    .addColumn('purpose', 'text', must)
    .addColumn('subject', 'text', must)
    .addColumn('created_at', 'bigint', must)
    .addColumn('expires_at', 'bigint', must)
    .addColumn('used_at', 'bigint')
    .execute();
  await schema.createIndex('one_time_links_by_subject').on('one_time_links').column('subject').execute();
  await schema
    .createTable('notices')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('at', 'bigint', must)
    .execute();
  await schema
    .alterTable('accounts')
    .addColumn('role', 'text', (column) => column.notNull().defaultTo('member'))
    .execute();
  await schema.alterTable('accounts').addColumn('closed_at', 'bigint').execute();
  await sql`update accounts set role = 'operator' where name = 'operator'`.execute(db);
  // One statement per column, because SQLite adds one at a time.
  await schema.alterTable('applications').addColumn('confirmed_at', 'bigint').execute();
  await schema.alterTable('applications').addColumn('person_id', 'text').execute();
  await schema.alterTable('applications').addColumn('language', 'text').execute();
  await schema.alterTable('applications').addColumn('wanted_plan', 'text').execute();
  await schema.createIndex('applications_by_person').on('applications').column('person_id').execute();
}

/**
 * Enforces one person per account in the database; adds when a session's person last proved their identity, if not at
 * its start, and why an application waits although a rule would have accepted it.
 */
export async function bindPeople(db: Kysely<unknown>): Promise<void> {
  const { schema } = db;
  // If an account has two people, the earlier one keeps it.
  await sql`
    update people set "accountId" = null
    where "accountId" is not null and exists (
      select 1 from people as earlier
      where earlier."accountId" = people."accountId"
        and (earlier."createdAt" < people."createdAt" or (earlier."createdAt" = people."createdAt" and earlier.id < people.id))
    )`.execute(db);
  await schema.dropIndex('people_by_accountid').execute();
  await sql`create unique index people_by_account on people ("accountId") where "accountId" is not null`.execute(db);
  await schema.alterTable('sessions').addColumn('provenAt', 'text').execute();
  await schema.alterTable('applications').addColumn('held', 'text').execute();
}

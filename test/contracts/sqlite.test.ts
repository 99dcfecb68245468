import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { Migrator } from 'kysely/migration';
import { expect, test } from 'vitest';
import { auditEvent } from '../../src/domain/audit.ts';
import { Calendar } from '../../src/domain/calendar.ts';
import type { AccountId, KeyId } from '../../src/domain/id.ts';
import { limitsOf } from '../../src/domain/limit.ts';
import { expiryEmail } from '../../src/domain/outbox.ts';
import { unlimited } from '../../src/domain/plan.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { AccountUsages } from '../../src/gateway/limits/account-usages.ts';
import { type ReportGroup, reportUsage } from '../../src/management/usage/usage-report.ts';
import { MemoryLimits } from '../../src/store/memory/limit-store.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { migrations } from '../../src/store/sqlite/migrations/list.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { author, temporaryDirectory } from '../gate.ts';
import { changesContract } from './changes.ts';
import { decisionsContract } from './decisions.ts';
import { leasesContract } from './leases.ts';
import { namesContract } from './names.ts';
import { noticesContract } from './notices.ts';
import { peopleContract } from './people.ts';
import { openPlain } from './plain-sqlite.ts';
import { policyContract } from './policy.ts';
import { racesContract } from './raced.ts';
import { reportsContract } from './reports.ts';
import { requestsContract } from './requests.ts';
import { routesContract } from './routes.ts';
import { serversContract } from './servers.ts';
import { newKey, type Database as Opened, storeContract } from './store.ts';

/** A database for the contracts; `module`, beside this file, exports `name`, with which another process opens it too. */
const creating = (module: string, name: string, open: (dataDir: string) => Promise<Store>) => (): Promise<Opened> => {
  const dataDir = temporaryDirectory();
  return Promise.resolve({
    open: () => open(dataDir),
    elsewhere: { module: join(import.meta.dirname, module), name, given: [dataDir] },
    drop: () => Promise.resolve(rmSync(dataDir, { recursive: true })),
  });
};
const create = creating('../../src/store/sqlite/open.ts', 'openSqlite', (dataDir) => openSqlite(dataDir));
const createPlain = creating('plain-sqlite.ts', 'openPlain', openPlain);

storeContract('SQLite', create);
policyContract('SQLite', create);
peopleContract('SQLite', create);
decisionsContract('SQLite', create);
changesContract('SQLite', create);
leasesContract('SQLite', create);
racesContract('SQLite', create);
serversContract('SQLite', create);
routesContract('SQLite', create);
namesContract('SQLite', create);
noticesContract('SQLite', create);
requestsContract('SQLite', create);
reportsContract('SQLite', create);
storeContract('SQLite without its quick ways', createPlain);
policyContract('SQLite without its quick ways', createPlain);
requestsContract('SQLite without its quick ways', createPlain);
reportsContract('SQLite without its quick ways', createPlain);

test('refuses a database of a newer version and leaves it unchanged', async () => {
  const dataDir = temporaryDirectory();
  await (await openSqlite(dataDir)).close();
  const database = new Database(join(dataDir, 'sekisho.db'));
  database.prepare("insert into kysely_migration values ('9999-from-the-future', '2099-01-01')").run();
  database.close();
  await expect(openSqlite(dataDir)).rejects.toThrow(/newer Sekisho/);
});

test('a change of any table but those of the ledger and of heartbeats is noticed, by whatever program it is made', async () => {
  const dataDir = temporaryDirectory();
  const store = await openSqlite(dataDir);
  const database = new Database(join(dataDir, 'sekisho.db'));
  const tables = database.prepare("select name from sqlite_schema where type = 'table'").pluck().all() as string[];
  const triggers = database.prepare('select tbl_name, count(*) from sqlite_schema where type = ? group by 1').raw();
  const counted = tables.filter((name) => !/^(?:sqlite_|kysely_|store_version$)/.test(name));
  const unnoticed =
    'coarse_sums_until gates key_sums latency_steps leases model_sums outcome_steps stranger_refusals time_sums unit_quarterly usage usage_quarterly'.split(
      ' ',
    );
  expect(triggers.all('trigger')).toEqual(
    counted
      .filter((name) => !unnoticed.includes(name))
      .toSorted()
      .map((name) => [name, 3]),
  );
  let runs = 0;
  const feed = store.changeFeed({ onFailure: () => undefined, onRecovery: () => undefined });
  await feed.subscribe({ what: 'count', run: () => Promise.resolve(void runs++) });
  const key = await newKey(store);
  await store.insertKey(key, auditEvent(author(), 'test', 'x', null, null));
  await feed.look();
  expect(runs).toBe(1);
  const columns = database.prepare("select name from pragma_table_info('keys')").pluck().all() as string[];
  for (const [index, change] of [
    ...columns.flatMap((name) => (name === 'last_used_at' ? [] : [`update keys set "${name}" = "${name}"`])),
    "update accounts set plan = 'default'",
    "update accounts set plan = 'default'",
    'delete from audit_events',
    "insert into rules values ('x', '{}')",
  ].entries()) {
    database.exec(change);
    await feed.look();
    expect(runs).toBe(index + 2);
  }
  database.close();
  await store.close();
  rmSync(dataDir, { recursive: true });
});

test('a database of the first version opens with plans, lineages and sums, and keeps all its data', async () => {
  const dataDir = temporaryDirectory();
  const database = new Database(join(dataDir, 'sekisho.db'));
  const [first = ''] = Object.keys(migrations);
  const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database }) });
  const only = { getMigrations: () => Promise.resolve({ [first]: migrations[first]! }) };
  expect((await new Migrator({ db: kysely, provider: only }).migrateToLatest()).error).toBeUndefined();
  for (const account of ['operator', 'alice', 'bob'])
    database.prepare('insert into accounts values (?, ?, 1)').run(`acc_${account}`, account);
  const addKey = database.prepare(
    `insert into keys values (?, ?, 'laptop', 'secret', ?, 'active', '["metadata"]', '["*"]', '[]', 0, ?, ?, null, 7, ?)`,
  );
  addKey.run('key_a', 'acc_alice', 'digest a', 1, 500, null);
  addKey.run('key_b', 'acc_alice', 'digest b', 2, null, 'key_a');
  addKey.run('key_c', 'acc_operator', 'digest c', 3, null, null);
  const addRow = database.prepare(
    `insert into usage values (?, ?, ?, ?, 'chat', ?, ?, ?, 200, null, 1, ?, ?, ?, 10, 20, 3, 4, '::1')`,
  );
  const hourMs = 3_600_000;
  const endings = [
    ['completed', 'http://x', 'exact'],
    ['client_closed', 'http://x', 'estimated'],
    ['client_closed', null, 'none'],
    ['refused', null, 'none'],
    ['failed', 'http://x', 'estimated'],
  ] as const;
  for (let i = 0; i < 600; i++) {
    const at = 400_000 * hourMs + (i % 4) * (hourMs - 1);
    const [outcome, upstream, source] = endings[i % endings.length]!;
    const [prompt, completion] = source === 'none' ? [0, 0] : [i, 2 * i];
    const [key, account] = [
      ['key_a', 'acc_alice'],
      ['key_b', 'acc_alice'],
      ['key_c', 'acc_operator'],
    ][i % 3] as [string, string];
    const model = i % 7 === 0 ? null : 'gemma3:270m';
    const id = `req_${String(i).padStart(20, '0')}`;
    addRow.run(id, at, key, account, model, upstream, outcome, prompt, completion, source);
  }
  database.close();

  const store = await openSqlite(dataDir);
  expect((await store.listAccounts()).map(({ name, plan }) => [name, plan])).toEqual([
    ['alice', 'default'],
    ['bob', 'default'],
    ['operator', unlimited],
  ]);
  expect((await store.listKeys()).map(({ id, lineage, rotatedFrom }) => [id, lineage, rotatedFrom])).toEqual([
    ['key_a', 'key_a', null],
    ['key_b', 'key_a', 'key_a'],
    ['key_c', 'key_c', null],
  ]);
  expect(await store.findCaller('key_b' as never, 1)).toMatchObject({
    key: { digest: 'digest b', lastUsedAt: 7, narrowing: {} },
    plan: { name: 'default', version: 1, requestsPerMinute: 120 },
    suspensions: [],
  });
  const rows = await store.listUsage(1000);
  expect(rows).toHaveLength(600);
  expect(rows.every(({ queuedMs, repeats }) => queuedMs === 0 && repeats === 1)).toBe(true);
  const report = async (): Promise<unknown[]> =>
    Promise.all(
      (['key', 'account', 'model', 'quarter'] as const).map((by) => store.reportUsage(by, 0, 500_000 * hourMs)),
    );
  const migrated = await report();
  const quarters = await store.usageByQuarter('acc_alice' as AccountId, 0, 500_000 * hourMs);
  await store.close();

  // The same rows in a database that summed them as they came.
  const freshDir = temporaryDirectory();
  const fresh = await openSqlite(freshDir);
  await fresh.appendUsage(rows);
  const named = (found: unknown[]): unknown =>
    JSON.parse(JSON.stringify(found), (key, value: unknown) => (key === 'name' ? null : value));
  const summed = await Promise.all(
    (['key', 'account', 'model', 'quarter'] as const).map((by) => fresh.reportUsage(by, 0, 500_000 * hourMs)),
  );
  expect(named(migrated)).toEqual(named(summed));
  expect(quarters).toEqual(await fresh.usageByQuarter('acc_alice' as AccountId, 0, 500_000 * hourMs));
  expect(quarters.length).toBeGreaterThan(4);
  await fresh.close();
  for (const directory of [dataDir, freshDir]) rmSync(directory, { recursive: true });
});

test('hours become quarter hours where the rows allow it, and lose nothing where they do not', async () => {
  const dataDir = temporaryDirectory();
  const database = new Database(join(dataDir, 'sekisho.db'));
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database }) });
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });
  expect((await migrator.migrateTo('0017-barred')).error).toBeUndefined();
  const [hourMs, hour] = [3_600_000, 480_000];
  const addHour = database.prepare(`insert into usage_hourly
    (account_id, hour, key_id, model, requests, refused, failed, prompt_tokens, completion_tokens, estimated)
    values ('acc_alice', ?, 'key_a', 'gemma3:270m', ?, 0, 1, ?, ?, 0)`);
  const addRow = database.prepare(`insert into usage (id, at, key_id, account_id, operation, model, upstream, outcome,
    status, streamed, prompt_tokens, completion_tokens, source, bytes_in, bytes_out, duration_ms, address)
    values (?, ?, 'key_a', 'acc_alice', 'chat', 'gemma3:270m', 'http://x', ?, 200, 0, 3, 5, 'exact', 1, 1, 1, '')`);
  // Of the first hour all rows are gone, of the second some, of the third none.
  addHour.run(hour, 4, 12, 20);
  addHour.run(hour + 1, 5, 15, 25);
  addHour.run(hour + 2, 3, 9, 15);
  const rows = [1.5, 1.9, 2, 2.3, 2.99].map((place) => (hour + place) * hourMs);
  for (const [i, at] of rows.entries()) addRow.run(`req_${i}`, at, i === 3 ? 'failed' : 'completed');
  await db.destroy();

  const store = await openSqlite(dataDir);
  const quarters = await store.reportUsage('quarter', 0, Number.MAX_SAFE_INTEGER);
  expect(
    quarters.map(({ group, requests, failed, promptTokens }) => [
      Number(group) / 4 - hour,
      requests,
      failed,
      promptTokens,
    ]),
  ).toEqual([
    [0, 4, 1, 12],
    [1, 5, 1, 15],
    [2, 1, 0, 3],
    [2.25, 1, 1, 3],
    [2.75, 1, 0, 3],
  ]);
  await store.close();
  rmSync(dataDir, { recursive: true });
});

test.each(['UTC', 'Asia/Kolkata', 'Asia/Kathmandu', 'Australia/Eucla', 'America/St_Johns'])(
  'in %s, usage one minute before midnight belongs to that day and usage at midnight to the next, in sums and in limits',
  async (zone) => {
    const dataDir = temporaryDirectory();
    const store = await openSqlite(dataDir);
    const calendar = new Calendar(zone);
    const { startsAt } = calendar.month(Date.UTC(2026, 10, 15));
    const [last, first] = [calendar.dateAt(startsAt - 1), calendar.dateAt(startsAt)];
    const usage = (id: string, at: number, promptTokens: number): UsageRecord => ({
      id: id as UsageRecord['id'],
      at,
      keyId: 'key_a' as UsageRecord['keyId'],
      accountId: 'acc_alice' as AccountId,
      operation: 'chat',
      model: 'gemma3:270m',
      upstream: 'http://x',
      outcome: 'completed',
      status: 200,
      code: null,
      streamed: false,
      promptTokens,
      completionTokens: 0,
      source: 'exact',
      bytesIn: 1,
      bytesOut: 1,
      firstByteMs: null,
      durationMs: 1,
      queuedMs: 0,
      address: '',
      repeats: 1,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
      askedModel: null,
      fallbackFor: null,
    });
    await store.appendUsage([usage('req_1', startsAt - 60_000, 10), usage('req_2', startsAt, 200)]);
    const sums = async (by: ReportGroup, from = 0): Promise<unknown> =>
      (await reportUsage(store, by, from, startsAt + 60_000, zone)).map(({ group, promptTokens }) => [
        group,
        promptTokens,
      ]);
    expect(await sums('day')).toEqual([
      [last, 10],
      [first, 200],
    ]);
    expect(await sums('month')).toEqual([
      [last.slice(0, 7), 10],
      [first.slice(0, 7), 200],
    ]);
    // Today, as the overview asks for it.
    expect(await sums('account', startsAt)).toEqual([['acc_alice', 200]]);
    // The figures from which a limit is restored.
    const clocks = {
      wall: () => startsAt + 60_000,
      steady: () => startsAt + 60_000,
      toSteady: (at: number) => at,
      toWall: (at: number) => at,
      wasSet: false,
    };
    const accountUsages = await AccountUsages.open(store, new MemoryLimits(calendar), clocks, () => undefined);
    const alice = await accountUsages.of('acc_alice' as AccountId);
    const limits = limitsOf({ account: { promptTokensPerDay: 1, promptTokensPerMonth: 1, tokensPerWeek: 1 }, key: {} });
    const standing = await alice.key('key_any' as KeyId).limits.look({ limits, atOnce: [] }, clocks.steady(), false);
    // The month begins on a Sunday, so its first day is in the week of the day before.
    expect(Object.fromEntries(limits.map((limit) => [limit.label, standing.used(limit)]))).toEqual({
      'tokens-week': 210,
      'prompt-tokens-day': 200,
      'prompt-tokens-month': 200,
    });
    await store.close();
    rmSync(dataDir, { recursive: true });
  },
);

test('people who signed in by a provider before the migration keep what the stored ID token proves, and no token stays', async () => {
  const directory = temporaryDirectory();
  const database = new Database(join(directory, 'sekisho.db'));
  const kysely = new Kysely({ dialect: new SqliteDialect({ database }) });
  const migrator = new Migrator({ db: kysely, provider: { getMigrations: () => Promise.resolve(migrations) } });
  expect((await migrator.migrateTo('0012-used-once')).error).toBeUndefined();
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = (claims: unknown): string => `${part({ alg: 'RS256' })}.${part(claims)}.x`;
  const issuer = 'https://campus.example';
  const rows: [id: string, provider: string, subject: string, idToken: string | null][] = [
    ['usr_proved', 'oidc', 'one', token({ iss: issuer, sub: 'one' })],
    ['usr_chosen', 'oidc', 'two', token({ iss: issuer, sub: 'three', id: 'two' })],
    ['usr_silent', 'oidc', 'four', null],
    ['usr_broken', 'oidc', 'five', 'not.a.token'],
    ['usr_password', 'credential', 'usr_password', null],
  ];
  for (const [id, providerId, accountId, idToken] of rows) {
    database
      .prepare(
        `insert into people (id, name, email, "emailVerified", "createdAt", "updatedAt") values (?, ?, ?, 1, '', '')`,
      )
      .run(id, id, `${id}@example.org`);
    database
      .prepare(
        `insert into credentials (id, "accountId", "providerId", "userId", "accessToken", "idToken", "createdAt", "updatedAt")
         values (?, ?, ?, ?, 'at', ?, '', '')`,
      )
      .run(`c_${id}`, accountId, providerId, id, idToken);
  }
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  expect(database.prepare('select issuer, subject, person_id from provider_identities').all()).toEqual([
    { issuer, subject: 'one', person_id: 'usr_proved' },
  ]);
  expect(database.prepare('select id from credentials').all()).toEqual([{ id: 'c_usr_password' }]);
  await kysely.destroy();
  rmSync(directory, { recursive: true, force: true });
});

test('what an older version had sent stays sent, and what it still owed is due once', async () => {
  const dataDir = temporaryDirectory();
  const database = new Database(join(dataDir, 'sekisho.db'));
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database }) });
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });
  expect((await migrator.migrateTo('0021-own-refusals')).error).toBeUndefined();
  const now = Date.now();
  const addApplication = database.prepare(
    `insert into applications (id, name, email, purpose, models, status, claim_digest, created_at, decided_at, decided_by, confirmed_at)
     values (?, 'n', ?, 'p', '[]', ?, '', 1, ?, ?, ?)`,
  );
  addApplication.run('app_told', 'a@example.org', 'approved', now, 'cli:x', null);
  addApplication.run('app_owed', 'a@example.org', 'rejected', now, 'cli:x', null);
  addApplication.run('app_old', 'a@example.org', 'rejected', now - 2 * 86_400_000, 'cli:x', null);
  addApplication.run('app_erased', '', 'rejected', now, 'cli:x', null);
  addApplication.run('app_saw', 'a@example.org', 'approved', now, 'registration:open', null);
  addApplication.run('app_waits', 'a@example.org', 'pending', null, null, null);
  database.prepare("insert into accounts (id, name, created_at, plan) values ('acc_a', 'a', 1, 'default')").run();
  const addStep = database.prepare(
    `insert into suspensions (id, account_id, step, reason, shadow, created_at, answer, answered_at) values (?, 'acc_a', ?, 'r', ?, ?, ?, ?)`,
  );
  addStep.run('sus_owed', 'suspend', 0, now, 'no', now);
  addStep.run('sus_told', 'suspend', 0, now, null, null);
  addStep.run('sus_warn', 'warn', 0, now, null, null);
  addStep.run('sus_shadow', 'suspend', 1, now, null, null);
  const tell = database.prepare("insert into notices (id, at, owner, until, done_at) values (?, ?, '', 0, ?)");
  tell.run('app_told decided', now, now);
  tell.run('sus_told taken', now, now);
  tell.run('key_a expiring', now, now);
  tell.run('app_owed decided', now, null);
  await db.destroy();

  const store = await openSqlite(dataDir);
  const due = await store.dueConsequences('email', Date.now() + 1, 99);
  expect(
    due.map(({ id, about }) => [id, about]).toSorted(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)),
  ).toEqual([
    ['app_owed decided', { email: 'decided', application: 'app_owed' }],
    ['sus_owed answered', { email: 'answered', suspension: 'sus_owed' }],
    ['sus_owed taken', { email: 'suspended', suspension: 'sus_owed' }],
  ]);
  await store.insertConsequences([expiryEmail('key_a' as KeyId)], 1);
  expect(await store.dueConsequences('email', Date.now() + 1, 99)).toHaveLength(3);
  await store.close();
});

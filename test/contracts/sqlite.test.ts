import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { Migrator } from 'kysely/migration';
import { expect, test } from 'vitest';
import type { AccountId } from '../../src/domain/id.ts';
import { unlimited } from '../../src/domain/plan.ts';
import { migrations } from '../../src/store/schema.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { temporaryDirectory } from '../gate.ts';
import { decisionsContract } from './decisions.ts';
import { peopleContract } from './people.ts';
import { policyContract } from './policy.ts';
import { type Database as Opened, storeContract } from './store.ts';

const create = (): Promise<Opened> => {
  const dataDir = temporaryDirectory();
  return Promise.resolve({
    open: () => openSqlite(dataDir),
    drop: () => Promise.resolve(rmSync(dataDir, { recursive: true })),
  });
};

storeContract('SQLite', create);
policyContract('SQLite', create);
peopleContract('SQLite', create);
decisionsContract('SQLite', create);

test('refuses a database of a newer version and leaves it alone', async () => {
  const dataDir = temporaryDirectory();
  await (await openSqlite(dataDir)).close();
  const database = new Database(join(dataDir, 'sekisho.db'));
  database.prepare("insert into kysely_migration values ('9999-from-the-future', '2099-01-01')").run();
  database.close();
  await expect(openSqlite(dataDir)).rejects.toThrow(/newer Sekisho/);
});

test('a database of the first version opens with plans, lineages and sums, and with all that it had', async () => {
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
    Promise.all((['key', 'account', 'model', 'hour'] as const).map((by) => store.reportUsage(by, 0, 500_000)));
  const migrated = await report();
  const hours = await store.usageByHour('acc_alice' as AccountId, 0, 500_000);
  await store.close();

  // The same rows in a database that summed them up as they came.
  const freshDir = temporaryDirectory();
  const fresh = await openSqlite(freshDir);
  await fresh.appendUsage(rows);
  const named = (found: unknown[]): unknown =>
    JSON.parse(JSON.stringify(found), (key, value: unknown) => (key === 'name' ? null : value));
  const summed = await Promise.all(
    (['key', 'account', 'model', 'hour'] as const).map((by) => fresh.reportUsage(by, 0, 500_000)),
  );
  expect(named(migrated)).toEqual(named(summed));
  expect(hours).toEqual(await fresh.usageByHour('acc_alice' as AccountId, 0, 500_000));
  expect(hours.length).toBeGreaterThan(4);
  await fresh.close();
  for (const directory of [dataDir, freshDir]) rmSync(directory, { recursive: true });
});

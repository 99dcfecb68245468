import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { openSqlite } from '../../src/store/sqlite.ts';
import { temporaryDirectory } from '../gate.ts';
import { storeContract } from './store.ts';

storeContract('SQLite', () => {
  const dataDir = temporaryDirectory();
  return Promise.resolve({
    open: () => openSqlite(dataDir),
    drop: () => Promise.resolve(rmSync(dataDir, { recursive: true })),
  });
});

test('refuses a database of a newer version and leaves it alone', async () => {
  const dataDir = temporaryDirectory();
  await (await openSqlite(dataDir)).close();
  const database = new Database(join(dataDir, 'sekisho.db'));
  database.prepare("insert into kysely_migration values ('9999-from-the-future', '2099-01-01')").run();
  database.close();
  await expect(openSqlite(dataDir)).rejects.toThrow(/newer Sekisho/);
});

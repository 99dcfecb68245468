// An installation that is moved to another database while something else uses one of the two, and one with texts that PostgreSQL
// cannot store.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { moveStore, openStore } from '../../src/store/open-store.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { record } from '../contracts/requests.ts';
import { openGate, sekisho, temporaryDirectory } from '../gate.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';

let server: PostgresServer;
beforeAll(async () => void (server = await startPostgres()));
afterAll(() => server.stop());

const startsAt = Date.UTC(2026, 3);
const from = (dataDir: string, databaseUrl = '') => ({ dataDir, databaseUrl, databaseConnections: 2 });

/** A data directory with a plan, and a call for each of these models. */
async function installation(models: readonly string[] = ['gemma3:270m']): Promise<string> {
  const dataDir = temporaryDirectory();
  const store = await openSqlite(dataDir);
  await store.appendUsage(models.map((model, at) => record(startsAt + at, { model })));
  await store.close();
  change(dataDir, `insert into plans values ('small', 1, '{"requestsPerDay":10}')`);
  return dataDir;
}

function change(dataDir: string, statement: string): void {
  const database = new Database(join(dataDir, 'sekisho.db'));
  database.exec(statement);
  database.close();
}

/** Does something in the middle: when this table has been copied. */
const at =
  (name: string, what: () => void) =>
  ({ table }: { readonly table: string }): void => {
    if (table === name) what();
  };

const interrupt = (): never => {
  throw new Error('interrupted');
};

test('texts with characters that PostgreSQL cannot store, or that it has in their place, are moved', async () => {
  const dataDir = await installation(['a\0b', '関所\ufffd', '😀']);
  const url = await server.database();
  await moveStore(from(dataDir), url, () => undefined);
  expect(await asking(url, 'select model from usage order by id')).toEqual(
    ['a\ufffdb', '関所\ufffd', '😀'].map((model) => ({ model })),
  );
});

test('what changes in the old database between an interruption and the next try is moved, also where no sum tells', async () => {
  const dataDir = await installation();
  const url = await server.database();
  await expect(moveStore(from(dataDir), url, at('plans', interrupt))).rejects.toThrow('interrupted');
  change(dataDir, `update plans set terms = '{"requestsPerDay":20}' where name = 'small'`);
  await moveStore(from(dataDir), url, () => undefined);
  const moved = await asking(
    url,
    "select terms, (select count(*)::int from usage) as calls from plans where name = 'small'",
  );
  expect(moved).toEqual([{ terms: '{"requestsPerDay":20}', calls: 1 }]);
});

test('a change during the move fails it, no gateway starts meanwhile, and the next try moves it', async () => {
  const dataDir = await installation();
  const url = await server.database();
  let started: Promise<unknown> | undefined;
  const moving = moveStore(
    from(dataDir),
    url,
    at('plans', () => {
      change(dataDir, `update plans set terms = '{"requestsPerDay":30}' where name = 'small'`);
      started = openGate('http://127.0.0.1:9', { DATA_DIR: dataDir, DATABASE_URL: '' }).catch(String);
    }),
  );
  await expect(moving).rejects.toThrow(/was changed meanwhile\. Stop whatever uses it/);
  expect(await started).toMatch(/already using/);
  await expect(openStore(from(dataDir, url))).rejects.toThrow(/the move is not finished/);
  await moveStore(from(dataDir), url, () => undefined);
  expect(await asking(url, "select terms from plans where name = 'small'")).toEqual([
    { terms: '{"requestsPerDay":30}' },
  ]);
});

test('a file that is only partly filled is used by no gateway, no command and no other move', async () => {
  const url = await server.database();
  await moveStore(from(await installation()), url, () => undefined);
  const dataDir = temporaryDirectory();
  const back = from(temporaryDirectory(), url);
  await expect(moveStore(back, `sqlite:${dataDir}`, at('accounts', interrupt))).rejects.toThrow('interrupted');
  await expect(openGate('http://127.0.0.1:9', { DATA_DIR: dataDir, DATABASE_URL: '' })).rejects.toThrow(
    /the move is not finished/,
  );
  const command = await sekisho(['plan', 'list'], { DATA_DIR: dataDir, DATABASE_URL: '' });
  expect([command.code, command.err]).toEqual([5, expect.stringContaining('the move is not finished')]);
  await expect(moveStore(from(dataDir), await server.database(), () => undefined)).rejects.toThrow(
    /the move is not finished/,
  );
  await moveStore(back, `sqlite:${dataDir}`, () => undefined);
  expect((await sekisho(['plan', 'list'], { DATA_DIR: dataDir, DATABASE_URL: '' })).code).toBe(0);
});

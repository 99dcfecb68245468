// A PgBouncer in transaction mode between gates and PostgreSQL. It has two connections for all clients of a database, so that what a
// gate left on a session would be met by another.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inMemory } from '../../src/compose/adapters.ts';
import { revokeKey } from '../../src/management/keys/keys.ts';
import { openPostgres } from '../../src/store/postgres/open.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, type TestGate } from '../gate.ts';
import { type Pooler, startPgBouncer } from '../pgbouncer.ts';
import { type PostgresServer, startPostgres } from '../postgres.ts';
import { connectTo } from '../postgres-client.ts';
import { quickBeats, quickLives, sharingSecret } from '../quick-gate.ts';
import { operatorOf, Visitor } from '../visitor.ts';
import { decisionsContract } from './decisions.ts';
import { leasesContract } from './leases.ts';
import { racesContract } from './raced.ts';
import type { Database } from './store.ts';

let server: PostgresServer;
let pooler: Pooler;
let fake: FakeOllama;
let made: string;
beforeAll(async () => {
  [server, fake] = await Promise.all([startPostgres(), startFakeOllama()]);
  pooler = await startPgBouncer(server.port, 2);
  made = await server.database();
  await (await openPostgres({ url: made, connections: 1 })).close();
});
afterAll(async () => {
  await pooler.stop();
  await fake.close();
  await server.stop();
});

async function create(): Promise<Database> {
  const settings = { url: pooler.through(await server.database(made)), connections: 4 };
  return {
    open: () => openPostgres(settings),
    elsewhere: {
      module: join(import.meta.dirname, '../../src/store/postgres/open.ts'),
      name: 'openPostgres',
      given: [settings],
    },
    drop: () => Promise.resolve(),
  };
}

decisionsContract('PostgreSQL behind PgBouncer', create);
leasesContract('PostgreSQL behind PgBouncer', create);
racesContract('PostgreSQL behind PgBouncer', create);

test('gates that start at once behind PgBouncer make the tables once, serve as one, and leave nothing on a session', async () => {
  const direct = await server.database();
  const DATABASE_URL = pooler.through(direct);
  const adapters = { ...inMemory, shares: true, beats: quickBeats, upkeepLives: quickLives };
  const open = (): Promise<TestGate> => openGate(fake.url, { DATABASE_URL, ...sharingSecret() }, adapters);
  const [here, there] = await Promise.all([open(), open()]);
  const member = await here.member({ requestsPerMinute: 5 });
  const call = async (gate: TestGate): Promise<number> => {
    const answer = await post(`${gate.url}/api/chat`, member.secret, {
      model: 'gemma3:270m',
      messages: [{ role: 'user', content: 'hello' }],
    });
    await answer.text();
    return answer.status;
  };
  expect(await Promise.all([here, there, here, there].map(call))).toEqual([200, 200, 200, 200]);
  expect((await there.ledger(4)).map(({ outcome }) => outcome)).toEqual(Array(4).fill('completed'));

  const operator = await operatorOf(here);
  const elsewhere = new Visitor(there.url);
  for (const [name, value] of operator.cookies) elsewhere.cookies.set(name, value);
  expect((await elsewhere.get('/me')).status).toBe(200);
  expect((await elsewhere.post('/announcements', { en: 'Soon.' })).status).toBe(201);

  await here.manage((store, by) => revokeKey(store, member.id, by));
  for (const gate of [here, there]) await eventually(async () => expect(await call(gate)).toBe(401));

  const client = await connectTo(direct);
  const asked = async (text: string): Promise<unknown[]> => (await client.query(text)).rows;
  expect(await asked("select owner from leases where name in ('gate', 'upkeep')")).toHaveLength(2);
  expect(await asked('select id from gates')).toHaveLength(2);
  expect(await asked("select 1 from pg_locks where locktype = 'advisory' and mode like 'Exclusive%'")).toEqual([]);
  await client.end();
  await Promise.all([here.stop(), there.stop()]);
  await expect(sessionsLeft(DATABASE_URL)).resolves.toEqual([]);
});

/** Settings, prepared statements, cursors, listeners and temporary tables on the connections that the pooler keeps. */
async function sessionsLeft(url: string): Promise<unknown[]> {
  const clients = [await connectTo(url), await connectTo(url)];
  const left: unknown[] = [];
  const backends = new Set<unknown>();
  for (const client of clients) {
    // Keeps its backend, so that the second one gets the other.
    await client.query('begin');
    backends.add((await client.query('select pg_backend_pid() as id')).rows[0].id);
    const found = await client.query(
      `select name, setting from pg_settings where source = 'session' and name not in ('application_name', 'client_encoding')
       union all select name, statement from pg_prepared_statements
       union all select name, statement from pg_cursors where name <> ''
       union all select 'listens', pg_listening_channels()
       union all select 'temporary', relname from pg_class where relpersistence = 't'`,
    );
    left.push(...found.rows);
  }
  expect(backends.size).toBe(2);
  for (const client of clients) await client.end();
  return left;
}

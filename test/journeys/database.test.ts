// A gate on PostgreSQL: the same as on its own file, and what happens when the server goes away and comes back.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inMemory } from '../../src/compose/adapters.ts';
import { revokeKey } from '../../src/management/keys/keys.ts';
import { moveStore } from '../../src/store/open-store.ts';
import { makeAuthority, makeCertificate } from '../certificates.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, root, sekisho, spawnGate, temporaryDirectory } from '../gate.ts';
import { asking, ownerOf, type PostgresServer, startPostgres } from '../postgres.ts';
import { connectTo } from '../postgres-client.ts';
import { givenUpSoon, quickBeats } from '../quick-gate.ts';

let server: PostgresServer;
let ollama: FakeOllama;
beforeAll(async () => {
  [server, ollama] = await Promise.all([startPostgres(), startFakeOllama()]);
});
afterAll(async () => {
  await ollama.close();
  await server.stop();
});

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] };

const send = (url: string, secret: string): Promise<Response> => post(`${url}/api/chat`, secret, chat);

test('a second gate is refused with a sentence, and one that was killed starts again at once', async () => {
  const DATABASE_URL = await server.database();
  const DATA_DIR = temporaryDirectory();
  const first = await spawnGate({ DATABASE_URL, DATA_DIR, UPSTREAM: ollama.url });
  await expect(openGate(ollama.url, { DATABASE_URL })).rejects.toThrow(/^Another gateway uses this database\./);
  first.process.kill('SIGKILL');
  await first.ended;
  const again = await spawnGate({ DATABASE_URL, DATA_DIR, UPSTREAM: ollama.url });
  again.process.kill('SIGTERM');
  expect(await again.ended).toBe(0);
  // One that stopped in order leaves its place at once.
  await (await openGate(ollama.url, { DATABASE_URL })).stop();
});

test('a start that is stopped while it waits gives its place back, so that the next one may count elsewhere', async () => {
  const DATABASE_URL = await server.database();
  const given = { DATABASE_URL, DATA_DIR: temporaryDirectory(), UPSTREAM: ollama.url };
  const environment = { PATH: process.env['PATH'], PORT: '0', ...given, REDIS_URL: 'redis://127.0.0.1:9/0' };
  const waiting = spawn(process.execPath, ['src/main.ts'], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  waiting.stdout.on('data', (text: Buffer) => (output += text.toString()));
  await eventually(() => expect(output).toContain('waiting to start: Redis cannot be reached'));
  const [held] = await asking<{ id: string }>(DATABASE_URL, 'select id from gates where until > 0');
  expect(held).toBeDefined();
  const ended = once(waiting, 'exit');
  waiting.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  const gate = await spawnGate(given);
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
});

test('while the server is away, known keys go on, nobody else is let in, and every call is recorded once it is back', async () => {
  const own = await startPostgres();
  const gate = await openGate(ollama.url, { DATABASE_URL: await own.database() });
  const [known, unknown] = [await gate.key(), await gate.key()];
  expect((await send(gate.url, known.secret)).status).toBe(200);
  await gate.ledger(1);
  await own.kill();
  const statuses: number[] = [];
  // Long enough for the gate to look for changes and to find that it cannot.
  await eventually(async () => {
    statuses.push((await send(gate.url, known.secret)).status);
    expect(gate.log()).toContain('the version of the store could not be read');
  });
  statuses.push((await send(gate.url, known.secret)).status);
  const refused = await send(gate.url, unknown.secret);
  expect([refused.status, await refused.json()]).toMatchObject([503, { code: 'identity_unavailable' }]);
  const managed = await fetch(`${gate.url}/management/v1/me`, { headers: { 'x-api-key': known.secret } });
  expect([managed.status, await managed.json()]).toMatchObject([503, { code: 'store_away' }]);
  await own.start();
  await eventually(async () => expect((await send(gate.url, unknown.secret)).status).toBe(200));
  expect(new Set(statuses)).toEqual(new Set([200]));
  const rows = await eventually(async () => {
    const found = await gate.ledger(statuses.length + 2);
    expect(found.filter(({ outcome }) => outcome === 'completed')).toHaveLength(statuses.length + 2);
    return found;
  });
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  await gate.stop();
  await own.stop();
});

test('commands work on the same database, and say when it cannot be used', async () => {
  const DATABASE_URL = await server.database();
  const gate = await openGate(ollama.url, { DATABASE_URL });
  const made = await sekisho(['key', 'create', '--json', '--name', 'mine', '--account', 'operator'], { DATABASE_URL });
  expect(made.code).toBe(0);
  const { secret } = JSON.parse(made.out) as { secret: string };
  await eventually(async () => expect((await send(gate.url, secret)).status).toBe(200));
  await gate.stop();
  const nowhere = DATABASE_URL.replace(/test_.*/, 'nowhere');
  const missing = await sekisho(['key', 'list'], { DATABASE_URL: nowhere });
  expect([missing.code, missing.err]).toEqual([5, expect.stringContaining('does not exist. Create it: createdb')]);
  const away = await sekisho(['key', 'list'], { DATABASE_URL: 'postgres://sekisho@127.0.0.1:9/away' });
  expect([away.code, away.err]).toEqual([5, expect.stringContaining('PostgreSQL cannot be reached')]);
});

test('PostgreSQL is reached with TLS under an authority of its own, and a command says what is wrong with the certificate', async () => {
  const files = temporaryDirectory();
  const [authority, another] = [makeAuthority(files), makeAuthority(files)];
  const { cert, key } = makeCertificate(files, ['DNS:localhost'], { authority });
  for (const path of [files, key]) ownerOf(path);
  const own = await startPostgres({ ssl: 'on', ssl_cert_file: cert, ssl_key_file: key });
  const address = (await own.database()).replace('127.0.0.1', 'localhost');
  const DATABASE_URL = `${address}?sslmode=verify-full&sslrootcert=${authority.cert}`;
  const gate = await openGate(ollama.url, { DATABASE_URL });
  expect((await send(gate.url, (await gate.key()).secret)).status).toBe(200);
  const sessions = await asking<{ ssl: boolean }>(
    address,
    "select ssl from pg_stat_ssl natural join pg_stat_activity where application_name = 'sekisho'",
  );
  expect(new Set(sessions.map(({ ssl }) => ssl))).toEqual(new Set([true]));
  await gate.stop();
  const said = async (url: string): Promise<[number | null, string]> => {
    const { code, err } = await sekisho(['key', 'list'], { DATABASE_URL: url });
    return [code, err];
  };
  expect(await said(DATABASE_URL.replace('verify-full', 'require'))).toEqual([0, '']);
  const wrong = DATABASE_URL.replace(authority.cert, another.cert);
  expect(await said(wrong)).toEqual([5, expect.stringContaining('its certificate is not trusted')]);
  const misnamed = DATABASE_URL.replace('localhost', '127.0.0.1');
  expect(await said(misnamed)).toEqual([5, expect.stringContaining('is not for the host that DATABASE_URL names')]);
  await own.stop();
  const plain = `${await server.database()}?sslmode=verify-full`;
  expect(await said(plain)).toEqual([5, expect.stringContaining('the server does not encrypt')]);
});

test('an installation moves to PostgreSQL and back with every row, and goes on where a move was interrupted', async () => {
  const DATA_DIR = temporaryDirectory();
  const before = await spawnGate({ DATA_DIR, UPSTREAM: ollama.url });
  const { secret } = await before.key();
  for (let calls = 0; calls < 3; calls++) expect((await send(before.url, secret)).status).toBe(200);
  const rows = await before.ledger(3);
  const DATABASE_URL = await server.database();
  const held = await sekisho(['migrate', '--to', DATABASE_URL], { DATA_DIR });
  expect([held.code, held.err]).toEqual([5, expect.stringContaining('A gateway uses')]);
  before.process.kill('SIGTERM');
  expect(await before.ended).toBe(0);

  // The first attempt ends in the middle of the ledger's tables.
  const place = { dataDir: DATA_DIR, databaseUrl: '', databaseConnections: 2 };
  await expect(
    moveStore(place, DATABASE_URL, ({ table }) => {
      if (table === 'usage') throw new Error('interrupted');
    }),
  ).rejects.toThrow('interrupted');
  await expect(openGate(ollama.url, { DATABASE_URL })).rejects.toThrow(/the move is not finished/);
  const moved = await sekisho(['migrate', '--json', '--to', DATABASE_URL], { DATA_DIR });
  expect(moved.code).toBe(0);
  const again = await sekisho(['migrate', '--to', DATABASE_URL], { DATA_DIR });
  expect([again.code, again.err]).toEqual([5, expect.stringContaining('already has rows of its own')]);

  const after = await spawnGate({ DATA_DIR, DATABASE_URL, UPSTREAM: ollama.url });
  expect((await send(after.url, secret)).status).toBe(200);
  const four = await after.ledger(4);
  expect(four.slice(0, 3)).toEqual(rows);
  after.process.kill('SIGTERM');
  expect(await after.ended).toBe(0);

  const back = temporaryDirectory();
  const returned = await sekisho(['migrate', '--to', `sqlite:${back}`], { DATA_DIR, DATABASE_URL });
  expect([returned.code, returned.err]).toEqual([0, '']);
  expect(returned.out).toContain(`DATA_DIR=${back}`);
  const home = await spawnGate({ DATA_DIR: back, UPSTREAM: ollama.url });
  expect((await send(home.url, secret)).status).toBe(200);
  expect((await home.ledger(5)).slice(0, 4)).toEqual(four);
  home.process.kill('SIGTERM');
  expect(await home.ended).toBe(0);
});

test('a gate that is held up in the middle of a heartbeat does not count on the lease from before', async () => {
  const DATABASE_URL = await server.database();
  const held = await spawnGate({ DATABASE_URL, UPSTREAM: ollama.url, ...givenUpSoon }, [
    process.execPath,
    'test/quick-gate.ts',
  ]);
  const { secret } = await held.key();
  expect((await send(held.url, secret)).status).toBe(200);
  const session = await connectTo(DATABASE_URL);
  await session.query('begin');
  await session.query('select 1 from gates for update');
  // The lease is renewed, and the rest of the heartbeat waits until it is over.
  const waits = `select 1 from pg_stat_activity, leases
    where wait_event_type = 'Lock' and query like 'update gates%' and name = 'gate'
      and until < extract(epoch from clock_timestamp()) * 1000`;
  await eventually(async () => expect(await asking(DATABASE_URL, waits)).toHaveLength(1));
  await session.query(`update leases set owner = 'another', until = until + 3600000 where name = 'gate'`);
  await session.query('update gates set until = 0');
  await session.query('commit');
  const statuses: number[] = [];
  const call = (): Promise<boolean> =>
    send(held.url, secret).then(
      ({ status }) => statuses.push(status) > 0,
      () => false,
    );
  while (await call()) continue;
  expect(new Set(statuses)).not.toContain(200);
  expect(await held.ended).toBe(5);
  await session.end();
});

test('a gate that was frozen for longer than others wait for it learns what it missed before it serves another call', async () => {
  const DATABASE_URL = await server.database();
  const command = [process.execPath, 'test/quick-gate.ts'];
  const frozen = await spawnGate({ DATABASE_URL, UPSTREAM: ollama.url, ...givenUpSoon }, command);
  const [first, second] = [await frozen.key(), await frozen.key()];
  const statusOf = async ({ secret }: { readonly secret: string }) => (await send(frozen.url, secret)).status;
  expect([await statusOf(first), await statusOf(second)]).toEqual([200, 200]);
  const watching = await connectTo(DATABASE_URL);
  const isOver = async (): Promise<void> => {
    const alive = 'select 1 from gates where until > extract(epoch from clock_timestamp()) * 1000';
    expect((await watching.query(alive)).rowCount).toBe(0);
  };

  frozen.process.kill('SIGSTOP');
  await eventually(isOver);
  // Frozen within a decision, it holds a lock until PostgreSQL ends its transaction.
  await eventually(() => frozen.manage(async (store, by) => revokeKey(store, first.id, by)));
  const missed = statusOf(first);
  frozen.process.kill('SIGCONT');
  // 503: PostgreSQL has ended the connection of a gate that was frozen within a decision, and it has to make another one first.
  expect([401, 503]).toContain(await missed);
  await eventually(async () => expect([await statusOf(first), await statusOf(second)]).toEqual([401, 200]));
  // On a busy machine it may miss another heartbeat.
  expect(Number((await watching.query('select epoch from gates')).rows[0].epoch)).toBeGreaterThanOrEqual(2);

  frozen.process.kill('SIGSTOP');
  await eventually(isOver);
  const other = await openGate(ollama.url, { DATABASE_URL }, { ...inMemory, beats: { ...quickBeats, lifeMs: 60_000 } });
  const late = statusOf(second);
  frozen.process.kill('SIGCONT');
  expect(await late).toBe(503);
  expect(await frozen.ended).toBe(5);
  expect(frozen.output()).toContain('Another gateway has taken the database over');
  expect((await send(other.url, second.secret)).status).toBe(200);
  await watching.end();
  await other.stop();
});

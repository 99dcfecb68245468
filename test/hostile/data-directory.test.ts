// A data directory that is full, read-only, held by another gate, has lost its lock, or is reached by a link that was
// redirected: one sentence says what is wrong, and there are never two gates.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockDirectory } from '../../src/store/sqlite/directory-lock.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, post, root, run, sekisho, serverWords, spawnGate, temporaryDirectory } from '../gate.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const whole = { model: 'gemma3:270m', prompt: 'x', stream: false };

/** Starts a gate on a file system of its own, visible only to that process. */
const startOn = (mount: string, dataDir: string, below = ''): ReturnType<typeof run> =>
  run(
    'unshare',
    [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      `mount -t tmpfs ${mount} tmpfs ${dataDir} && exec ${process.execPath} ${serverWords.join(' ')}`,
    ],
    { DATA_DIR: join(dataDir, below), PORT: '0' },
  );

test.each([
  ['has no room for a byte', '-o size=16k', /is full/],
  ['has no room for another file', '-o nr_inodes=1', /is full/],
  ['is read-only', '-o ro', /can only be read/],
] as const)('a disk that %s is reported as such, and not as another gate', async (_, mount, sentence) => {
  const { code, err } = await startOn(mount, temporaryDirectory());
  expect(err).toMatch(sentence);
  expect(err).not.toMatch(/[Aa]nother gate/);
  expect(err.trim().split('\n')).toHaveLength(1);
  expect(code).toBe(1);
});

test('a data directory that would have to be created on a read-only disk is reported as such', async () => {
  const { err } = await startOn('-o ro', temporaryDirectory(), 'data');
  expect(err).toMatch(/can only be read/);
});

test('a deleted lock admits no second gate, and is made again', async () => {
  const gate = await spawnGate({ UPSTREAM: fake.url });
  const { secret } = await gate.key();
  const lock = join(gate.dataDir, 'gate.lock');
  rmSync(lock);
  const second = await run(process.execPath, serverWords, { DATA_DIR: gate.dataDir, PORT: '0' });
  expect(second).toMatchObject({ code: 1, err: expect.stringMatching(/^Another gateway is already using /) });
  await eventually(() => expect(existsSync(lock)).toBe(true));
  expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(200);
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
  expect(gate.output()).toContain('was deleted or replaced');
});

test('of two gates that meet while the lock is missing, the one that held the directory keeps it', async () => {
  const dataDir = temporaryDirectory();
  await (await openSqlite(dataDir)).close();
  const first = await lockDirectory(dataDir, 0);
  expect(first.look()).toBeUndefined();
  rmSync(join(dataDir, 'gate.lock'));
  const second = lockDirectory(dataDir, 100);
  expect(first.look()).toContain('made again');
  await expect(second).rejects.toThrow('Another gateway is already using');
  expect(first.look()).toBeUndefined();
  await expect(lockDirectory(dataDir)).rejects.toThrow('Another gateway is already using');
  first.release();
  (await lockDirectory(dataDir)).release();
  expect(readdirSync(dataDir).filter((name) => name.startsWith('gate.lock'))).toEqual(['gate.lock']);
});

test('a gate whose DATA_DIR link is redirected keeps its directory and stops normally', async () => {
  const place = temporaryDirectory();
  const [real, other, link] = [join(place, 'real'), join(place, 'other'), join(place, 'link')];
  mkdirSync(real);
  mkdirSync(other);
  symlinkSync(real, link);
  const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: link });
  const { secret } = await gate.key();
  symlinkSync(other, `${link}.next`);
  renameSync(`${link}.next`, link);
  expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(200);
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
  expect(readdirSync(other)).toEqual([]);
  expect(readdirSync(join(real, 'journal'))).toEqual([]);
  const store = await openSqlite(real);
  expect(await store.listUsage(10)).toHaveLength(1);
  await store.close();
});

test('a start waits for a database held by another program and says so, and so does the command', async () => {
  const dataDir = temporaryDirectory();
  await (await openSqlite(dataDir)).close();
  const other = new Database(join(dataDir, 'sekisho.db'));
  other.exec('begin immediate');
  const env = { PATH: process.env['PATH'], DATA_DIR: dataDir, PORT: '0', UPSTREAM: fake.url };
  const child = spawn(process.execPath, serverWords, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
  await eventually(() => expect(output).toContain('Another program is writing'));
  const { code, err } = await sekisho(['key', 'create', '--name', 'x'], { DATA_DIR: dataDir });
  expect([code, err]).toEqual([5, expect.stringMatching(/^Another program is writing to .*\n$/)]);
  expect(output).not.toContain('Sekisho is running');
  other.exec('rollback');
  other.close();
  await eventually(() => expect(output).toContain('Sekisho is running'));
  expect(output.split('Another program is writing')).toHaveLength(2);
  expect(statSync(join(dataDir, 'sekisho.db')).size).toBeGreaterThan(0);
  child.kill('SIGTERM');
  expect((await once(child, 'exit'))[0]).toBe(0);
});

test.each([
  ['is deleted', (file: string) => rmSync(file)],
  [
    'is replaced by a backup',
    (file: string) => {
      cpSync(file, `${file}.backup`);
      renameSync(`${file}.backup`, file);
    },
  ],
])('a gate whose database %s writes nothing more into the old file, reports it, and exits', async (_, lose) => {
  const gate = await spawnGate({ UPSTREAM: fake.url });
  const { secret } = await gate.key();
  const call = (url: string) => post(`${url}/api/generate`, secret, whole);
  await (await call(gate.url)).text();
  await gate.ledger(1);
  fake.next(async (_call, answer) => {
    answer.head(200, { 'Content-Type': 'application/json' });
    lose(join(gate.dataDir, 'sekisho.db'));
    await answer.chunk('{"done":true,"prompt_eval_count":3,"eval_count":4}');
    answer.end();
  });
  expect(await (await call(gate.url)).text()).toContain('"done":true');
  expect(await gate.ended).toBe(1);
  expect(gate.output()).toMatch(/sekisho.db was deleted or replaced while it was in use/);
  // Exchanges that ended meanwhile wait in the journal for the new database.
  const again = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: gate.dataDir });
  const rows = await again.ledger(1);
  expect(rows.filter(({ completionTokens }) => completionTokens === 4)).toHaveLength(1);
  again.process.kill('SIGTERM');
  expect(await again.ended).toBe(0);
});

test('a directory that cannot be checked for a while does not stop the gate', async () => {
  const place = temporaryDirectory();
  const [dataDir, away] = [join(place, 'data'), join(place, 'away')];
  const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  const { secret } = await gate.key();
  const works = async (): Promise<void> =>
    expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(200);
  await works();
  renameSync(dataDir, away);
  // A loop of links: a check gets ELOOP, as a user without rights gets EACCES.
  symlinkSync(dataDir, dataDir);
  await eventually(() => expect(gate.output()).toContain('cannot be looked at'));
  await works();
  rmSync(dataDir);
  renameSync(away, dataDir);
  await works();
  await gate.ledger(3);
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
});

test('a command of a newer version does not change the tables under a gate of an older one', async () => {
  const gate = await spawnGate({ UPSTREAM: fake.url });
  const { secret } = await gate.key();
  // As the gate of an older version left it: the newest migration has not been made.
  const database = new Database(join(gate.dataDir, 'sekisho.db'));
  const last = database.prepare('select name from kysely_migration order by name desc limit 1').pluck().get() as string;
  database.prepare('delete from kysely_migration where name = ?').run(last);
  const { code, err } = await sekisho(['key', 'list'], { DATA_DIR: gate.dataDir });
  expect([code, err]).toEqual([
    5,
    expect.stringMatching(/^.*older Sekisho, and a gateway of that version is using it.*\n$/),
  ]);
  expect(database.prepare('select count(*) from kysely_migration where name = ?').pluck().get(last)).toBe(0);
  expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(200);
  database.prepare('insert into kysely_migration values (?, ?)').run(last, new Date().toISOString());
  database.close();
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
});

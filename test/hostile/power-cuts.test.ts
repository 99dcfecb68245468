// A power cut right after an answer: what was decided is decided, and what was made once is there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KeyId } from '../../src/domain/id.ts';
import { unlimited } from '../../src/domain/plan.ts';
import { createAccount, openAccount } from '../../src/management/accounts/accounts.ts';
import { createKey } from '../../src/management/keys/keys.ts';
import { Ledger } from '../../src/store/ledger/ledger.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { databaseIn, openSqlite } from '../../src/store/sqlite/open.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { author, commandFile, post, RawClient, run, serverWords, spawnGate, temporaryDirectory } from '../gate.ts';
import { PowerCut, traced } from '../power-cut.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const sqlite = { DATABASE_URL: '' };

/** A data directory with an account, its key, and a key of the management. */
async function installed(): Promise<{ dataDir: string; manager: string; id: KeyId; secret: string }> {
  const dataDir = temporaryDirectory();
  return read(dataDir, async (store) => {
    await openAccount(store, 'operator', unlimited, author());
    await createAccount(store, 'alice', 'default', author());
    const manager = await createKey(store, { name: 'manager', account: 'operator', scopes: ['management'] }, author());
    const { key, secret } = await createKey(store, { name: 'laptop', account: 'alice' }, author());
    return { dataDir, manager: manager.secret!.reveal(), id: key.id, secret: secret!.reveal() };
  });
}

async function read<T>(dataDir: string, use: (store: Store) => Promise<T>): Promise<T> {
  const store = await openSqlite(dataDir);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

test('every change that the management API has answered survives a power cut', async () => {
  const { dataDir, manager, id, secret } = await installed();
  const trace = join(temporaryDirectory(), 'trace');
  const cut = new PowerCut(dataDir);
  const gate = await spawnGate(
    { ...sqlite, UPSTREAM: fake.url, DATA_DIR: dataDir },
    traced(trace, [process.execPath, ...serverWords]),
  );
  let answers = 0;
  const change = async (path: string, body: unknown, method = 'POST'): Promise<number> => {
    const answer = await fetch(`${gate.url}/management/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${manager}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    await answer.text();
    expect(answer.ok, `${path}: ${answer.status}`).toBe(true);
    return ++answers;
  };
  const call = async (): Promise<number> => {
    const answer = await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x', stream: false });
    await answer.text();
    expect(answer.status).toBe(200);
    return ++answers;
  };
  // The ledger writes to the same log, from another thread.
  await call();
  const made = await change('/plans', { name: 'night', like: 'default', requestsPerDay: 500 });
  await call();
  const moved = await change('/accounts/alice', { plan: 'night' }, 'PATCH');
  await call();
  const suspended = await change('/suspensions', { whom: 'alice', step: 'suspend', reason: 'x' });
  const revoked = await change(`/keys/${id}/revoke`, {});
  // A caller can have an answer before the trace has it: a process that is killed then never returns from the write. It has returned when
  // it answers something else.
  expect((await fetch(`${gate.url}/healthz`)).status).toBe(200);
  process.kill(PowerCut.processOf(trace), 'SIGKILL');
  await gate.ended;

  const left = <T>(answer: number, use: (store: Store) => Promise<T>): Promise<T> =>
    read(cut.atAnswer(trace, answer), use);
  expect(await left(made, async (store) => (await store.listPlans()).map(({ name }) => name))).toContain('night');
  expect(await left(moved, async (store) => (await store.findAccount('alice'))?.plan)).toBe('night');
  expect(await left(suspended, (store) => store.listSuspensions({ limit: 9 }))).toHaveLength(1);
  expect(await left(revoked, async (store) => (await store.findKey(id))?.revokedAt)).toEqual(expect.any(Number));
});

test('the disk is not waited for by calls and by the records of the ledger', async () => {
  const { dataDir, secret } = await installed();
  const trace = join(temporaryDirectory(), 'trace');
  const gate = await spawnGate(
    { ...sqlite, UPSTREAM: fake.url, DATA_DIR: dataDir },
    traced(trace, [process.execPath, ...serverWords]),
  );
  const calls = 60;
  const begunMs = performance.now();
  for (let i = 0; i < calls; i++) {
    const answer = await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x', stream: false });
    await answer.text();
  }
  const endedMs = performance.now();
  await gate.ledger(calls);
  process.kill(PowerCut.processOf(trace), 'SIGKILL');
  await gate.ended;
  // The gateway renews something by itself, every few seconds.
  expect(PowerCut.flushesBetween(trace, 1, calls)).toBeLessThan(calls / 4 + (endedMs - begunMs) / 1_000);
});

test('records that waited in the journal are not lost when the database has just taken them', async () => {
  const { dataDir, secret } = await installed();
  const gate = await spawnGate({ ...sqlite, UPSTREAM: fake.url, DATA_DIR: dataDir });
  const call = async (): Promise<void> => {
    const answer = await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x', stream: false });
    await answer.text();
    expect(answer.status).toBe(200);
  };
  await call();
  await gate.ledger(1);
  const other = new Database(databaseIn(dataDir));
  other.exec('begin immediate');
  for (let i = 0; i < 5; i++) await call();
  gate.process.kill('SIGKILL');
  await gate.ended;
  other.exec('rollback');
  other.close();
  // Since then, the journal has reached the disk.
  const trace = join(temporaryDirectory(), 'trace');
  const cut = new PowerCut(dataDir);
  const again = await spawnGate(
    { ...sqlite, UPSTREAM: fake.url, DATA_DIR: dataDir },
    traced(trace, [process.execPath, ...serverWords]),
  );
  process.kill(PowerCut.processOf(trace), 'SIGKILL');
  await again.ended;
  const left = cut.afterRemoval(trace, join(dataDir, 'journal'));
  const found = await read(left, async (store) => {
    await (await Ledger.start(store, left, () => undefined)).close();
    return store.listUsage(100);
  });
  expect(found.filter(({ outcome }) => outcome === 'completed')).toHaveLength(6);
});

test('what a command has done survives a power cut', async () => {
  const { dataDir, id } = await installed();
  const trace = join(temporaryDirectory(), 'trace');
  const cut = new PowerCut(dataDir);
  // A connection that stays open, like that of a gateway: otherwise the command would move everything into the database when it ends.
  const other = await openSqlite(dataDir);
  const [program = '', ...words] = traced(trace, [process.execPath, commandFile, 'key', 'revoke', id, '--yes']);
  expect(await run(program, words, { ...sqlite, DATA_DIR: dataDir })).toMatchObject({ code: 0, err: '' });
  await other.close();
  const revokedAt = await read(cut.atEnd(trace), async (store) => (await store.findKey(id))?.revokedAt);
  expect(revokedAt).toEqual(expect.any(Number));
});

test('secrets and certificates that the gateway makes at its first start survive a power cut', async () => {
  const dataDir = temporaryDirectory();
  const trace = join(temporaryDirectory(), 'trace');
  const cut = new PowerCut(dataDir);
  const gate = await spawnGate(
    { ...sqlite, UPSTREAM: fake.url, DATA_DIR: dataDir, TLS: 'self-signed' },
    traced(trace, [process.execPath, ...serverWords]),
  );
  process.kill(PowerCut.processOf(trace), 'SIGKILL');
  await gate.ended;
  const left = cut.atEnd(trace);
  for (const name of ['cookie.secret', 'gate.id', 'authority.key', 'authority.pem', 'gate.key', 'gate.pem'])
    expect(readFileSync(join(left, name), 'utf8'), name).toBe(readFileSync(join(dataDir, name), 'utf8'));
});

test('a change that the disk does not take is refused, and the gateway ends', async () => {
  const { dataDir, manager } = await installed();
  const gate = await spawnGate({ ...sqlite, UPSTREAM: fake.url, DATA_DIR: dataDir });
  // The gateway has this request in any case before the disk fails, which a change of its own may notice first.
  const change = new RawClient(Number(new URL(gate.url).port));
  change.write(`POST /management/v1/accounts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${manager}\r\n`);
  change.write('Content-Type: application/json\r\nContent-Length: 14\r\nExpect: 100-continue\r\n\r\n{"name":');
  await change.until('100 Continue');
  change.received = Buffer.alloc(0);
  const fault = spawn(
    'strace',
    ['-f', '-p', String(gate.process.pid), '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await once(fault.stderr, 'data');
  change.write('"bob"}');
  await change.closed;
  expect(change.text).toMatch(/^HTTP\/1\.1 503 .*"code":"store_unusable"/s);
  expect(await gate.ended).toBe(1);
  expect(gate.output()).toContain('the disk does not do what it should');
});

// Databases, disks and logs that fail under a running gate: calls continue where possible, nothing is lost, and a refusal
// says why.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { recovered } from '../../src/store/ledger/journal-lines.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { freePort } from '../free-ports.ts';
import { eventually, openGate, post, root, run, sekisho, serverWords, spawnGate, temporaryDirectory } from '../gate.ts';
import { goodPassword, memberOf, operatorOf, Visitor } from '../visitor.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const whole = { model: 'gemma3:270m', prompt: 'x', stream: false };

describe('S1: a database held by another process', () => {
  test('delays no call of a known key, and gets every row when it is free', async () => {
    const gate = await spawnGate({ UPSTREAM: fake.url });
    const { secret } = await gate.key();
    await (await post(`${gate.url}/api/generate`, secret, whole)).text();
    await gate.ledger(1);
    const other = new Database(join(gate.dataDir, 'sekisho.db'));
    other.exec('begin immediate');
    // If each of them waited for the database, they would take far longer than a test may.
    const answered = 200;
    for (let i = 0; i < answered; i++) {
      const answer = await post(`${gate.url}/api/generate`, secret, whole);
      expect(answer.status).toBe(200);
      await answer.text();
    }
    other.exec('rollback');
    other.close();
    await gate.ledger(answered + 1);
    gate.process.kill('SIGTERM');
    expect(await gate.ended).toBe(0);
  });

  test('answers a change with 503, not as an internal error', async () => {
    const gate = await openGate(fake.url);
    const { secret } = await gate.key({ scopes: ['management'] });
    const other = new Database(join(gate.dataDir, 'sekisho.db'));
    other.exec('begin immediate');
    const answer = await post(`${gate.url}/management/v1/accounts`, secret, { name: 'somebody', plan: 'default' });
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, 'store_busy']);
    other.exec('rollback');
    other.close();
    await gate.stop();
  });
});

test('S2, H9: a full disk refuses calls that could not be recorded, keeps what was finished before, and recovers when there is room', async () => {
  const dataDir = temporaryDirectory();
  expect(await run('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', dataDir])).toMatchObject({ code: 0 });
  onTestFinished(async () => void (await run('umount', ['--lazy', dataDir])));
  // The line with the address has level info.
  const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir, LOG_LEVEL: 'info' });
  const { secret } = await gate.key();
  const manager = await gate.key({ scopes: ['management'] });
  const codes: number[] = [];
  for (let i = 0; i < 4_000 && codes.filter((code) => code !== 200).length < 20; i++) {
    const answer = await post(`${gate.url}/api/generate`, secret, whole);
    await answer.text();
    codes.push(answer.status);
  }
  expect(codes.filter((code) => code !== 200 && code !== 503)).toEqual([]);
  expect(codes).toContain(503);
  // An operator is told that the disk is full, not that the cause is unknown. What a call had no room for may have room for changes.
  let changes = 0;
  await eventually(async () => {
    const name = `somebody-${++changes}`;
    const change = await post(`${gate.url}/management/v1/accounts`, manager.secret, { name, plan: 'default' });
    expect([change.status, ((await change.json()) as { code: string }).code]).toEqual([503, 'store_unusable']);
  });
  expect((await fetch(`${gate.url}/healthz`)).status).toBe(200);
  expect(gate.output()).toMatch(/could not be written/);
  gate.process.kill('SIGKILL');
  await gate.ended;
  await run('mount', ['-o', 'remount,size=64m', dataDir]);
  const again = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  const finished = codes.filter((code) => code === 200).length;
  // The one call that was running when the disk filled up could only be held in memory, and the log said so.
  const rows = await again.ledger(finished - 1);
  expect(rows.filter(({ outcome }) => outcome === 'completed').length).toBeGreaterThanOrEqual(finished - 1);
  expect((await post(`${again.url}/api/generate`, secret, whole)).status).toBe(200);
  again.process.kill('SIGTERM');
  expect(await again.ended).toBe(0);
});

test('S2: a line that a full disk took only in part does not count as written', async () => {
  const dataDir = temporaryDirectory();
  const script = `
    import { Ledger } from ${JSON.stringify(join(root, 'src/store/ledger/ledger.ts'))};
    const store = { appendLines: async () => {}, touchKeys: async () => {}, flushLines: async () => {}, noteRecovered: async () => {} };
    let failures = 0;
    const ledger = await Ledger.start(store, ${JSON.stringify(dataDir)}, () => failures++);
    const written = [];
    for (let i = 0; i < 100 && failures === 0; i++) {
      ledger.end({ id: 'req_' + i, at: i, keyId: 'key_' + 'x'.repeat(100) }, undefined);
      if (failures === 0) written.push('req_' + i);
    }
    console.log(JSON.stringify(written));
    process.exit(0);`;
  const limited = `trap '' XFSZ; ulimit -f 2; exec ${process.execPath} --input-type=module -e "$SCRIPT"`;
  const { out, err } = await run('sh', ['-c', limited], { SCRIPT: script });
  expect(err).toBe('');
  const journal = readFileSync(join(dataDir, 'journal', '00000001.ndjson'), 'utf8');
  expect(journal.endsWith('\n')).toBe(false);
  const kept = [...recovered(journal.split('\n'))].map(({ id }) => id);
  expect(kept.length).toBeGreaterThan(3);
  expect(JSON.parse(out)).toEqual(kept);
});

describe('S3: a damaged database', () => {
  test('with a damaged page is refused in one sentence and left as it is', async () => {
    const dataDir = temporaryDirectory();
    const store = await openSqlite(dataDir);
    await store.close();
    const file = join(dataDir, 'sekisho.db');
    const size = statSync(file).size;
    const fd = openSync(file, 'r+');
    for (let page = 4096; page < size; page += 4096) writeSync(fd, Buffer.alloc(64, 0xee), 0, 64, page);
    const before = readFileSync(file);
    const { code, err } = await run(process.execPath, serverWords, { DATA_DIR: dataDir, PORT: '0' });
    expect([code, err]).toEqual([1, expect.stringMatching(/damaged or not a database.*\n$/)]);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('that cannot be written is refused or reported', async () => {
    const dataDir = temporaryDirectory();
    mkdirSync(join(dataDir, 'journal'), { recursive: true });
    writeFileSync(join(dataDir, 'journal', '00000001.ndjson'), 'B{"torn');
    copyFileSync(process.execPath, join(dataDir, 'gate.lock'));
    const { code, err } = await run(process.execPath, serverWords, { DATA_DIR: dataDir, PORT: '0' });
    expect(code).toBe(1);
    expect(err).not.toMatch(/\n\s+at /);
  });
});

test('S4: a first start that is killed at any moment leaves a state that the next one completes', async () => {
  const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? -1;
  // From the moment the file appears to the last migration: bytes of the database and of its write-ahead log.
  for (const bytes of [0, 1, 5_000, 100_000, 200_000, 300_000, 360_000, 400_000]) {
    const dataDir = temporaryDirectory();
    const database = join(dataDir, 'sekisho.db');
    const env = {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      DATA_DIR: dataDir,
      PORT: '0',
      UPSTREAM: fake.url,
    };
    const child = spawn(process.execPath, serverWords, { cwd: root, env, stdio: 'ignore' });
    const ended = once(child, 'exit');
    while (sizeOf(database) + sizeOf(`${database}-wal`) < bytes && child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 1));
    expect(child.exitCode).toBeNull();
    child.kill('SIGKILL');
    await ended;
    const store = await openSqlite(dataDir);
    expect(await store.listKeys()).toEqual([]);
    await store.close();
  }
});

test('S6: a key that another process revokes stops working without a notification', async () => {
  const gate = await openGate(fake.url);
  const { id, secret } = await gate.key();
  expect((await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } })).status).toBe(200);
  const { code } = await sekisho(['key', 'revoke', id, '--yes'], { DATA_DIR: gate.dataDir });
  expect(code).toBe(0);
  await eventually(async () =>
    expect((await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } })).status).toBe(401),
  );
  await gate.stop();
});

test('a failed look-up is neither a caller nor a wrong key, and unreadable usage leaves no room', async () => {
  const gate = await openGate(fake.url);
  const [known, { secret }] = [await gate.member({}), await gate.member({})];
  expect((await post(`${gate.url}/api/generate`, known.secret, whole)).status).toBe(200);
  const answer = async (key: string): Promise<unknown> => {
    const refusal = await post(`${gate.url}/api/generate`, key, whole);
    return [refusal.status, ((await refusal.json()) as { code: string }).code];
  };
  const before = fake.calls.length;
  const other = new Database(join(gate.dataDir, 'sekisho.db'));
  other.exec('alter table usage_quarterly rename to away');
  await eventually(async () => expect(await answer(secret)).toEqual([503, 'limits_unavailable']));
  // With any change of a row, after which callers are looked up again.
  other.exec('alter table keys rename to keys_away; update registration set id = id');
  await eventually(async () => expect(await answer(secret)).toEqual([503, 'identity_unavailable']));
  expect(fake.calls.length).toBe(before);
  const managed = await fetch(`${gate.url}/management/v1/me`, { headers: { 'x-api-key': secret } });
  expect([managed.status, ((await managed.json()) as { code: string }).code]).toEqual([503, 'store_unusable']);
  expect(gate.log()).toContain('no such table: keys. Its tables are not those of this version');
  other.exec('alter table keys_away rename to keys; alter table away rename to usage_quarterly');
  other.close();
  await eventually(async () => expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(200));
  await gate.stop();
});

test('S7: of several processes that rotate one key at once, one succeeds', async () => {
  const gate = await openGate(fake.url);
  const { id } = await gate.key();
  const both = await Promise.all(
    [1, 2, 3].map(() => sekisho(['key', 'rotate', id, '--grace', '1h', '--json'], { DATA_DIR: gate.dataDir })),
  );
  expect(both.map(({ code }) => code).toSorted((a, b) => a - b)).toEqual([0, 4, 4]);
  for (const { err } of both) expect(err).not.toMatch(/\n\s+at /);
  expect(await gate.manage((store) => store.listKeys())).toHaveLength(2);
  await gate.stop();
});

describe('S9: settings', () => {
  test.each([
    ['half-written', 'port: 3000\nupstr'],
    ['of another kind', '[1, 2'],
    ['empty of sense', '"port'],
  ])('that are %s stop the start with one sentence, and never apply in part', async (_, text) => {
    const file = join(temporaryDirectory(), 'sekisho.yaml');
    writeFileSync(file, text);
    const { code, err } = await run(process.execPath, serverWords, {
      SEKISHO_CONFIG: file,
      DATA_DIR: temporaryDirectory(),
      PORT: '0',
    });
    expect([code, err]).toEqual([1, expect.stringContaining(file)]);
  });

  test('that change or disappear while the gate runs change nothing', async () => {
    const file = join(temporaryDirectory(), 'sekisho.yaml');
    writeFileSync(file, `upstream: ${fake.url}\n`);
    const gate = await spawnGate({ SEKISHO_CONFIG: file });
    const { secret } = await gate.key();
    writeFileSync(file, 'upstream: nonsense');
    gate.process.kill('SIGHUP');
    for (let i = 0; i < 10; i++) expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(200);
    gate.process.kill('SIGTERM');
    expect(await gate.ended).toBe(0);
  });
});

describe('S12: a log that nobody reads', () => {
  interface Silent {
    readonly child: ChildProcess;
    readonly url: string;
    readonly ended: Promise<unknown>;
  }

  /** A gate with this standard output; it has a key of the settings. */
  async function withLog(stdout: number | 'pipe'): Promise<Silent> {
    // Its log cannot report its port.
    const port = await freePort();
    const child = spawn(process.execPath, serverWords, {
      cwd: root,
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        DATA_DIR: temporaryDirectory(),
        PORT: String(port),
        UPSTREAM: fake.url,
        LOG_LEVEL: 'debug',
        LOG_FORMAT: 'json',
        API_KEYS: 'a-key-of-the-settings-1234',
        DRAIN_SECONDS: '1',
      },
      stdio: ['ignore', stdout, 'ignore'],
    });
    const url = `http://127.0.0.1:${port}`;
    await eventually(async () => expect((await fetch(`${url}/healthz`)).status).toBe(200));
    return { child, url, ended: once(child, 'exit') };
  }

  const calls = async (url: string, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const answer = await post(`${url}/api/generate`, 'a-key-of-the-settings-1234', {
        ...whole,
        model: 'x'.repeat(200),
      });
      expect([200, 404]).toContain(answer.status);
      await answer.text();
    }
  };

  test.each([
    ['because its disk is full', () => openSync('/dev/full', 'w')],
    ['because its reader is gone', () => 'pipe' as const],
    ['because its reader has stopped reading', () => 'pipe' as const],
  ])('%s delays no call and not the end of the gate', async (what, stdout) => {
    const { child, url, ended } = await withLog(stdout());
    if (what.includes('gone')) child.stdout?.destroy();
    if (what.includes('stopped')) child.stdout?.pause();
    // A pipe holds 64 KiB, and the log writes a hundred bytes for each call.
    await calls(url, 1_000);
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    expect(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1])).toBeLessThan(400_000);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });
});

test('S1: a session read while the database is held is found, and no valid session is reported as ended', async () => {
  const gate = await openGate(fake.url);
  await (await operatorOf(gate)).patch('/registration', { mode: 'open' });
  const member = await memberOf(gate, 'locked@example.org');
  // More than an hour old: reading it writes it, so that it lasts.
  await gate.manage((store) =>
    store.signIn.db
      .updateTable('sessions')
      .set({ expiresAt: new Date(Date.now() + 3_600_000).toISOString() })
      .execute(),
  );
  const other = new Database(join(gate.dataDir, 'sekisho.db'));
  other.exec('begin immediate');
  expect((await member.get('/me')).status).toBe(200);
  const same = new Visitor(gate.url);
  for (const [name, value] of member.cookies) same.cookies.set(name, value);
  const credentials = { email: 'locked@example.org', password: goodPassword };
  for (const answer of [
    await member.post('/me/keys', { name: 'x' }),
    await new Visitor(gate.url).auth('/sign-in/email', credentials),
    await member.auth('/sign-out', {}),
  ])
    expect([answer.status, answer.body.code]).toEqual([503, 'store_busy']);
  // A copy of the cookie gets the same answer as its owner.
  expect((await same.get('/me')).status).toBe(200);
  other.exec('rollback');
  other.close();
  expect((await same.auth('/sign-out', {})).status).toBe(200);
  expect((await member.get('/me')).status).toBe(401);
  await gate.stop();
});

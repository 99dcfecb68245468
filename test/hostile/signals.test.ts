// Signals at inconvenient moments: while the gate starts, while its database is held, and as a terminal sends them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { commandFile, eventually, post, root, serverWords, spawnGate, temporaryDirectory } from '../gate.ts';
import { holdStream } from '../held-stream.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }] };

/** A gate that starts and waits for a held database. */
function waitingGate(dataDir: string) {
  const child = spawn(process.execPath, serverWords, {
    cwd: root,
    env: { PATH: process.env['PATH'], DATA_DIR: dataDir, PORT: '0', UPSTREAM: fake.url, LOG_FORMAT: 'json' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
  return { child, output: () => output, ended: once(child, 'exit') };
}

test('while it starts, a gate survives SIGHUP, opens no debugger, and stops when told to', async () => {
  const dataDir = temporaryDirectory();
  await (await openSqlite(dataDir)).close();
  const other = new Database(join(dataDir, 'sekisho.db'));
  other.exec('begin immediate');
  const gate = waitingGate(dataDir);
  await eventually(() => expect(gate.output()).toContain('Another program is writing'));
  for (const signal of ['SIGHUP', 'SIGUSR1'] as const) gate.child.kill(signal);
  await eventually(() => expect(gate.output()).toContain('no debugger is opened'));
  expect(gate.output()).not.toContain('Debugger listening');
  gate.child.kill('SIGTERM');
  expect(await gate.ended).toEqual([0, null]);
  other.exec('rollback');
  other.close();
});

test('a serving gate whose first link still waits for the database stops in order', async () => {
  const dataDir = temporaryDirectory();
  // The moment is between the listener and the link; the gate itself takes the database in that moment.
  const inject = `data:text/javascript,${encodeURIComponent(`
    import { Server } from 'node:net';
    import { createRequire } from 'node:module';
    const Database = createRequire(${JSON.stringify(join(root, 'package.json'))})('better-sqlite3');
    const listen = Server.prototype.listen;
    Server.prototype.listen = function (...words) {
      const other = new Database(${JSON.stringify(join(dataDir, 'sekisho.db'))});
      other.exec('begin immediate');
      process.once('SIGUSR2', () => other.exec('rollback'));
      return listen.apply(this, words);
    };`)}`;
  const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir, API_KEYS: 'a-key-of-the-settings-1234' }, [
    process.execPath,
    '--import',
    inject,
    ...serverWords,
  ]);
  await eventually(() => expect(gate.output()).toContain('Another program is writing'));
  fake.next(async (_, answer) => {
    answer.head(200, { 'Content-Type': 'application/x-ndjson' });
    await answer.chunk('{"message":{"content":"a"},"done":false}\n');
  });
  const answer = await post(`${gate.url}/api/chat`, 'a-key-of-the-settings-1234', chat);
  const reader = answer.body!.getReader();
  await reader.read();
  gate.process.kill('SIGTERM');
  await eventually(() => expect(gate.output()).toContain('stopping; running answers may finish'));
  gate.process.kill('SIGUSR2');
  await reader.cancel();
  expect(await gate.ended).toBe(0);
  const again = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  expect(await again.ledger(1)).toMatchObject([{ outcome: 'client_closed' }]);
  again.process.kill('SIGTERM');
  expect(await again.ended).toBe(0);
});

test('Ctrl-C in a terminal, which reaches the gate directly and through npm, lets running answers finish', async () => {
  const dataDir = temporaryDirectory();
  // A process group of its own, like a terminal's foreground job.
  const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir, DRAIN_SECONDS: '10' }, [
    'setsid',
    'npm',
    'start',
  ]);
  const { secret } = await gate.key();
  const release = holdStream(fake);
  const answer = await post(`${gate.url}/api/chat`, secret, chat);
  const reader = answer.body!.getReader();
  await reader.read();
  process.kill(-(gate.process.pid as number), 'SIGINT');
  await eventually(() => expect(gate.output()).toContain('stopping; running answers may finish'));
  // The signal that npm passes on arrives after the terminal's own.
  process.kill(-(gate.process.pid as number), 'SIGINT');
  release();
  expect(new TextDecoder().decode((await reader.read()).value)).toContain('"done":true');
  expect((await reader.read()).done).toBe(true);
  await gate.ended;
  await eventually(() => expect(gate.output()).toContain('"msg":"stopped"'));
});

test('a gateway that npx runs stops in order when npx alone gets SIGTERM', async () => {
  const folder = temporaryDirectory();
  const bin = join(folder, 'node_modules/.bin');
  mkdirSync(bin, { recursive: true });
  const command = `exec ${process.execPath} ${join(root, commandFile)} "$@"`;
  writeFileSync(join(bin, 'sekisho'), `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'package.json'), '{}');
  const npx = ['setsid', 'env', '-C', folder, 'npx', '--no', 'sekisho', 'serve'];
  const gate = await spawnGate({ UPSTREAM: fake.url }, npx);
  onTestFailed(() => void process.kill(-(gate.process.pid as number), 'SIGKILL'));
  gate.process.kill('SIGTERM');
  await gate.ended;
  await eventually(() => expect(gate.output()).toContain('"msg":"stopped"'));
  // Everything that belongs to the call of npx is over.
  await eventually(() => expect(() => process.kill(-(gate.process.pid as number), 0)).toThrow('ESRCH'));
});

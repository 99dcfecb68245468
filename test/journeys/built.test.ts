// What `npm start`, the published package and the image run: dist/, in a folder with no package but the one that it does not contain.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { keepFiles } from '../../scripts/kept-files.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { post, root, run, spawnGate, temporaryDirectory } from '../gate.ts';
import { asking, startPostgres } from '../postgres.ts';

const folder = temporaryDirectory();
const dist = join(folder, 'dist');
const command = [process.execPath, join(dist, 'cli.js')];
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
};
const sekisho = (words: readonly string[], environment: Record<string, string> = {}): ReturnType<typeof run> =>
  run('env', ['-C', folder, ...command, ...words], environment);
let fake: FakeOllama;

beforeAll(async () => {
  fake = await startFakeOllama();
  const { code, err } = await run(process.execPath, ['scripts/build-server.ts', dist]);
  expect([code, err]).toEqual([0, '']);
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  cpSync(join(root, 'portal/dist'), join(folder, 'portal/dist'), { recursive: true });
  mkdirSync(join(folder, 'node_modules'));
  cpSync(join(root, 'node_modules/better-sqlite3'), join(folder, 'node_modules/better-sqlite3'), { recursive: true });
});

afterAll(async () => {
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});

test('it serves calls, writes them to the ledger, and shows its pages', async () => {
  const gate = await spawnGate({ UPSTREAM: fake.url }, [...command, 'serve']);
  onTestFinished(() => void gate.process.kill('SIGKILL'));
  const { secret } = await gate.key();
  const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] };
  const answer = await post(`${gate.url}/api/chat`, secret, chat);
  expect(await answer.text()).toContain('"done":true');
  expect(await gate.ledger(1)).toMatchObject([{ outcome: 'completed' }]);
  const page = await (await fetch(`${gate.url}/portal/`)).text();
  const [asset = ''] = /\/portal\/assets\/[\w.-]+\.js/.exec(page) ?? [];
  expect((await fetch(`${gate.url}${asset}`)).status).toBe(200);
  // Loads the sign-in library.
  const refused = await fetch(`${gate.url}/portal/auth/sign-in/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: gate.url },
    body: JSON.stringify({ email: 'nobody@example.org', password: 'not the password' }),
  });
  expect(refused.status).toBe(401);
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
  const wrong = gate
    .output()
    .split('\n')
    .filter((line) => /"level":"(?:warn|error|fatal)"/.test(line));
  // A busy machine may hold the process up.
  expect(wrong.filter((line) => !line.includes('heldMs'))).toEqual([]);
});

test('a build keeps the files of the build before for a gateway that runs it, and of no other', () => {
  const place = temporaryDirectory();
  const builds = ['store-aaaaaaaa.js', 'store-bbbbbbbb.js', 'store-cccccccc.js'].map((name, at) => {
    const build = join(place, String(at));
    mkdirSync(build);
    for (const file of [name, 'cli.js']) writeFileSync(join(build, file), String(at));
    return build;
  });
  keepFiles(join(place, 'none'), builds[0]!);
  keepFiles(builds[0]!, builds[1]!);
  keepFiles(builds[1]!, builds[2]!);
  expect(readdirSync(builds[2]!).filter((name) => name.endsWith('.js'))).toEqual([
    'cli.js',
    'store-bbbbbbbb.js',
    'store-cccccccc.js',
  ]);
  expect(readFileSync(join(builds[2]!, 'cli.js'), 'utf8')).toBe('2');
});

test('every file of it can be loaded', async () => {
  const parts = readdirSync(dist).filter(
    (name) => name.endsWith('.js') && !['cli.js', 'ledger-program.js'].includes(name),
  );
  expect(parts.length).toBeGreaterThan(20);
  const loads = parts.map((name) => `require(${JSON.stringify(join(dist, name))});`).join('');
  expect(await run(process.execPath, ['--eval', loads])).toEqual({ code: 0, out: '', err: '' });
});

test('the command says its version and its help, and refuses what it does not know', async () => {
  expect(await sekisho(['--version'])).toEqual({ code: 0, out: `${manifest.version}\n`, err: '' });
  expect(await sekisho(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('migrate') });
  expect((await sekisho(['serve', '--help'])).code).toBe(0);
  expect((await sekisho(['no-such-command'])).code).not.toBe(0);
});

test('it reads a settings file, and says what is wrong with it', async () => {
  const file = join(folder, 'settings.yaml');
  writeFileSync(file, 'upstream: [http://127.0.0.1:9]\nport: none\n');
  const { code, err } = await sekisho(['serve'], { SEKISHO_CONFIG: file });
  expect([code, err]).toEqual([1, expect.stringMatching(/port/)]);
});

test('it moves a store to PostgreSQL', async () => {
  const DATA_DIR = join(folder, 'data');
  const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR }, [...command, 'serve']);
  await gate.key();
  gate.process.kill('SIGTERM');
  await gate.ended;
  const url = await (await startPostgres()).database();
  expect(await sekisho(['migrate', '--to', url], { DATA_DIR })).toMatchObject({ code: 0, err: '' });
  expect(await asking(url, 'select count(*)::int as keys from keys')).toEqual([{ keys: 1 }]);
});

test('a stack names files and lines of the sources', async () => {
  const hook = join(folder, 'hook.cjs');
  writeFileSync(
    hook,
    `const fs = require('node:fs'); const { readdirSync } = fs;
    fs.readdirSync = (path, ...rest) => {
      if (String(path).endsWith('portal/dist')) throw new TypeError('not today');
      return readdirSync(path, ...rest);
    };`,
  );
  const { code, err } = await sekisho(['serve'], {
    UPSTREAM: fake.url,
    DATA_DIR: join(folder, 'broken'),
    PORT: '0',
    NODE_OPTIONS: `--require=${hook}`,
  });
  const name = 'src/management/portal/static-files.ts';
  const line = readFileSync(join(root, name), 'utf8')
    .split('\n')
    .findIndex((text) => text.includes('readdirSync(directory'));
  expect([code, err]).toEqual([1, expect.stringContaining(`${name}:${line + 1}:`)]);
  expect(err).toContain('TypeError: not today');
});

test('it carries the license of every package in it', () => {
  const text = readFileSync(join(dist, 'licenses.txt'), 'utf8');
  const inside = Object.keys(manifest.dependencies).filter((name) => name !== 'better-sqlite3');
  for (const name of inside) expect(text).toContain(`\n${name} ${manifest.dependencies[name]}\n\n`);
  expect(text).not.toContain('License: unknown');
});

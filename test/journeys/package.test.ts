// The published package: packed, then started with npx and from an empty folder into which npm installs it.
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { eventually, root, run, spawnGate, temporaryDirectory } from '../gate.ts';

const work = temporaryDirectory();
let packed: string;
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Each step has its own timeout, so that the failure names the step that hangs. */
async function must(program: string, words: readonly string[]): Promise<string> {
  const { code, out, err } = await run('timeout', ['--kill-after=5', '120', program, ...words]);
  if (code !== 0) throw new Error(`${program} ${words.join(' ')} ended with ${code}: ${out}${err}`);
  return out;
}

/** The documents that pages of the portal link to, by their names. */
function linkedDocuments(): string[] {
  const pages = join(root, 'portal/src');
  const names = readdirSync(pages, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.tsx'))
    .flatMap((name) => [
      ...readFileSync(join(pages, name), 'utf8').matchAll(/(?:\bhelp="|\babout="|'\/help\/)([a-z-]+)["']/g),
    ])
    .map(([, name = '']) => name);
  return [...new Set(names)];
}

beforeAll(async () => {
  const source = join(work, 'source');
  mkdirSync(source);
  // What `npm run build` builds, in another folder, because other tests read the pages at the same time.
  await must(process.execPath, ['scripts/build-portal.ts']);
  await must(process.execPath, ['scripts/build-server.ts', `${source}/dist`]);
  cpSync(join(root, 'portal/dist'), join(source, 'portal/dist'), { recursive: true });
  for (const name of ['package.json', 'README.md', 'README.ja.md', 'LICENSE'])
    copyFileSync(join(root, name), join(source, name));
  await must('npm', ['pack', '--ignore-scripts', '--pack-destination', work, source]);
  packed = readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '';
});

/** Asks again after a registry failure: what npm has fetched by then is in its cache. */
async function fetching(program: string, words: readonly string[]): Promise<string> {
  const attempt = (timeoutMs: number): Promise<string> =>
    must('env', [`npm_config_fetch_timeout=${timeoutMs}`, 'npm_config_prefer_offline=true', program, ...words]);
  return attempt(20_000).catch(() => attempt(60_000));
}

test('npx runs the packed package, which serves and stops, on a machine that has only Node', async () => {
  const [folder, cache] = [join(work, 'npx'), join(work, 'cache')];
  for (const each of [folder, cache]) mkdirSync(each);
  copyFileSync(join(work, packed), join(folder, packed));
  // Packages that npm has downloaded before, but none that npx has installed before.
  symlinkSync(join((await must('npm', ['config', 'get', 'cache'])).trim(), '_cacache'), join(cache, '_cacache'));
  const path = `PATH=${dirname(process.execPath)}:${process.env['PATH']}`;
  const npx = ['-C', folder, path, `npm_config_cache=${cache}`, 'npx', '--yes', `./${packed}`];
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(await fetching('env', [...npx, '--version'])).toBe(`${version}\n`);
  const settings = { UPSTREAM: 'http://127.0.0.1:9', DATA_DIR: join(work, 'npx-data') };
  // In a process group of its own, like a command in a terminal.
  const gate = await spawnGate(settings, ['setsid', 'env', ...npx, 'serve']);
  const group = -(gate.process.pid ?? 0);
  onTestFailed(() => void process.kill(group, 'SIGKILL'));
  expect((await fetch(`${gate.url}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${gate.url}/portal/`)).text()).toContain('<div id="root">');
  expect((await fetch(`${gate.url}/portal/docs/first-run.md`)).status).toBe(200);
  // As Ctrl-C does.
  process.kill(group, 'SIGINT');
  await gate.ended;
  await eventually(() => expect(gate.output()).toContain('"msg":"stopped"'));
});

test('the packed package installs into an empty folder without overrides and serves requests', async () => {
  const folder = join(work, 'folder');
  mkdirSync(folder);
  await fetching('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', join(work, packed)]);
  // npm resolves the whole tree again here and reports what does not fit.
  await must('npm', ['ls', '--prefix', folder, '--all']);
  const command = [process.execPath, join(folder, 'node_modules/sekisho/dist/cli.js'), 'serve'];
  const installed = join(folder, 'node_modules/sekisho');
  const top = readdirSync(installed, { recursive: true, encoding: 'utf8' });
  expect(
    readdirSync(installed)
      .filter((name) => name !== 'node_modules')
      .toSorted(),
  ).toEqual(['LICENSE', 'README.ja.md', 'README.md', 'dist', 'package.json', 'portal']);
  expect(readdirSync(join(installed, 'portal'))).toEqual(['dist']);
  // Nothing for development.
  expect(top.filter((name) => /\.test\.|\.tsx?$/.test(name) && !name.startsWith('node_modules'))).toEqual([]);
  const gate = await spawnGate({ UPSTREAM: 'http://127.0.0.1:9', DATA_DIR: join(work, 'data') }, command);
  expect((await fetch(`${gate.url}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${gate.url}/portal/`)).text()).toContain('<div id="root">');
  // What help links open, and what those documents lead to.
  const documents = new Set(linkedDocuments());
  expect(documents.size).toBeGreaterThan(5);
  for (const name of documents) {
    const answer = await fetch(`${gate.url}/portal/docs/${name}.md`);
    const text = await answer.text();
    expect([name, answer.status, text.startsWith('# ')]).toEqual([name, 200, true]);
    for (const [, next = ''] of text.matchAll(/\]\(([\w-]+)\.md[)#]/g)) documents.add(next);
  }
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
});

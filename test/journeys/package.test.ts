// The published package: packed, installed by npm into an empty folder, and started there.
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, expect, test } from 'vitest';
import { root, run, spawnGate, temporaryDirectory } from '../gate.ts';

const work = temporaryDirectory();
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

test('the packed package installs into an empty folder without overrides and serves requests', async () => {
  const [source, folder] = [join(work, 'source'), join(work, 'folder')];
  for (const each of [source, folder]) mkdirSync(each);
  // Builds what scripts/build.mjs builds, in another folder: other tests read the pages at the same time.
  await must(process.execPath, ['scripts/build-portal.ts']);
  await must(process.execPath, [
    'node_modules/typescript/bin/tsc',
    '-p',
    'tsconfig.build.json',
    '--outDir',
    `${source}/dist`,
  ]);
  cpSync(join(root, 'portal/dist'), join(source, 'portal/dist'), { recursive: true });
  for (const name of ['package.json', 'README.md', 'README.ja.md', 'LICENSE'])
    copyFileSync(join(root, name), join(source, name));
  await must('npm', ['pack', '--ignore-scripts', '--pack-destination', work, source]);
  const packed = readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '';
  const install = ['install', '--prefix', folder, '--prefer-offline', '--no-audit', '--no-fund', join(work, packed)];
  // Ask again after a registry failure: what npm has fetched by then is in its cache.
  await must('npm', [...install, '--fetch-timeout=20000']).catch(() =>
    must('npm', [...install, '--fetch-timeout=60000']),
  );
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
  // Nothing for development, and nothing of TypeScript but declarations.
  expect(
    top.filter((name) => /\.test\.|(?<!\.d)\.tsx?$|\.map$/.test(name) && !name.startsWith('node_modules')),
  ).toEqual([]);
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
}, 600_000);

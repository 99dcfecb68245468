// The package as it is published: packed, installed by npm in an empty folder, and started from there.
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, expect, test } from 'vitest';
import { root, run, spawnGate, temporaryDirectory } from '../gate.ts';

const work = temporaryDirectory();
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Each step has a time of its own, so that the one that hangs is named. */
async function must(program: string, words: readonly string[]): Promise<string> {
  const { code, out, err } = await run('timeout', ['--kill-after=5', '120', program, ...words]);
  if (code !== 0) throw new Error(`${program} ${words.join(' ')} ended with ${code}: ${out}${err}`);
  return out;
}

test('the packed package installs in an empty folder without overrides, and serves', async () => {
  const [source, folder] = [join(work, 'source'), join(work, 'folder')];
  for (const each of [source, folder]) mkdirSync(each);
  // What scripts/build.mjs makes, beside what is here: other tests read the pages meanwhile.
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
  // A registry that does not answer is asked twice; what npm has by then it has in its cache.
  await must('npm', [...install, '--fetch-timeout=20000']).catch(() =>
    must('npm', [...install, '--fetch-timeout=60000']),
  );
  // npm resolves the whole tree again here and says what does not fit.
  await must('npm', ['ls', '--prefix', folder, '--all']);
  const command = [process.execPath, join(folder, 'node_modules/sekisho/dist/cli.js'), 'serve'];
  const gate = await spawnGate({ UPSTREAM: 'http://127.0.0.1:9', DATA_DIR: join(work, 'data') }, command);
  expect((await fetch(`${gate.url}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${gate.url}/portal/`)).text()).toContain('<div id="root">');
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
}, 600_000);

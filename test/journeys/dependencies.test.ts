// What docs/dependencies.md says of packages, against a running gateway.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { post, root, spawnGate, temporaryDirectory } from '../gate.ts';

const rows = readFileSync(join(root, 'docs/dependencies.md'), 'utf8').matchAll(/^\| `([^`]+)` +\| (.+?) +\|$/gm);
const packages = Array.from(rows, ([, name = '', why = '']) => ({ name, why }));

test('packages that docs/dependencies.md says are loaded only for some settings are not loaded without them', async () => {
  const folder = temporaryDirectory();
  const [hook, list] = [join(folder, 'hook.mjs'), join(folder, 'loaded')];
  writeFileSync(
    hook,
    `import { appendFileSync } from 'node:fs';
    import { registerHooks } from 'node:module';
    registerHooks({ load: (url, context, next) => (appendFileSync(${JSON.stringify(list)}, url + '\\n'), next(url, context)) });`,
  );
  const fake = await startFakeOllama();
  // The sources: a build puts packages together in its own files.
  const sources = [process.execPath, 'src/main.ts'];
  const gate = await spawnGate({ UPSTREAM: fake.url, NODE_OPTIONS: `--import=${hook}` }, sources);
  const { secret } = await gate.key();
  const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }], stream: false };
  expect((await post(`${gate.url}/api/chat`, secret, chat)).status).toBe(200);
  expect((await fetch(`${gate.url}/portal/`)).status).toBe(200);
  gate.process.kill('SIGTERM');
  await gate.ended;
  await fake.close();
  const loaded = new Set(
    Array.from(
      readFileSync(list, 'utf8').matchAll(/.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//g),
      ([, name = '']) => name,
    ),
  );
  // The list is one of this gateway.
  for (const name of ['undici', 'pino', 'express', 'zod']) expect(loaded).toContain(name);
  const conditional = packages.filter(({ why }) => why.includes('loaded only')).map(({ name }) => name);
  expect(conditional.length).toBeGreaterThan(5);
  expect(conditional.filter((name) => loaded.has(name))).toEqual([]);
});

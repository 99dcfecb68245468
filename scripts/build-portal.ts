// Builds the portal if its sources have changed since the last build; otherwise it does nothing, at once.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renew } from './renewed-build.ts';

const root = join(import.meta.dirname, '..');

const filesIn = (folder: string, isOne: (name: string) => boolean): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(isOne)
    .map((name) => join(folder, name));

/** Everything that the build reads: the pages, the sentences that they share with the gateway, and the documents they link to. */
const sources = [
  'package-lock.json',
  'src/management/http/problem-codes.ts',
  ...filesIn('src/domain', (name) => name.endsWith('.ts') && !name.endsWith('.test.ts')),
  ...filesIn('docs', (name) => name.endsWith('.md')),
  ...filesIn('portal', (name) => !name.startsWith('dist') && /\.\w+$/.test(name)),
].toSorted();
const hash = createHash('sha256');
for (const name of sources) hash.update(`${name}\n`).update(readFileSync(join(root, name)));

await renew(join(root, 'portal/dist'), hash.digest('hex'), 'the pages', async (outDir) => {
  const { build } = await import('vite');
  await build({ configFile: join(root, 'portal/vite.config.ts'), logLevel: 'error', build: { outDir } });
});

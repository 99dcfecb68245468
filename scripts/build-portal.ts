// Builds the portal if its sources have changed since the last build; otherwise it does nothing, at once.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const root = join(import.meta.dirname, '..');
const stamp = join(root, 'portal/dist/.made-from');

/** Everything that the build reads; types shared with the API leave nothing in the output. */
const sources = [
  'package-lock.json',
  ...readdirSync(join(root, 'portal'), { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('dist') && /\.\w+$/.test(name))
    .map((name) => join('portal', name)),
].toSorted();
const hash = createHash('sha256');
for (const name of sources) hash.update(`${name}\n`).update(readFileSync(join(root, name)));
const madeFrom = hash.digest('hex');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== madeFrom) {
  process.stderr.write('Building the pages…\n');
  const { build } = await import('vite');
  await build({ configFile: join(root, 'portal/vite.config.ts'), logLevel: 'error' });
  writeFileSync(stamp, madeFrom);
}

// What a bench runs as the gate: what `npm start` runs, with its option.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const here = join(import.meta.dirname, '..');

/** Builds it first. Earlier versions, in another checkout, ran their sources. `options`: further ones for Node. */
export function gateCommand(options: readonly string[] = [], checkout = here): string[] {
  return [process.execPath, '--max-semi-space-size=8', ...options, ...programOf(checkout)];
}

function programOf(checkout: string): string[] {
  const build = join(checkout, 'scripts/build-server.ts');
  if (!existsSync(build)) return [join(checkout, 'src/main.ts')];
  execFileSync(process.execPath, [build], { stdio: 'inherit' });
  return [join(checkout, 'dist/cli.js'), 'serve'];
}

// Builds a folder if what it is made of has changed since the last build; otherwise nothing is done, at once. A build is made beside the
// one before and takes its place when it is whole, also while other processes do the same.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const stampName = '.made-from';

/** `madeFrom`: a hash of all sources. `words`: what is built. `build` makes the folder that it is given. */
export async function renew(
  place: string,
  madeFrom: string,
  words: string,
  build: (made: string) => Promise<unknown>,
): Promise<void> {
  const stamp = join(place, stampName);
  const isBuilt = (): boolean => existsSync(stamp) && readFileSync(stamp, 'utf8') === madeFrom;
  if (isBuilt()) return;
  process.stderr.write(`Building ${words}…\n`);
  const made = `${place}-${process.pid}`;
  await build(made);
  writeFileSync(join(made, stampName), madeFrom);
  takePlace(made, place, isBuilt);
}

function takePlace(made: string, place: string, isDone: () => boolean): void {
  const before = `${made}-before`;
  for (;;) {
    if (isDone()) return rmSync(made, { recursive: true });
    unless('ENOENT', () => renameSync(place, before));
    rmSync(before, { recursive: true, force: true });
    if (unless('ENOTEMPTY', () => renameSync(made, place))) return;
  }
}

/** False if it fails with this code. */
function unless(code: string, work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== code) throw error;
    return false;
  }
}

// Puts a finished build in the place of the one before, also while other processes do the same.
import { renameSync, rmSync } from 'node:fs';

/** `made` and `place` are folders side by side. `isDone`: whether `place` has the same build already. */
export function takePlace(made: string, place: string, isDone: () => boolean): void {
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

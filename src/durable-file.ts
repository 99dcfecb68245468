// Files that must survive a power cut.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';

/**
 * Replaces a file in one step, readable by its owner alone: a reader, and the next start after a power cut or on a full disk, finds
 * the old content or the new, never a part (fsync before rename, then the directory; rename(2) is atomic).
 */
export function writeWhole(file: string, text: string): void {
  const draft = `${file}.new`;
  // A draft that an earlier start left behind is no reason to fail.
  rmSync(draft, { force: true });
  const descriptor = openSync(draft, 'wx', 0o600);
  try {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(draft, file);
  syncDirectory(dirname(file));
}

/** Brings the names of the files in a directory to the disk. */
function syncDirectory(directory: string): void {
  // Windows cannot open a directory as a file; there the rename alone has to do.
  if (process.platform === 'win32') return;
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

// The corpus on disk: one file per input, named by a hash of its content, so that two runs never conflict over a name.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const corpusDirectory = join(import.meta.dirname, 'corpus');
const failuresDirectory = join(import.meta.dirname, 'failures');

export function readCorpus(target: string): Buffer[] {
  const folder = join(corpusDirectory, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .toSorted()
    .map((name) => readFileSync(join(folder, name)));
}

/** Replaces the corpus with these inputs. */
export function writeCorpus(target: string, inputs: readonly Uint8Array[]): void {
  const folder = join(corpusDirectory, target);
  mkdirSync(folder, { recursive: true });
  const names = new Set(inputs.map(nameOf));
  for (const name of readdirSync(folder)) if (!names.has(name)) rmSync(join(folder, name));
  for (const bytes of inputs) writeFileSync(join(folder, nameOf(bytes)), bytes);
}

/** Returns the path, relative to the project. */
export function writeFailure(target: string, bytes: Uint8Array): string {
  mkdirSync(failuresDirectory, { recursive: true });
  const name = `${target}-${nameOf(bytes)}`;
  writeFileSync(join(failuresDirectory, name), bytes);
  return `test/fuzz/failures/${name}`;
}

function nameOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

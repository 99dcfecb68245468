// Runs every kept input and every seed through its target again: each oracle still holds, and together the inputs still
// reach the same parts of the parsers.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { corpusDirectory, readCorpus } from './corpus.ts';
import { start } from './start.ts';
import { leastSharesOf, parsersOf, targetNames } from './targets.ts';
import type { Report } from './thread.ts';

const root = join(import.meta.dirname, '../..');
let reports: readonly Report[];
beforeAll(async () => {
  reports = await start({ names: targetNames, seed: 0, mostRuns: 0, mostMs: null, guided: true });
  // Long enough for a report to name an input that never returns.
});

describe.each(targetNames)('%s', (name) => {
  // An input that ended the whole thread has a report of its own.
  const report = (): Report | undefined => reports.find((one) => one.name === name) ?? reports[0];

  test('has a corpus, and no input in it violates an oracle', () => {
    const inputs = readCorpus(name).length;
    expect(inputs).toBeGreaterThan(0);
    expect(report()?.failures.map(({ bytes, message }) => [Buffer.from(bytes).toString('latin1'), message])).toEqual(
      [],
    );
    expect(report()?.runs).toBeGreaterThan(inputs);
  });

  const files = parsersOf(name).map((file, at) => [relative(root, file), at] as const);
  test.each(files)('reaches enough of %s', (file, at) => {
    const { reached, all } = report()?.blocks[at] ?? { reached: 0, all: 0 };
    expect(reached / all, `${file}: ${reached} of ${all} blocks`).toBeGreaterThanOrEqual(leastSharesOf(name)[at] ?? 1);
  });
});

test('docs/fuzzing.md lists exactly the targets', () => {
  const rows = readFileSync(join(root, 'docs/fuzzing.md'), 'utf8').matchAll(/^\| `(\w+)` /gm);
  expect(Array.from(rows, ([, name]) => name)).toEqual(targetNames);
});

test('every corpus has a target', () => {
  expect(existsSync(corpusDirectory)).toBe(true);
  expect(readdirSync(corpusDirectory).toSorted()).toEqual(targetNames.toSorted());
});

// The walks in docs/walks.md lead through files and functions that exist, and never back.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const text = readFileSync(join(root, 'docs/walks.md'), 'utf8');
const walks = text.split('\n## ').slice(1);
const stepsOf = (walk: string): { file: string; name: string }[] =>
  Array.from(walk.matchAll(/^\d+\. `([^`]+)`, `([^`]+)`:/gm), ([, file = '', name = '']) => ({ file, name }));

test('each walk names functions of its files, in steps that are numbered in order', () => {
  expect(walks).toHaveLength(5);
  for (const walk of walks) {
    const steps = stepsOf(walk);
    const numbers = Array.from(walk.matchAll(/^(\d+)\. /gm), ([, number]) => Number(number));
    expect(numbers).toEqual(steps.map((_, at) => at + 1));
    expect(steps.length).toBeGreaterThan(3);
    for (const { file, name } of steps) {
      const declares = new RegExp(
        `\\b(?:function|class|const) ${name}\\b|^ +(?:async |get )?${name}\\(|^ +${name}: `,
        'm',
      );
      expect(readFileSync(join(root, file), 'utf8'), `${file} declares ${name}`).toMatch(declares);
    }
  }
});

test('no walk visits a file twice', () => {
  for (const walk of walks) {
    const files = stepsOf(walk).map(({ file }) => file);
    expect(files).toEqual([...new Set(files)]);
  }
});

test('each walk names existing tests', () => {
  for (const walk of walks) {
    const tests = Array.from((walk.split('\nTests: ')[1] ?? '').matchAll(/`([^`]+)`/g), ([, file = '']) => file);
    expect(tests.length).toBeGreaterThan(1);
    expect(tests.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  }
});

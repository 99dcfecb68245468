import { expect, test } from 'vitest';
import { cut, pathsOf, strideOf, ticksOf, widthOf } from './chart-scale.ts';

test('an axis has round ticks up to at least the largest value, and whole ones for counts', () => {
  expect(ticksOf(0, true)).toEqual([0, 1]);
  expect(ticksOf(1, true)).toEqual([0, 1]);
  expect(ticksOf(1, false)).toEqual([0, 0.2, 0.4, 0.6000000000000001, 0.8, 1]);
  expect(ticksOf(7, true)).toEqual([0, 2, 4, 6, 8]);
  expect(ticksOf(21_024, true)).toEqual([0, 5_000, 10_000, 15_000, 20_000, 25_000]);
  for (const most of [0.003, 3, 10, 99, 100, 101, 12_345, 1e9]) {
    const ticks = ticksOf(most, false);
    expect(ticks.at(-1)).toBeGreaterThanOrEqual(most);
    expect(ticks.length).toBeLessThanOrEqual(6);
  }
});

test('labels that would touch are left out evenly, with wide signs counted as wide', () => {
  expect(strideOf(Array<string>(24).fill('14:00'), 1100)).toBe(1);
  expect(strideOf(Array<string>(24).fill('14:00'), 300)).toBe(4);
  expect(widthOf('日本')).toBeGreaterThan(widthOf('ab'));
  // As DejaVu Sans has it, which is wider than other fonts.
  expect(widthOf('400 ms')).toBeGreaterThan(44.6);
});

test('a line is interrupted where a value is missing, and a lone value is a dot', () => {
  const points = [
    [0, 1],
    [1, 2],
    [2, null],
    [3, 4],
  ] as const;
  expect(pathsOf(points)).toEqual({ line: 'M0.0 1.0L1.0 2.0', dots: 'M3.0 4.0h0' });
  expect(pathsOf([[0, null]])).toEqual({ line: '', dots: '' });
});

test('a long name ends with an ellipsis', () => {
  expect(cut('short', 132)).toBe('short');
  expect(widthOf(cut('a'.repeat(60), 132))).toBeLessThanOrEqual(132);
  expect(cut('長い名前のアカウント'.repeat(4), 132)).toMatch(/^長い.*…$/);
});

import { expect, test } from 'vitest';
import { unitsOf } from './grammar-bounds.ts';

test.each([
  ['abc', 3],
  ['a{5}', 5],
  ['a{2,7}b', 8],
  ['a{3,}', 3],
  ['(ab){10}', 20],
  ['((a{10}){10}){10}', 1_000],
  ['[a-z0-9]{8}', 8],
  ['\\d{4}-\\d{2}', 7],
  ['a{0}', 1],
  ['{"maxLength":{"x":1}}', 21],
  [')a{5}', 6],
  ['((a{5}', 5],
] as const)('%s stands for %d units', (pattern, units) => {
  expect(unitsOf(pattern)).toBe(units);
});

test('a pattern of any size costs time in proportion', () => {
  expect(unitsOf('('.repeat(60_000) + 'a{999999999}'.repeat(400))).toBeGreaterThan(1e11);
  expect(unitsOf('['.repeat(60_000) + '{')).toBeGreaterThan(0);
});

import { expect, test } from 'vitest';
import { MemoryFailures } from './failure-budget.ts';

test('a million addresses take no more memory than a hundred thousand, and further ones are over budget', () => {
  let now = 0;
  const failures = new MemoryFailures(
    () => 2,
    () => now,
  );
  global.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 1_000_000; i++) failures.note(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}-${i >> 24}`);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 1024 * 1024);
  expect(failures.waitSeconds('203.0.113.9')).toBeGreaterThan(0);
  now = 61_000;
  expect(failures.waitSeconds('203.0.113.9')).toBe(0);
});

import { expect, test } from 'vitest';
import { RequestMetrics } from './request-metrics.ts';

test('the first 50 models that a server lists have a label; all other names are one', () => {
  const { models } = new RequestMetrics(
    (name) => name.startsWith('listed'),
    () => 0,
  );
  expect(models.of('sent by a caller')).toBe('other');
  const labels = Array.from({ length: 60 }, (_, at) => models.of(`listed-${at}`));
  expect(labels.slice(0, 50)).toEqual(labels.slice(0, 50).map((_, at) => `listed-${at}`));
  expect(new Set(labels.slice(50))).toEqual(new Set(['other']));
  expect(models.of('listed-49')).toBe('listed-49');
  expect(models.of(null)).toBe('');
});

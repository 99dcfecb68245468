import { expect, test } from 'vitest';
import { Counters } from './metric.ts';
import { textOf } from './text.ts';

test('a metric has at most 2,000 combinations of labels; all others are counted together', () => {
  const counters = new Counters({ name: 'calls_total', help: 'Calls.', labels: ['model', 'server'] });
  for (let at = 0; at < 2_500; at++) counters.of(`m${at}`, 's').add(1);
  const series = textOf([counters])
    .split('\n')
    .filter((line) => line.startsWith('calls_total{'));
  expect(series).toHaveLength(2_000);
  expect(series).toContain('calls_total{model="other",server="other"} 501');
});

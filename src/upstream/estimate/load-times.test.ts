import { expect, test } from 'vitest';
import { LoadTimes } from './load-times.ts';

const [a, b] = [{ name: 'a' }, { name: 'b' }];

test('a load that was seen on one server is expected on others, at their speed', () => {
  const times = new LoadTimes<object>();
  expect([times.usualMs(a, 'm', 0), times.expectedMs(a, 'm', 5_000, 0)]).toEqual([undefined, 5_000]);
  times.note(a, 'm', 10_000, 1);
  expect([times.usualMs(a, 'm', 1), times.usualMs(b, 'm', 1), times.expectedMs(b, 'm', 5_000, 1)]).toEqual([
    10_000, 10_000, 10_000,
  ]);
  times.note(b, 'm', 20_000, 2);
  times.note(a, 'n', 4_000, 3);
  // It takes twice as long there.
  expect(times.usualMs(b, 'n', 3)).toBe(8_000);
});

test('what was seen long ago counts half', () => {
  const times = new LoadTimes<object>();
  times.note(a, 'm', 10_000, 0);
  times.note(b, 'm', 2_000, 3_600_000);
  expect(times.usualMs(b, 'm', 3_600_000)).toBe(2_000);
  expect(times.usualMs(a, 'm', 3_600_000)).toBeLessThan(10_000);
});

test('impossible figures are no loads', () => {
  const times = new LoadTimes<object>();
  times.note(a, 'm', 1_000, 0);
  for (const ms of [Number.NaN, -1, 0, Infinity]) times.note(a, 'm', ms, 1);
  expect(times.usualMs(a, 'm', 1)).toBe(1_000);
});

test('a load is waited for three times the longest one seen, at least a minute, and never beyond the bound', () => {
  const times = new LoadTimes<object>();
  expect(times.boundMs(a, 'm', 600_000)).toBe(600_000);
  times.note(a, 'm', 1_000, 0);
  expect([times.boundMs(a, 'm', 600_000), times.boundMs(a, 'n', 600_000)]).toEqual([60_000, 60_000]);
  times.note(a, 'm', 100_000, 1);
  expect([times.boundMs(a, 'm', 600_000), times.boundMs(a, 'm', 200_000)]).toEqual([300_000, 200_000]);
});

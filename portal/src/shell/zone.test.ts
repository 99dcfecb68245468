import { expect, test } from 'vitest';
import { instantOf, startOf, wallAt } from './zone.ts';

test('a time of day is read in the zone that is shown, also around a clock change', () => {
  for (const [wall, zone, utc] of [
    ['2026-11-27T14:05', 'Asia/Tokyo', '2026-11-27T05:05:00.000Z'],
    ['2026-11-27T14:05:33', 'UTC', '2026-11-27T14:05:33.000Z'],
    ['2026-03-29T04:00', 'Europe/Berlin', '2026-03-29T02:00:00.000Z'],
    ['2026-03-29T01:59', 'Europe/Berlin', '2026-03-29T00:59:00.000Z'],
  ] as const) {
    expect(new Date(instantOf(wall, zone)).toISOString(), `${wall} ${zone}`).toBe(utc);
    expect(wallAt(Date.parse(utc), zone).slice(0, wall.length)).toBe(wall);
  }
  expect(instantOf('', 'UTC')).toBeNaN();
  for (const zone of ['UTC', 'Pacific/Kiritimati', 'Pacific/Niue'])
    expect(wallAt(instantOf('20261-11-27T14:05', zone), zone)).toMatch(/^9999-12-30T00:00/);
  expect(instantOf('2026-11', 'UTC')).not.toBeNaN();
  // A year that is being typed.
  expect(wallAt(instantOf('0002-11-27T14:05', 'UTC'), 'UTC')).toMatch(/^0002-/);
  expect(new Date(startOf('2026-11-27', 'Asia/Tokyo')).toISOString()).toBe('2026-11-26T15:00:00.000Z');
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Calendar } from './calendar.ts';

const zones = [
  'UTC',
  'Asia/Tokyo',
  'Asia/Kolkata',
  'America/New_York',
  'Pacific/Apia',
  'America/Sao_Paulo',
  'Asia/Beirut',
];
const instants = fc.integer({ min: Date.UTC(2010, 0, 1), max: Date.UTC(2040, 0, 1) });

test.each(zones)('in %s every instant is in its minute, day and month; they adjoin and say the date', (zone) => {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  });
  fc.assert(
    fc.property(instants, (at) => {
      const calendar = new Calendar(zone);
      for (const span of [calendar.minute(at), calendar.day(at), calendar.month(at)]) {
        expect(at).toBeGreaterThanOrEqual(span.startsAt);
        expect(at).toBeLessThan(span.endsAt);
      }
      const day = calendar.day(at);
      expect(format.format(day.startsAt)).toBe(format.format(at));
      expect(format.format(day.endsAt - 1)).toBe(format.format(at));
      expect(format.format(day.startsAt - 1)).not.toBe(format.format(at));
      expect(new Calendar(zone).day(day.endsAt).startsAt).toBe(day.endsAt);
      expect(new Calendar(zone).day(day.endsAt - 1)).toEqual(day);
      const month = calendar.month(at);
      expect(format.format(month.startsAt).slice(0, 7)).toBe(format.format(at).slice(0, 7));
      expect(format.format(month.endsAt - 1).slice(0, 7)).toBe(format.format(at).slice(0, 7));
      // A day and a month begin with a minute, which is what counting relies on.
      expect([day.startsAt % 60_000, month.startsAt % 60_000]).toEqual([0, 0]);
    }),
    { numRuns: 60 },
  );
});

test('days are as long as clock changes make them', () => {
  const hours = (zone: string, at: number): number => {
    const { startsAt, endsAt } = new Calendar(zone).day(at);
    return (endsAt - startsAt) / 3_600_000;
  };
  expect(hours('America/New_York', Date.UTC(2026, 2, 8, 12))).toBe(23);
  expect(hours('America/New_York', Date.UTC(2026, 10, 1, 12))).toBe(25);
  expect(hours('Asia/Tokyo', Date.UTC(2026, 10, 23, 12))).toBe(24);
  expect(new Date(new Calendar('Asia/Tokyo').day(Date.UTC(2026, 10, 23, 20)).startsAt).toISOString()).toBe(
    '2026-11-23T15:00:00.000Z',
  );
});

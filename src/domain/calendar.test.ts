import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Calendar, longestWindowMs, windowNames, windows } from './calendar.ts';

const zones = [
  'UTC',
  'Asia/Tokyo',
  'Asia/Kolkata',
  'America/New_York',
  // Its October has 31 days and an hour.
  'Europe/Berlin',
  'Pacific/Apia',
  'America/Sao_Paulo',
  'Asia/Beirut',
  'Australia/Lord_Howe',
];
const instants = fc.integer({ min: Date.UTC(2010, 0, 1), max: Date.UTC(2040, 0, 1) });

test.each(zones)(
  'in %s every instant belongs to one minute, hour, day, week and month; they are contiguous and match the date',
  (zone) => {
    const format = new Intl.DateTimeFormat('en-CA', {
      timeZone: zone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    });
    fc.assert(
      fc.property(instants, (at) => {
        const calendar = new Calendar(zone);
        for (const window of windowNames) {
          const span = calendar[window](at);
          expect(at).toBeGreaterThanOrEqual(span.startsAt);
          expect(at).toBeLessThan(span.endsAt);
          // A window begins and ends with a minute, which the counters rely on; one longer than an hour with a quarter of
          // an hour, by which the ledger is read back, and not further than that.
          const unit = windows[window].seconds > 3_600 ? 900_000 : 60_000;
          expect([span.startsAt % unit, span.endsAt % unit], window).toEqual([0, 0]);
          expect(span.endsAt - span.startsAt, window).toBeLessThanOrEqual(longestWindowMs);
          expect(new Calendar(zone)[window](span.endsAt).startsAt, window).toBe(span.endsAt);
          expect(new Calendar(zone)[window](span.endsAt - 1), window).toEqual(span);
        }
        const day = calendar.day(at);
        expect(format.format(day.startsAt)).toBe(format.format(at));
        expect(format.format(day.endsAt - 1)).toBe(format.format(at));
        expect(format.format(day.startsAt - 1)).not.toBe(format.format(at));
        const month = calendar.month(at);
        expect(format.format(month.startsAt).slice(0, 7)).toBe(format.format(at).slice(0, 7));
        expect(format.format(month.endsAt - 1).slice(0, 7)).toBe(format.format(at).slice(0, 7));
      }),
      { numRuns: 60 },
    );
  },
);

test('hours follow the clock of the zone, and each lies within one day', () => {
  const start = (zone: string, at: number): string =>
    new Date(new Calendar(zone).hour(at).startsAt).toISOString().slice(11, 16);
  const at = Date.UTC(2026, 10, 23, 9, 40);
  expect([start('UTC', at), start('Asia/Kolkata', at), start('Asia/Kathmandu', at)]).toEqual([
    '09:00',
    '09:30',
    '09:15',
  ]);
  const spring = new Calendar('Australia/Lord_Howe').day(Date.UTC(2026, 9, 3, 20));
  const last = new Calendar('Australia/Lord_Howe').hour(spring.endsAt - 1);
  expect([last.endsAt, last.endsAt - last.startsAt]).toEqual([spring.endsAt, 1_800_000]);
});

test('days have the length that clock changes give them', () => {
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

test.each([
  // A Sunday evening and the Monday after it, on both sides of midnight in the zone.
  ['UTC', '2026-11-22T23:59:59.999Z', '2026-11-16T00:00:00.000Z', 168],
  ['UTC', '2026-11-23T00:00:00.000Z', '2026-11-23T00:00:00.000Z', 168],
  ['Asia/Tokyo', '2026-11-22T14:59:59.999Z', '2026-11-15T15:00:00.000Z', 168],
  ['Asia/Tokyo', '2026-11-22T15:00:00.000Z', '2026-11-22T15:00:00.000Z', 168],
  // A week that begins in one month, and even one year, and ends in the next.
  ['UTC', '2027-01-02T12:00:00.000Z', '2026-12-28T00:00:00.000Z', 168],
  // The clock goes forward and back on a Sunday.
  ['America/New_York', '2026-03-05T12:00:00.000Z', '2026-03-02T05:00:00.000Z', 167],
  ['America/New_York', '2026-11-01T12:00:00.000Z', '2026-10-26T04:00:00.000Z', 169],
])('in %s the week of %s begins on Monday, at %s, and has %i hours', (zone, at, begins, hours) => {
  const { startsAt, endsAt } = new Calendar(zone).week(Date.parse(at));
  expect([new Date(startsAt).toISOString(), (endsAt - startsAt) / 3_600_000]).toEqual([begins, hours]);
});

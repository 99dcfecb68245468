import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RollingCount } from './rolling-count.ts';

test('counts everything younger than the window, and nothing that is older by a slice', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 60_000, max: 10_000_000 }),
      fc.array(fc.record({ gap: fc.nat(400_000), back: fc.nat(2_000_000), amount: fc.nat(1_000_000) }), {
        maxLength: 80,
      }),
      (windowMs, adds) => {
        const count = new RollingCount(windowMs);
        const added: { at: number; amount: number }[] = [];
        let now = 1_700_000_000_000;
        for (const { gap, back, amount } of adds) {
          now += gap;
          const at = now - back;
          count.add(at, amount);
          added.push({ at, amount });
          const total = count.total(now);
          const within = (ms: number): number =>
            added.filter((each) => each.at > now - ms).reduce((sum, each) => sum + each.amount, 0);
          expect(total).toBeGreaterThanOrEqual(within(windowMs));
          expect(total).toBeLessThanOrEqual(within(windowMs + (2 * windowMs) / 30 + 1));
        }
        count.clear();
        expect(count.total(now)).toBe(0);
      },
    ),
  );
});

test('forgets everything after a long silence', () => {
  const count = new RollingCount(60_000);
  count.add(1_000_000, 5);
  expect(count.total(1_059_000)).toBe(5);
  expect(count.total(1_000_000_000)).toBe(0);
});

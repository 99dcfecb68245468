// What every budget for failures from one address promises.
import { describe, expect, test } from 'vitest';
import type { FailureBudget } from '../../src/store/ports/failure-budget.ts';

export interface FailureBudgetAdapter {
  readonly name: string;
  /** A budget in which nothing was counted. */
  readonly open: (perMinute: () => number, now: () => number) => FailureBudget;
}

export function failureBudgetContract({ name, open }: FailureBudgetAdapter): void {
  describe(`failures: ${name}`, () => {
    const start = 1_800_000_000_000;

    test('an address has a number of failures per minute, waits for its end, and starts again', async () => {
      let now = start;
      let perMinute = 3;
      const failures = open(
        () => perMinute,
        () => now,
      );
      for (let i = 0; i < 3; i++) {
        expect(failures.waitSeconds('192.0.2.1')).toBe(0);
        expect(await failures.note('192.0.2.1')).toBe(0);
      }
      now += 20_000;
      expect(failures.waitSeconds('192.0.2.1')).toBe(40);
      expect(await failures.note('192.0.2.1')).toBe(40);
      expect([failures.waitSeconds('192.0.2.2'), await failures.note('192.0.2.2')]).toEqual([0, 0]);
      now += 40_000;
      expect(failures.waitSeconds('192.0.2.1')).toBe(0);
      perMinute = 1;
      expect(await failures.note('192.0.2.1')).toBe(0);
      expect(await failures.note('192.0.2.1')).toBe(60);
    });

    test('of any number of failures at the same time, exactly the budget is let through', async () => {
      const failures = open(
        () => 30,
        () => start,
      );
      const waits = await Promise.all(Array.from({ length: 200 }, async () => failures.note('192.0.2.1')));
      expect(waits.filter((wait) => wait === 0)).toHaveLength(30);
    });

    test('an IPv6 address counts as its /64, however it is spelled', async () => {
      const failures = open(
        () => 1,
        () => start,
      );
      await failures.note('2001:db8:0:1::5');
      expect(failures.waitSeconds('2001:0db8:0000:0001:ffff::1')).toBeGreaterThan(0);
      expect(failures.waitSeconds('2001:db8:0:2::5')).toBe(0);
      await failures.note('::1');
      expect(failures.waitSeconds('::2')).toBeGreaterThan(0);
      expect(failures.waitSeconds('1::2')).toBe(0);
    });
  });
}

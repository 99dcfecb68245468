// What every throttle of passwords and codes promises.
import { describe, expect, test } from 'vitest';
import type { SignInThrottle } from '../../src/store/ports/sign-in-throttle.ts';

export interface SignInThrottleAdapter {
  readonly name: string;
  /** One in which nothing was counted. */
  readonly open: (now: () => number) => SignInThrottle;
}

export function signInThrottleContract({ name, open }: SignInThrottleAdapter): void {
  describe(`guessed passwords: ${name}`, () => {
    test('five attempts are free, then waits double up to a quarter of an hour, and an hour without one forgets them', async () => {
      let now = 1_800_000_000_000;
      const throttle = open(() => now);
      const ask = async (address = '2001:db8:1:2::1'): Promise<number> => throttle.attempt(address, 'a@example.org');
      const waits: number[] = [];
      for (let i = 0; i < 20; i++) {
        expect(await ask(`2001:db8:1:2::${i}`)).toBe(0);
        await throttle.answered('2001:db8:1:2::1', 'a@example.org');
        const wait = i < 4 ? 0 : await ask();
        waits.push(wait);
        now += wait * 1000;
      }
      expect([...waits.slice(0, 10), waits.at(-1)]).toEqual([0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 900]);
      now += 3_600_001;
      for (let i = 0; i < 5; i++) expect(await ask()).toBe(0);
      expect(await ask()).toBe(1);
    });

    test('of any number of attempts at the same time, exactly five are let through; others are free', async () => {
      const throttle = open(() => 1_800_000_000_000);
      const waits = await Promise.all(
        Array.from({ length: 50 }, async () => throttle.attempt('192.0.2.1', 'a@example.org')),
      );
      expect(waits.filter((wait) => wait === 0)).toHaveLength(5);
      expect(await throttle.attempt('192.0.2.2', 'a@example.org')).toBe(0);
      expect(await throttle.attempt('192.0.2.1', 'b@example.org')).toBe(0);
    });

    test('the wait starts when the answer is known', async () => {
      let now = 1_800_000_000_000;
      const throttle = open(() => now);
      for (let i = 0; i < 5; i++) await throttle.attempt('192.0.2.1', 'a@example.org');
      now += 5_000;
      await throttle.answered('192.0.2.1', 'a@example.org');
      expect(await throttle.attempt('192.0.2.1', 'a@example.org')).toBe(1);
    });

    test('a correct password forgives its address, and one failure of the others', async () => {
      let now = 1_800_000_000_000;
      const throttle = open(() => now);
      for (let i = 0; i < 5; i++) await throttle.attempt('192.0.2.1', 'a@example.org');
      await throttle.succeeded('192.0.2.1', 'a@example.org');
      for (let i = 0; i < 5; i++) expect(await throttle.attempt('192.0.2.1', 'a@example.org')).toBe(0);
      expect(await throttle.attempt('192.0.2.1', 'a@example.org')).toBe(1);
      // Nine of thirty count for the mailbox.
      for (let i = 0; i < 21; i++) expect(await throttle.attempt(`198.51.100.${i}`, 'a@example.org')).toBe(0);
      expect(await throttle.attempt('203.0.113.1', 'a@example.org')).toBe(1);
      now += 1_000;
      expect(await throttle.attempt('203.0.113.1', 'a@example.org')).toBe(0);
    });

    test('an address waits ten seconds at most for all mailboxes, and without one only it counts', async () => {
      let now = 1_800_000_000_000;
      const throttle = open(() => now);
      for (let i = 0; i < 60; i++) expect(await throttle.attempt('192.0.2.1', `${i}@example.org`)).toBe(0);
      expect(await throttle.attempt('192.0.2.1', '')).toBe(1);
      for (let i = 0; i < 10; i++) {
        now += 10_000;
        expect(await throttle.attempt('192.0.2.1', '')).toBe(0);
      }
      expect(await throttle.attempt('192.0.2.1', 'other@example.org')).toBe(10);
      expect(await throttle.attempt('192.0.2.2', '')).toBe(0);
    });
  });
}

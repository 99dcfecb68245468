import { expect, test } from 'vitest';
import { FollowedClock } from './followed-clock.ts';

test("a clock that agrees is this machine's own, and one that differs is followed", () => {
  let own = 1_000_000;
  const clock = new FollowedClock(() => own);
  expect(clock.read(own + 900, own, own)).toBe(false);
  expect(clock.now()).toBe(own);
  expect(clock.read(own + 3_600_000, own - 20, own + 20)).toBe(true);
  expect(clock.now()).toBe(own + 3_600_000);
  expect(clock.read(own + 3_600_500, own, own)).toBe(false);
  // This machine's clock is corrected.
  own += 3_600_000;
  expect(clock.read(own + 10, own, own)).toBe(true);
  expect(clock.aheadMs).toBe(0);
});

test('what an answer that took long leaves open is no difference', () => {
  const clock = new FollowedClock(() => 0);
  expect(clock.read(5_000, 0, 8_000)).toBe(false);
  expect(clock.read(9_500, 0, 8_000)).toBe(true);
});

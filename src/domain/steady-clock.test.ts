import { expect, test } from 'vitest';
import { SteadyClock } from './steady-clock.ts';

function machine() {
  const time = { wall: 1_700_000_000_000, monotonic: 5_000, uptime: 90_000 };
  const clock = new SteadyClock({
    wallMs: () => time.wall,
    monotonicMs: () => time.monotonic,
    uptimeMs: () => time.uptime,
  });
  const pass = (ms: number): void => {
    time.wall += ms;
    time.monotonic += ms;
    time.uptime += ms;
  };
  return { time, clock, pass };
}

test.each([86_400_000, -86_400_000, 3_600_000])(
  'S8: setting the wall clock by %i ms moves no window and is reported once; dates follow it',
  (jump) => {
    const { time, clock, pass } = machine();
    pass(10_000);
    time.wall += jump;
    expect(clock.steady()).toBe(1_700_000_010_000);
    expect(clock.wall()).toBe(1_700_000_010_000 + jump);
    expect(clock.toWall(clock.steady())).toBe(clock.wall());
    expect(clock.toSteady(clock.wall())).toBe(clock.steady());
    expect(clock.look()).toBe(jump);
    expect(clock.look()).toBeUndefined();
    pass(10_000);
    expect(clock.steady()).toBe(1_700_000_020_000);
    time.wall -= jump;
    expect(clock.look()).toBe(0);
    expect(clock.steady()).toBe(1_700_000_020_000);
  },
);

test('time asleep counts as time', () => {
  const { time, clock, pass } = machine();
  pass(1_000);
  time.wall += 8 * 3_600_000;
  time.uptime += 8 * 3_600_000;
  // Also before the clock was first read.
  expect(clock.toSteady(time.wall)).toBe(time.wall);
  expect(clock.look()).toBeUndefined();
  expect(clock.steady()).toBe(time.wall);
  pass(5_000);
  expect(clock.look()).toBeUndefined();
  expect(clock.steady()).toBe(time.wall);
});

import { expect, test } from 'vitest';
import { AuthThrottle } from './auth-throttle.ts';

function throttle(perMinute: number) {
  const time = { now: 0 };
  return {
    time,
    throttle: new AuthThrottle(
      () => perMinute,
      () => time.now,
    ),
  };
}

test('an address has a number of failures per minute, waits for its end, and starts again', () => {
  const { time, throttle: failures } = throttle(3);
  for (let i = 0; i < 3; i++) {
    expect(failures.waitSeconds('192.0.2.1')).toBe(0);
    failures.note('192.0.2.1');
  }
  time.now = 20_000;
  expect(failures.waitSeconds('192.0.2.1')).toBe(40);
  expect(failures.waitSeconds('192.0.2.2')).toBe(0);
  time.now = 60_000;
  expect(failures.waitSeconds('192.0.2.1')).toBe(0);
});

test('an IPv6 address counts as its /64, however it is spelled', () => {
  const { throttle: failures } = throttle(1);
  failures.note('2001:db8:0:1::5');
  expect(failures.waitSeconds('2001:0db8:0000:0001:ffff::1')).toBeGreaterThan(0);
  expect(failures.waitSeconds('2001:db8:0:2::5')).toBe(0);
  failures.note('::1');
  expect(failures.waitSeconds('::2')).toBeGreaterThan(0);
  expect(failures.waitSeconds('1::2')).toBe(0);
});

test('a million addresses take no more memory than a hundred thousand, and further ones are over budget', () => {
  const { time, throttle: failures } = throttle(2);
  global.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 1_000_000; i++) failures.note(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}-${i >> 24}`);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 1024 * 1024);
  expect(failures.waitSeconds('203.0.113.9')).toBeGreaterThan(0);
  time.now = 61_000;
  expect(failures.waitSeconds('203.0.113.9')).toBe(0);
});

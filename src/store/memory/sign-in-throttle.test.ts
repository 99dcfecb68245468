import { beforeEach, describe, expect, test } from 'vitest';
import { MemorySignIns } from './sign-in-throttle.ts';

let nowMs: number;
let throttle: MemorySignIns;
beforeEach(() => {
  nowMs = 1_000_000;
  throttle = new MemorySignIns(() => nowMs);
});

const fail = (times: number, address: string, mailbox = 'a@example.org'): void => {
  for (let i = 0; i < times; i++) throttle.failed(address, mailbox);
};

describe('guessing from one address', () => {
  test('is free a few times, then doubles the wait each time, up to a quarter of an hour', () => {
    fail(4, '192.0.2.1');
    expect(throttle.waitSeconds('192.0.2.1', 'a@example.org')).toBe(0);
    const waits = Array.from({ length: 20 }, () => {
      fail(1, '192.0.2.1');
      return throttle.waitSeconds('192.0.2.1', 'a@example.org');
    });
    expect(waits.slice(0, 5)).toEqual([1, 2, 4, 8, 16]);
    expect(Math.max(...waits)).toBe(900);
    expect(waits.at(-1)).toBe(900);
  });

  test('delays no other address and no other mailbox', () => {
    fail(20, '192.0.2.1');
    expect(throttle.waitSeconds('192.0.2.2', 'a@example.org')).toBe(0);
    expect(throttle.waitSeconds('192.0.2.1', 'b@example.org')).toBe(0);
  });

  test('is forgiven after a time, and by a correct password', () => {
    fail(8, '192.0.2.1');
    const wait = throttle.waitSeconds('192.0.2.1', 'a@example.org');
    nowMs += wait * 1000;
    expect(throttle.waitSeconds('192.0.2.1', 'a@example.org')).toBe(0);
    throttle.succeeded('192.0.2.1', 'a@example.org');
    fail(4, '192.0.2.1');
    expect(throttle.waitSeconds('192.0.2.1', 'a@example.org')).toBe(0);
    fail(10, '192.0.2.1');
    nowMs += 61 * 60_000;
    fail(1, '192.0.2.1');
    expect(throttle.waitSeconds('192.0.2.1', 'a@example.org')).toBe(0);
  });

  test('counts an IPv6 network of 64 bits as one address', () => {
    for (let i = 0; i < 8; i++) throttle.failed(`2001:db8:1:2::${i}`, 'a@example.org');
    expect(throttle.waitSeconds('2001:db8:1:2:ffff::1', 'a@example.org')).toBeGreaterThan(0);
    expect(throttle.waitSeconds('2001:db8:1:3::1', 'a@example.org')).toBe(0);
  });
});

test('guessing from everywhere delays the mailbox for half a minute at most: its owner is not locked out', () => {
  for (let i = 0; i < 500; i++) throttle.failed(`198.51.${i % 256}.${Math.floor(i / 256)}`, 'a@example.org');
  expect(throttle.waitSeconds('203.0.113.1', 'a@example.org')).toBe(30);
  nowMs += 30_000;
  expect(throttle.waitSeconds('203.0.113.1', 'a@example.org')).toBe(0);
});

test('without a mailbox only the address counts', () => {
  fail(100, '192.0.2.1', '');
  expect(throttle.waitSeconds('192.0.2.1', '')).toBeGreaterThan(0);
  expect(throttle.waitSeconds('192.0.2.2', '')).toBe(0);
});

test('a million names do not fill the memory, and the newest are kept', () => {
  for (let i = 0; i < 50_000; i++) throttle.failed('192.0.2.1', `${i}@example.org`);
  fail(8, '192.0.2.9', 'last@example.org');
  expect(throttle.waitSeconds('192.0.2.9', 'last@example.org')).toBeGreaterThan(0);
});

test('an address that tries a password at every mailbox is slowed down, and others behind it wait only seconds', () => {
  for (let i = 0; i < 60; i++) {
    expect(throttle.waitSeconds('192.0.2.1', `${i}@example.org`)).toBe(0);
    throttle.failed('192.0.2.1', `${i}@example.org`);
  }
  expect(throttle.waitSeconds('192.0.2.1', 'other@example.org')).toBe(1);
  for (let i = 0; i < 60; i++) throttle.failed('192.0.2.1', `more-${i}@example.org`);
  expect(throttle.waitSeconds('192.0.2.1', 'other@example.org')).toBe(10);
  expect(throttle.waitSeconds('192.0.2.1', '')).toBe(10);
  expect(throttle.waitSeconds('192.0.2.2', 'other@example.org')).toBe(0);
});

import { expect, test } from 'vitest';
import type { MonotonicMs } from '../../domain/time.ts';
import { Paces, paces } from './pace.ts';

function clockwork(): { paces: Paces; pass: (ms: number) => void } {
  let now: MonotonicMs = 5;
  return {
    paces: new Paces(() => now),
    pass: (ms) => {
      now += ms;
    },
  };
}
const refusal = expect.objectContaining({ code: 'too_many_requests' }) as Error;

test('a caller cannot exceed the pace, and the next call is let through when it is due', () => {
  const { paces: at, pass } = clockwork();
  for (let i = 0; i < paces.read.each; i++) at.enter('read', 'key_a')();
  expect(() => at.enter('read', 'key_a')).toThrow(refusal);
  at.enter('read', 'key_b')();
  at.enter('look', 'key_a')();
  pass(60_000 / paces.read.each);
  at.enter('read', 'key_a')();
  expect(() => at.enter('read', 'key_a')).toThrow(refusal);
  pass(600_000);
  for (let i = 0; i < paces.read.each; i++) at.enter('read', 'key_a')();
  expect(() => at.enter('read', 'key_a')).toThrow(refusal);
});

test('a source is counted over all its callers', () => {
  const { paces: at } = clockwork();
  for (let i = 0; i < paces.door.source; i++) at.fromSource('door', '192.0.2.1');
  expect(() => at.fromSource('door', '192.0.2.1')).toThrow(refusal);
  at.fromSource('door', '192.0.2.2');
});

test('places are limited per caller and in total, and released once', () => {
  const { paces: at } = clockwork();
  const leave = at.enter('read', 'a');
  expect(() => at.enter('read', 'a')).toThrow(refusal);
  for (let i = 1; i < paces.read.atOnce.all; i++) at.enter('read', `b${i}`);
  expect(() => at.enter('read', 'c')).toThrow(refusal);
  leave();
  leave();
  at.enter('read', 'c');
  expect(() => at.enter('read', 'd')).toThrow(refusal);
});

test('old sources are forgotten, and the current one is not', () => {
  const { paces: at } = clockwork();
  for (let i = 0; i < paces.door.source; i++) at.fromSource('door', 'busy');
  for (let i = 0; i < 19_000; i++) at.fromSource('door', `stranger ${i}`);
  expect(() => at.fromSource('door', 'busy')).toThrow(refusal);
});

test('the addresses of one IPv6 network are one source', () => {
  const pacing = new Paces(() => 0);
  const ask = (i: number) => (): void => pacing.fromSource('door', `2001:db8:0:1::${i.toString(16)}`);
  for (let i = 1; i <= 120; i++) ask(i)();
  expect(ask(121)).toThrow();
  expect(() => pacing.fromSource('door', '2001:db8:0:2::1')).not.toThrow();
});

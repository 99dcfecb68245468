import { beforeEach, expect, test } from 'vitest';
import { FirstTokens } from './first-tokens.ts';

const servers = ['a', 'b', 'c'].map((name) => ({ name, health: { slow: false } }));
const [a, b, c] = servers as [(typeof servers)[0], (typeof servers)[0], (typeof servers)[0]];
let tokens: FirstTokens;
const begin = (server: typeof a, model: string, ...times: number[]): void => {
  for (const ms of times) tokens.note(server, model, ms);
};
const slow = (): string =>
  servers
    .filter(({ health }) => health.slow)
    .map(({ name }) => name)
    .join('');

beforeEach(() => {
  for (const { health } of servers) health.slow = false;
  tokens = new FirstTokens();
  tokens.compares = true;
});

test('a server is slow whose last five streams all began far later than the quickest of another one', () => {
  begin(a, 'm', 300, 310, 280, 290, 900);
  begin(b, 'm', 5000, 4000, 6000, 7000);
  expect(slow()).toBe('');
  begin(b, 'm', 5000);
  expect(slow()).toBe('b');
  begin(b, 'm', 400);
  expect(slow()).toBe('');
});

test('a first call that loads the model, a long prompt, and a model that only one server has make no server slow', () => {
  begin(a, 'm', 60_000, 300, 300, 300, 300);
  begin(b, 'm', 300, 300, 9_000, 9_000, 9_000);
  begin(c, 'other', 9_000, 9_000, 9_000, 9_000, 9_000);
  expect(slow()).toBe('');
});

test('differences that no person would notice make no server slow, and neither does a single server', () => {
  begin(a, 'm', 10, 10, 10, 10, 10);
  begin(b, 'm', 900, 900, 900, 900, 900);
  expect(slow()).toBe('');
  tokens.compares = false;
  begin(b, 'm', 9_000, 9_000, 9_000, 9_000, 9_000);
  expect(slow()).toBe('');
});

test('a server that is gone is no longer compared with', () => {
  begin(a, 'm', 10, 10, 10, 10, 10);
  tokens.forget(a);
  begin(b, 'm', 9_000, 9_000, 9_000, 9_000, 9_000);
  expect(slow()).toBe('');
});

import { expect, test } from 'vitest';
import type { AccountId } from './id.ts';
import { mayReach, readServerAddress, readSlots, readWeight, slotsOn } from './model-server.ts';

test('every spelling of a server’s address becomes one text', () => {
  for (const text of [
    'http://Box:8000',
    'http://box:8000/',
    'http://box:8000/v1',
    'http://box:8000/v1/',
    'HTTP://box:8000//',
  ])
    expect(readServerAddress(text)).toBe('http://box:8000');
  expect(readServerAddress('https://box:443/a/v1/')).toBe('https://box/a');
  expect(readServerAddress('http://[::1]:80/v1beta')).toBe('http://[::1]/v1beta');
});

test('an impossible address of a model server is refused in one sentence', () => {
  for (const text of ['', 'box:8000', 'ftp://box', 'file:///etc/passwd', 'http://', 'unix:/run/x'])
    expect(() => readServerAddress(text)).toThrow(/starts with http/);
  for (const text of ['http://user@box', 'http://:pw@box', 'https://u:p@box/v1'])
    expect(() => readServerAddress(text)).toThrow(/a user or password/);
  for (const text of ['http://box/?key=1', 'http://box/#x', 'http://box?', 'http://box#'])
    expect(() => readServerAddress(text)).toThrow(/anything after its path/);
});

test('slots are read by canonical name, and a star stands for every other model', () => {
  const slots = readSlots({ gemma3: 2, '*': 4 });
  expect(slots).toEqual({ 'gemma3:latest': 2, '*': 4 });
  expect(slotsOn(slots, 'gemma3:latest')).toBe(2);
  expect(slotsOn(slots, 'other')).toBe(4);
  expect(slotsOn({}, 'other')).toBeUndefined();
  expect(slotsOn(null, 'other')).toBeUndefined();
  for (const bad of [{ 'a b': 1 }, { '': 1 }]) expect(() => readSlots(bad)).toThrow(/not the name/);
  for (const count of [0, -1, 1.5, 100_001, Number.NaN]) expect(() => readSlots({ a: count })).toThrow(/whole number/);
  for (const weight of [0, -1, 101, Number.NaN]) expect(() => readWeight(weight)).toThrow(/0\.01 to 100/);
});

test('a server limited to plans or accounts serves only these, and an empty list serves no one', () => {
  const alice = { accountId: 'acc_a' as AccountId, plan: 'default' };
  const operator = { accountId: 'acc_o' as AccountId, plan: undefined };
  expect([alice, operator].map((who) => mayReach({ plans: null, accounts: null }, who))).toEqual([true, true]);
  expect([alice, operator].map((who) => mayReach({ plans: ['default'], accounts: null }, who))).toEqual([true, false]);
  expect([alice, operator].map((who) => mayReach({ plans: ['x'], accounts: [operator.accountId] }, who))).toEqual([
    false,
    true,
  ]);
  expect([alice, operator].map((who) => mayReach({ plans: [], accounts: null }, who))).toEqual([false, false]);
});

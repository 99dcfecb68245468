import { expect, test } from 'vitest';
import type { Account } from './account.ts';
import { blankKey, type StoredKey } from './api-key.ts';
import type { AccountId, KeyId } from './id.ts';
import { beyondMaker } from './key-bounds.ts';
import { type Unlimited, unlimited } from './plan.ts';

const account = (plan: string | Unlimited): Account => ({
  id: 'acc_x' as AccountId,
  name: 'x',
  plan,
  role: plan === unlimited ? 'operator' : 'member',
  closedAt: null,
  createdAt: 0,
});
const key = (extra: Partial<StoredKey> = {}): StoredKey => ({
  ...blankKey('key_x' as KeyId, 'acc_x' as AccountId, 0),
  scopes: ['management:write', 'management:read'],
  ...extra,
});

test.each<[string, Partial<StoredKey>, Partial<StoredKey>]>([
  ['a scope of management', { scopes: ['management:write'] }, { scopes: ['management:read'] }],
  ['no end', { expiresAt: 5 }, { expiresAt: null }],
  ['a later end', { expiresAt: 5 }, { expiresAt: 6 }],
  ['every network', { cidr: ['10.0.0.0/8'] }, { cidr: [] }],
  ['a wider network', { cidr: ['10.1.0.0/16'] }, { cidr: ['10.0.0.0/8'] }],
  ['another network', { cidr: ['10.1.0.0/16'] }, { cidr: ['10.1.2.0/24', '192.168.0.1'] }],
  ['a network of the other family', { cidr: ['0.0.0.0/0'] }, { cidr: ['::/0'] }],
  ['every model', { models: ['llama3'] }, { models: ['*'] }],
  ['a wider pattern', { models: ['gemma3:*'] }, { models: ['gemma*'] }],
  ['another model', { models: ['gemma3:*'] }, { models: ['gemma3:1b', 'llama3'] }],
  ['no certificate', { boundCertificate: 'a' }, { boundCertificate: null }],
  ['another certificate', { boundCertificate: 'a' }, { boundCertificate: 'b' }],
  ['no limit', { narrowing: { tokensPerDay: 5 } }, { narrowing: {} }],
  ['a wider limit', { narrowing: { tokensPerDay: 5 } }, { narrowing: { tokensPerDay: 6 } }],
  ['a shorter least', { narrowing: { minKeepAliveSeconds: 5 } }, { narrowing: { minKeepAliveSeconds: 4 } }],
])('a key never passes on %s that it does not have, and may leave the field unchanged', (_what, own, asked) => {
  const maker = { key: key(own), account: account(unlimited) };
  const child = key({ scopes: [], ...own, ...asked });
  expect(beyondMaker(child, account('default'), maker)).toBeTypeOf('string');
  expect(beyondMaker(child, account('default'), maker, child)).toBeUndefined();
});

test('within its own bounds a key may pass on anything', () => {
  const maker = {
    key: key({
      expiresAt: 5,
      cidr: ['10.0.0.0/8', '2001:db8::/32'],
      models: ['gemma3:*', 'llama3'],
      narrowing: { tokensPerDay: 5, minKeepAliveSeconds: 5 },
    }),
    account: account(unlimited),
  };
  const child = key({
    scopes: ['management:read', 'models:pull'],
    expiresAt: 4,
    cidr: ['10.2.0.0/16', '10.0.0.1', '2001:db8:1::/48'],
    models: ['gemma3:1b', 'gemma3:*', 'llama3:latest'],
    narrowing: { tokensPerDay: 4, minKeepAliveSeconds: 6, maxImages: 9 },
  });
  expect(beyondMaker(child, account(unlimited), maker)).toBeUndefined();
});

test('a key of a limited account makes none without limits', () => {
  const maker = { key: key(), account: account('default') };
  expect(beyondMaker(key(), account(unlimited), maker)).toContain('without limits');
});

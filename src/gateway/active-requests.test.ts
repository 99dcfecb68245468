import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { blankKey, type StoredKey } from '../domain/api-key.ts';
import type { GatewayError } from '../domain/error.ts';
import type { AccountId, KeyId } from '../domain/id.ts';
import { unlimited } from '../domain/plan.ts';
import type { Caller as StoredCaller } from '../store/ports/keys.ts';
import { ActiveRequests, type Run } from './active-requests.ts';
import { Caller } from './caller.ts';
import { Decisions } from './decide-again.ts';
import { Exchange } from './exchange.ts';
import { KeyCache } from './identity/key-cache.ts';
import type { Intended } from './intent.ts';
import { canonicalTarget, dialectOf, matchOperation } from './operation.ts';

const key = blankKey('key_x' as KeyId, 'acc_x' as AccountId, 0);

/** A call with that key that was checked a moment ago and is about to run. */
async function aboutToRun() {
  const rows: { key: StoredKey; fails: boolean } = { key, fails: false };
  const findCaller = (): Promise<StoredCaller> =>
    rows.fails
      ? Promise.reject(new Error('no store'))
      : Promise.resolve({ key: rows.key, plan: unlimited, suspensions: [] } as unknown as StoredCaller);
  const keyCache = new KeyCache({ findCaller, findCallerByDigest: findCaller }, [], key.accountId, Date.now, () => 1);
  const modelRules = {
    names: { allows: () => true },
    registryHosts: new Set<string>(),
    isRemote: () => false,
    reachesServer: () => true,
    hasShown: () => false,
  };
  const decisions = new Decisions({ keyCache, modelRules, wallNow: () => 1_000, appealContact: '' });
  const running = new ActiveRequests(decisions);
  const known = {
    upgrade: undefined,
    at: 0,
    startedMs: 0,
    address: '192.0.2.1',
    dialect: dialectOf('/api/chat'),
    cors: [],
  } as const;
  const exchange = new Exchange({ socket: {} } as IncomingMessage, {} as ServerResponse, known);
  const principal = await keyCache.find(key.id);
  const { operation } = matchOperation('POST', canonicalTarget('/api/chat'));
  const nothing = { models: [], registryModels: [], blobs: [], offeredServerTools: [] };
  const call = { caller: new Caller(principal!), operation, ...nothing } as unknown as Intended;
  await decisions.again(call, exchange);
  const ended = Promise.withResolvers<GatewayError>();
  const run: Run = {
    call,
    exchange,
    slot: -1,
    moved: -1,
    movedAtMs: 0,
    deadlineMs: Infinity,
    end: (error) => ended.resolve(error),
  };
  return { rows, keyCache, running, run, ended: ended.promise };
}

test('a call whose key is revoked between its last check and its start is ended', async () => {
  const { rows, keyCache, running, run, ended } = await aboutToRun();
  rows.key = { ...key, status: 'revoked' };
  keyCache.forget();
  await running.recheck();
  running.add(run);
  expect((await ended).code).toBe('key_revoked');
});

test('a call does not run when the store cannot confirm its caller at its start', async () => {
  const { rows, keyCache, running, run, ended } = await aboutToRun();
  rows.fails = true;
  keyCache.forget();
  running.add(run);
  expect((await ended).code).toBe('identity_unavailable');
});

test('a call that starts as it was checked makes no query', async () => {
  const { rows, running, run } = await aboutToRun();
  rows.fails = true;
  running.add(run);
  await running.recheck();
  expect(running.size).toBe(1);
});

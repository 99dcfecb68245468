// docs/redis.md, the table of limits while Redis cannot be used: what each of several gates lets through of calls per minute, of calls
// that run at once, and of longer windows.
import { expect, test } from 'vitest';
import { Calendar } from '../../domain/calendar.ts';
import type { AccountId, KeyId, RequestId } from '../../domain/id.ts';
import { atOnceOf, type CallerBounds, type Limiting, limitsOf, windowedNames } from '../../domain/limit.ts';
import { MemoryLimits } from '../memory/limit-store.ts';
import { LocalShare } from './limit-share.ts';

const minute = Date.UTC(2026, 0, 5, 12, 30);
const wentAt = minute + 10_000;
const calendar = new Calendar('UTC');
const key = 'key_a' as KeyId;
const ask = { requests: 1, promptTokens: 1, completionTokens: 1, units: 0, spends: true };

function shareOf(gates: number): LocalShare {
  const local = new MemoryLimits(calendar).open('acc_a' as AccountId, [], minute);
  return new LocalShare(local, { calendar, gates: () => gates, awaySince: () => wentAt });
}

function boundsOf(account: Limiting): CallerBounds {
  const limiting = { account, key: {} };
  return { limits: limitsOf(limiting), atOnce: atOnceOf(limiting) };
}

/** How many of twenty calls a gate lets through. */
async function through(gates: number, account: Limiting, at = minute + 60_000): Promise<number> {
  const share = shareOf(gates);
  let leases = 0;
  for (let i = 0; i < 20; i++) {
    const asked = { id: `req_${i}` as RequestId, ask, bounds: boundsOf(account), at, slowed: false };
    if ((await share.reserve(key, asked)).kind === 'lease') leases++;
  }
  return leases;
}

test('each gate has its part of the calls per minute and of those that run at once, at least one, and none of none', async () => {
  expect(await through(4, { requestsPerMinute: 10 })).toBe(2);
  expect(await through(4, { requestsPerMinute: 3 })).toBe(1);
  expect(await through(4, { requestsPerMinute: 0 })).toBe(0);
  expect(await through(4, { concurrentRequests: 10 })).toBe(2);
  expect(await through(1, { requestsPerMinute: 10 }, wentAt)).toBe(10);
  expect(await through(4, {})).toBe(20);
});

test('several gates refuse calls with a limit per minute until the minute in which Redis went is over', async () => {
  await expect(through(4, { requestsPerMinute: 10 }, wentAt)).rejects.toMatchObject({
    code: 'limits_unavailable',
    retryAfterSeconds: 50,
  });
});

test.each(windowedNames.filter((name) => /^requestsPer(?!Minute)/.test(name)))(
  'calls with a limit of %s are refused, also at a gate that is alone',
  async (name) => {
    for (const gates of [1, 4])
      await expect(through(gates, { [name]: 10 })).rejects.toMatchObject({ code: 'limits_unavailable', status: 503 });
  },
);

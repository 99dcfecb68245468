// docs/redis.md, the table of limits while Redis cannot be used: what each of several gates lets through of calls per minute, of calls
// that run at once, and of longer windows.
import { afterEach, expect, test } from 'vitest';
import { Calendar } from '../../domain/calendar.ts';
import type { AccountId, KeyId, RequestId } from '../../domain/id.ts';
import { atOnceOf, type CallerBounds, type Limiting, limitsOf, windowedNames } from '../../domain/limit.ts';
import { MemoryLimits } from '../memory/limit-store.ts';
import { HeldElsewhere } from './held-elsewhere.ts';
import { LocalShare } from './limit-share.ts';

const minute = Date.UTC(2026, 0, 5, 12, 30);
const wentAt = minute + 10_000;
const calendar = new Calendar('UTC');
const key = 'key_a' as KeyId;
const ask = { requests: 1, promptTokens: 1, completionTokens: 1, units: 0, spends: true };

const accountId = 'acc_a' as AccountId;
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `gate${i}`);

/** One of several gates, all of which ran nothing when Redis went. */
async function shareOf(gates: number, gate: string): Promise<LocalShare> {
  const local = new MemoryLimits(calendar).open(accountId, [], minute);
  const held = { since: wentAt, held: {} };
  const others = names(gates).map((id) => ({ id, held }));
  const counted = (): Promise<void> => Promise.resolve();
  const tools = { gate, gates: () => names(gates), counted, others: () => Promise.resolve(others) };
  const elsewhere = new HeldElsewhere(tools);
  elsewhere.begin(held);
  await elsewhere.known();
  elsewheres.push(elsewhere);
  return new LocalShare(accountId, local, { ...tools, calendar, elsewhere, awaySince: () => wentAt });
}

const elsewheres: HeldElsewhere[] = [];
afterEach(() => elsewheres.splice(0).forEach((each) => each.end()));

function boundsOf(account: Limiting): CallerBounds {
  const limiting = { account, key: {} };
  return { limits: limitsOf(limiting), atOnce: atOnceOf(limiting) };
}

/** How many of twenty calls each gate lets through, the most first. */
async function through(gates: number, limiting: Limiting, at = minute + 60_000): Promise<number[]> {
  const counts: number[] = [];
  for (const gate of names(gates)) {
    const share = await shareOf(gates, gate);
    let leases = 0;
    for (let i = 0; i < 20; i++) {
      const asked = { id: `req_${i}` as RequestId, ask, bounds: boundsOf(limiting), at, slowed: false };
      const reserved = await share.reserve(key, asked).catch((error: unknown) => {
        if (at !== minute + 60_000 || Object.keys(limiting).some((name) => !/Minute|concurrent/.test(name)))
          throw error;
        expect(error).toMatchObject({ code: 'limits_unavailable', status: 503 });
      });
      if (reserved?.kind === 'lease') leases++;
    }
    counts.push(leases);
  }
  return counts.toSorted((a, b) => b - a);
}

test('the parts of all gates are the calls per minute and those that run at once; a gate without a part says so', async () => {
  expect(await through(4, { requestsPerMinute: 10 })).toEqual([3, 3, 2, 2]);
  expect(await through(4, { requestsPerMinute: 3 })).toEqual([1, 1, 1, 0]);
  expect(await through(4, { requestsPerMinute: 0 })).toEqual([0, 0, 0, 0]);
  expect(await through(4, { concurrentRequests: 10 })).toEqual([3, 3, 2, 2]);
  expect(await through(4, { concurrentRequests: 1 })).toEqual([1, 0, 0, 0]);
  expect(await through(1, { requestsPerMinute: 10 }, wentAt)).toEqual([10]);
  expect(await through(4, {})).toEqual([20, 20, 20, 20]);
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

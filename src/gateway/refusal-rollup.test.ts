import { expect, test } from 'vitest';
import type { KeyId, RequestId } from '../domain/id.ts';
import type { UsageRecord } from '../domain/usage.ts';
import { Refusals } from './refusal-rollup.ts';

const minuteMs = 60_000;
const start = 28_000_000 * minuteMs;

function gate(rowsPerMinute = 2) {
  const time = { now: start };
  const written: UsageRecord[] = [];
  const journal = { end: (row: UsageRecord) => void written.push(row), isStuck: false };
  const refusals = new Refusals(
    journal,
    () => rowsPerMinute,
    () => time.now,
  );
  let count = 0;
  const row = (extra: Partial<UsageRecord> = {}): UsageRecord => ({
    id: `req_${++count}` as RequestId,
    at: time.now,
    keyId: 'key_a' as KeyId,
    accountId: 'acc_a' as UsageRecord['accountId'],
    operation: 'chat',
    model: 'gemma3:270m',
    upstream: null,
    outcome: 'refused',
    status: 429,
    code: 'rate_limited',
    streamed: false,
    promptTokens: 0,
    completionTokens: 0,
    source: 'none',
    bytesIn: 10,
    bytesOut: 100,
    firstByteMs: null,
    durationMs: 1,
    queuedMs: 0,
    address: '::1',
    repeats: 1,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    askedModel: null,
    fallbackFor: null,
    ...extra,
  });
  const refuse = (calls: number, extra: Partial<UsageRecord> = {}): void => {
    for (let i = 0; i < calls; i++) refusals.end(row(extra), undefined);
  };
  const repeats = (): number[] => written.map((each) => each.repeats);
  return { time, written, journal, refusals, row, refuse, repeats };
}

test('beyond a number per minute, refusals share one row, written when the minute is over', () => {
  const { time, written, refusals, refuse, repeats } = gate();
  refuse(7);
  refusals.sweep();
  expect(repeats()).toEqual([1, 1]);
  time.now += minuteMs - 1;
  refusals.sweep();
  expect(repeats()).toEqual([1, 1]);
  time.now += 1;
  refusals.sweep();
  expect(repeats()).toEqual([1, 1, 5]);
  expect(written[2]).toMatchObject({ id: 'req_3', at: start, bytesIn: 50, bytesOut: 500, code: 'rate_limited' });
  time.now += minuteMs;
  refusals.sweep();
  expect(written).toHaveLength(3);
});

test('another minute has its rows again, even if nothing was checked in between', () => {
  const { time, refuse, repeats } = gate();
  refuse(4);
  time.now += minuteMs;
  refuse(3);
  expect(repeats()).toEqual([1, 1, 2, 1, 1]);
});

test('an early flush allows no additional rows', () => {
  const { refusals, refuse, repeats } = gate();
  refuse(4);
  refusals.flush();
  refuse(3);
  refusals.flush();
  refusals.flush();
  expect(repeats()).toEqual([1, 1, 2, 3]);
});

test('refusals that began in another minute, or ended in another way, have a sum of their own', () => {
  const { time, written, refusals, refuse } = gate(1);
  refuse(1);
  refuse(3, { at: start - 1 });
  refuse(4);
  refuse(5, { outcome: 'client_closed', status: 499, code: null });
  time.now += minuteMs;
  refusals.sweep();
  expect(written.map(({ at, outcome, repeats }) => [at - start, outcome, repeats])).toEqual([
    [0, 'refused', 1],
    [-1, 'refused', 3],
    [0, 'refused', 4],
    [0, 'client_closed', 5],
  ]);
});

test('a row names a model and a reason only if all its calls have the same', () => {
  const { written, refusals, refuse } = gate(1);
  refuse(1);
  refuse(1);
  refuse(1, { model: 'other:latest' });
  refuse(1);
  refuse(1, { code: 'quota_exceeded' });
  refusals.flush();
  expect(written[1]).toMatchObject({ repeats: 4, model: null, code: null, status: 429 });
});

test('refusals that blame no caller keep their reason, and all the others share one row', () => {
  const { written, refusals, refuse } = gate(1);
  refuse(1);
  for (const code of ['rate_limited', 'queue_full', 'quota_exceeded', 'draining', 'queue_full'] as const)
    refuse(2, { code });
  refusals.flush();
  expect(written.slice(1).map(({ code, repeats }) => [code, repeats])).toEqual([
    [null, 4],
    ['queue_full', 4],
    ['draining', 2],
  ]);
});

test('a call that began, or was forwarded, has a row of its own at once', () => {
  const { written, refusals, row, refuse } = gate(1);
  refuse(3);
  const begun = { slot: 0, progress: () => ({ promptTokens: 0, completionTokens: 0, bytesIn: 0, bytesOut: 0 }) };
  for (let i = 0; i < 3; i++) {
    const refused = row();
    refusals.end(refused, { ...begun, draft: refused });
    refusals.end(row({ outcome: 'completed', upstream: 'http://x' }), undefined);
    refusals.end(row({ outcome: 'client_closed', upstream: 'http://x' }), undefined);
    expect(written).toHaveLength(1 + 3 * (i + 1));
  }
  expect(written.every(({ repeats }) => repeats === 1)).toBe(true);
});

test('while the journal accepts nothing, refusals share rows for however long, and all of them are written afterwards', () => {
  const { time, written, journal, refusals, refuse, repeats } = gate();
  refuse(1);
  journal.isStuck = true;
  for (let minute = 0; minute < 60; minute++) {
    refuse(10);
    time.now += minuteMs;
    refusals.sweep();
  }
  expect(repeats()).toEqual([1]);
  journal.isStuck = false;
  refusals.sweep();
  expect(written.length).toBeLessThanOrEqual(6);
  expect(repeats().reduce((sum, count) => sum + count, 0)).toBe(601);
  refuse(1);
  expect(written.at(-1)).toMatchObject({ repeats: 1, at: time.now });
});

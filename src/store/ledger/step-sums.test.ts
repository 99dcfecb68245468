import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stepMs, steps } from '../../domain/latency.ts';
import type { UsageRecord } from '../../domain/usage.ts';
import { sumLatency, sumOutcomes } from './step-sums.ts';
import { AnsweredModels, rowOfUsage } from './usage-rows.ts';

const midnight = Date.UTC(2026, 0, 2);
const row = (record: Partial<UsageRecord>) =>
  rowOfUsage({
    id: 'a',
    at: midnight,
    accountId: 'account',
    operation: 'chat',
    model: 'm',
    upstream: 'server',
    outcome: 'completed',
    status: 200,
    code: null,
    source: 'exact',
    repeats: 1,
    promptTokens: 1,
    completionTokens: 2,
    durationMs: 1000,
    ...record,
  } as UsageRecord);

const rows = fc.array(
  fc.record({
    id: fc.string({ minLength: 1, maxLength: 3 }),
    at: fc.integer({ min: midnight, max: midnight + 10 * 86_400_000 }),
    outcome: fc.constantFrom('completed', 'failed'),
    durationMs: fc.integer({ min: 0, max: 3_600_000 }),
    repeats: fc.integer({ min: 1, max: 3 }),
  }),
  { maxLength: 8 },
);

test('each step has every call once, in its block of time', () => {
  fc.assert(
    fc.property(rows, (records) => {
      const given = records.map((record) => row(record as Partial<UsageRecord>));
      const [outcomes, latency] = [sumOutcomes(given, new AnsweredModels()), sumLatency(given, new AnsweredModels())];
      for (const step of steps) {
        const length = stepMs[step];
        const blocks = Map.groupBy(given, ({ at, outcome }) => `${Math.floor(at / length)} ${outcome}`);
        const sums = outcomes.filter((sum) => sum.step === length);
        expect(sums).toHaveLength(blocks.size);
        for (const sum of sums) {
          const block = blocks.get(`${sum.at} ${sum.outcome}`) ?? [];
          expect(sum).toMatchObject({
            requests: block.reduce((all, { repeats }) => all + repeats, 0),
            first_id: block.map(({ id }) => id).toSorted()[0],
            last_id: block
              .map(({ id }) => id)
              .toSorted()
              .at(-1),
            longest_ms: Math.max(...block.map((each) => each.duration_ms)),
          });
        }
        const times = latency.filter((sum) => sum.step === length);
        expect(times.reduce((all, sum) => all + sum.completion_tokens, 0)).toBe(2 * given.length);
        for (const sum of times) {
          const block = given.filter(({ at }) => Math.floor(at / length) === sum.at);
          expect(sum.counts.queue.reduce((all, count) => all + count, 0)).toBe(block.length);
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('a call that took very long counts in its last minutes, and in all of its longer steps', () => {
  const minutes = 1000;
  const sums = sumLatency([row({ durationMs: minutes * 60_000 }), row({ durationMs: 60_000 })], new AnsweredModels());
  const runningMs = (step: number): number =>
    sums.filter((sum) => sum.step === step).reduce((all, sum) => all + sum.running_ms, 0);
  expect(runningMs(stepMs.minute)).toBe(401 * 60_000);
  for (const step of [stepMs.quarterHour, stepMs.twoHours, stepMs.halfDay, stepMs.fourDays])
    expect(runningMs(step)).toBe((minutes + 1) * 60_000);
});

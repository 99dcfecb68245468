import { expect, test } from 'vitest';
import { onceItWorks } from './once-it-works.ts';

test('the work is done once for all who wait, and again after it failed', async () => {
  let calls = 0;
  const work = onceItWorks(async () => {
    calls++;
    await Promise.resolve();
    if (calls === 1) throw new Error('first');
    return calls;
  });
  const outcomes = await Promise.allSettled([work(), work()]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(calls).toBe(1);
  expect(await Promise.all([work(), work(), work()])).toEqual([2, 2, 2]);
  expect(await work()).toBe(2);
});

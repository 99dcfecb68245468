// Is the fuzzing guided at all? A fault behind several comparisons is found step by step, but not by chance.
import { expect, test } from 'vitest';
import { start } from './start.ts';
import { planted } from './targets.ts';

const run = (guided: boolean, seed: number, mostRuns = 60_000) =>
  start({ names: [planted], seed, mostRuns, mostMs: null, guided });

test('guidance finds a fault behind five comparisons, and the same seed with as many inputs does not find it without', async () => {
  const [guided] = await run(true, 1);
  expect(guided?.failures.map(({ message }) => message.split('\n')[0])).toEqual(['RangeError: the planted fault']);
  // Minimized: without any one of its bytes, there is no fault.
  expect(guided?.failures.map(({ bytes }) => bytes.length)).toEqual([9]);
  const [blind] = await run(false, 1);
  expect(blind).toMatchObject({ failures: [], runs: 60_000, kept: [Uint8Array.from(Buffer.from('hello'))] });
});

test('the same seed makes the same run', async () => {
  expect(await run(true, 7, 5000)).toEqual(await run(true, 7, 5000));
});

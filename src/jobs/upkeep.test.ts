import { expect, test, vi } from 'vitest';
import type { HeldLease } from '../store/ports/leases.ts';
import { Upkeep, type UpkeepTools } from './upkeep.ts';

test('a job that falls due while another gate has the lease runs again once the lease is back', async () => {
  vi.useFakeTimers();
  let isOurs = true;
  let epoch = 0;
  const store: UpkeepTools['store'] = {
    takeLease: (name, owner) => Promise.resolve(isOurs ? { name, owner, epoch: ++epoch } : undefined),
    renewLease: ({ epoch: held }: HeldLease) => Promise.resolve(isOurs && held === epoch),
    giveLease: () => Promise.resolve(),
    whileHeld: () => Promise.reject(new Error('no job changes anything')),
  };
  let runs = 0;
  const job = { failure: 'it failed', restMs: 300, run: () => Promise.resolve((runs++, 300)) };
  const upkeep = new Upkeep([job], {
    store,
    owner: 'a',
    onError: () => undefined,
    lives: { lifeMs: 1_000, renewMs: 100 },
  });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(runs).toBe(4);
  isOurs = false;
  await vi.advanceTimersByTimeAsync(1_000);
  const before = runs;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(runs).toBe(before);
  isOurs = true;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(runs).toBeGreaterThan(before + 2);
  await upkeep.stop();
  vi.useRealTimers();
});

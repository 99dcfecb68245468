// A short soak: three thousand mixed exchanges, after which the gate holds nothing of them but their rows. `npm run soak`
// does the same with a million and checks memory too.
import { expect, test } from 'vitest';
import { soak } from '../../bench/soak/soak.ts';

test('three thousand mixed exchanges leave nothing behind but their rows', async () => {
  const { faults, requests, sums, answers, keysRevoked, limitsCompared, descriptors } = await soak({
    requests: 3_000,
    seed: 7,
  });
  expect(faults).toEqual([]);
  expect(requests).toBeGreaterThanOrEqual(3_000);
  // The mix contains every way of ending.
  expect(Object.keys(sums.outcomes)).toEqual(
    expect.arrayContaining(['completed', 'refused', 'upstream_error', 'failed', 'client_closed', 'ended']),
  );
  expect(Object.keys(answers)).toEqual(
    expect.arrayContaining(['200 whole', '200 cut', '200 left', '401 whole', '400 whole', '429 whole', 'no head left']),
  );
  expect(sums.leftInQueue).toBeGreaterThan(0);
  expect(keysRevoked).toBeGreaterThan(0);
  expect(limitsCompared).toBeGreaterThan(30);
  expect([sums.exactPrompt, sums.exactCompletion]).toEqual([sums.servedPrompt, sums.servedCompletion]);
  expect(descriptors.after).toBeLessThanOrEqual(descriptors.before);
});

// Limits, sums and reports by the day begin again at midnight in UTC. A test that it interrupts would find half of what it counts, so one
// that may not be over by then begins afterwards.
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach } from 'vitest';

const dayMs = 86_400_000;
const mostMs = 60_000;

beforeEach(async () => {
  const leftMs = dayMs - (Date.now() % dayMs);
  if (leftMs < mostMs) await sleep(leftMs);
});

// Observers of ended calls may fail without affecting any call.
import { expect, test, vi } from 'vitest';
import { Ladder } from '../../src/gateway/limits/ladder.ts';
import { LiveStats } from '../../src/gateway/live-stats.ts';
import { startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post } from '../gate.ts';

test('a failing observer affects neither the answer, the ledger, the limits nor another observer', async () => {
  const fake = await startFakeOllama();
  const gate = await openGate(fake.url);
  const told = vi.spyOn(LiveStats.prototype, 'ended');
  const failing = vi.spyOn(Ladder.prototype, 'ended').mockImplementation(() => {
    throw new Error('a fault of its own');
  });
  const { secret } = await gate.member({ concurrentRequests: 1, waitingRequests: 0, requestsPerDay: 3 });
  const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
  for (const status of [200, 200, 200, 429]) {
    const answer = await post(`${gate.url}/api/chat`, secret, chat);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject(status === 200 ? { done: true } : { code: 'quota_exceeded' });
  }
  expect((await gate.ledger(4)).map(({ outcome }) => outcome).toSorted()).toEqual([
    'completed',
    'completed',
    'completed',
    'refused',
  ]);
  expect([failing.mock.calls.length, told.mock.calls.length]).toEqual([4, 4]);
  vi.restoreAllMocks();
  await gate.stop();
  await fake.close();
});

// Gateways of different versions on one Redis: those that write another layout wait until the others have ended, also if Redis is flushed.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readAddress } from '../../src/store/redis/address.ts';
import { RedisClient } from '../../src/store/redis/client.ts';
import { claimRedis } from '../../src/store/redis/installation.ts';
import { eventually } from '../gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const brief = { lifeMs: 1_000, renewMs: 100 };
/** One that starts gives those that run longer to claim it again than a busy machine holds them up. */
const patient = { lifeMs: 10_000, renewMs: 2_000 };

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One that starts: what it says, when it has started, and whether others share Redis with it. */
async function starting(url: string, layout: string, tenure: typeof patient) {
  // While Redis is slow for a gateway, it claims nothing; here the test's machine may be.
  const client = await RedisClient.open({ address: readAddress(url)!, now: Date.now, layout, answerMs: 60_000 });
  const said: string[] = [];
  const shared: boolean[] = [];
  const abandoned = new AbortController();
  let hasStarted = false;
  const settings = {
    client,
    name: 'acc_1',
    tenure,
    signal: abandoned.signal,
    tell: (sentence: string) => void said.push(sentence),
    onShared: (isShared: boolean) => void shared.push(isShared),
  };
  const claim = claimRedis(settings).then((close) => {
    hasStarted = true;
    return close;
  });
  const stop = async (): Promise<void> => {
    (await claim)();
    await client.close();
  };
  const of = (): Promise<unknown> => client.command('GET', '{gates}:of');
  return { claim, client, said, shared, of, stop, abandoned, hasStarted: () => hasStarted };
}

test('one that writes another layout starts when the last of those that run has ended', async () => {
  const url = redis.database();
  const older = [await starting(url, '1', brief), await starting(url, '1', brief)];
  for (const { claim } of older) await claim;
  const newer = await starting(url, '2', patient);
  await eventually(() => expect(newer.said).toEqual([expect.stringContaining('Gateways of another version run')]));
  const given = await starting(url, '2', patient);
  await eventually(() => expect(given.said).toHaveLength(1));
  given.abandoned.abort();
  await expect(given.claim).rejects.toThrow('aborted');
  await given.client.close();
  // Some of its looks find nothing.
  for (let flushes = 0; flushes < 8; flushes++) {
    await newer.client.command('DEL', '{gates}:of');
    await eventually(async () => expect(await newer.of()).toBe('acc_1 1'));
    await pause(3 * brief.renewMs);
  }
  await older[0]!.stop();
  // Longer than a claim lasts that nobody renews.
  await pause(brief.lifeMs + 3 * brief.renewMs);
  await eventually(async () => expect(await newer.of()).toBe('acc_1 1'));
  expect(newer.hasStarted()).toBe(false);
  await older[1]!.stop();
  await newer.claim;
  expect(await newer.of()).toBe('acc_1 2');
  expect([...older, newer].flatMap(({ shared }) => shared)).toEqual([]);
  await newer.stop();
});

test('one that finds Redis flushed at some of its looks goes on waiting for those that run', async () => {
  const url = redis.database();
  const older = await starting(url, '1', brief);
  await older.claim;
  const newer = await starting(url, '2', patient);
  const command = newer.client.command.bind(newer.client);
  let flushes = 0;
  let flushedAt = -Infinity;
  newer.client.command = async (...words) => {
    if (words[0] === 'GET' && performance.now() > flushedAt + 1.5 * patient.renewMs) {
      await command('DEL', '{gates}:of');
      flushedAt = performance.now();
      flushes++;
    }
    return command(...words);
  };
  await eventually(() => expect(flushes).toBe(3));
  expect(newer.hasStarted()).toBe(false);
  await older.stop();
  await newer.stop();
  expect(older.shared).toEqual([]);
});

// Several gateways follow the clock of Redis for limits and turns. Somebody sets it, or it was wrong and is set right.
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { type GateProcess, post, spawnGate } from '../gate.ts';
import { type PostgresServer, startPostgres } from '../postgres.ts';
import { sharingSecret } from '../quick-gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { startRedisClock } from '../redis-clock.ts';

let postgres: PostgresServer;
let redis: RedisServer;
let fake: FakeOllama;
beforeAll(async () => {
  [postgres, redis, fake] = await Promise.all([startPostgres(), startRedis(), startFakeOllama()]);
});
afterAll(() => Promise.all([postgres.stop(), redis.stop(), fake.close()]));

const hour = 3_600;
/** So that no day begins in between. */
const base = new Date().getHours() >= 22 ? -3 * hour : 0;
const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] };
const send = async (gate: GateProcess, secret: string): Promise<string> => {
  const answer = await post(`${gate.url}/api/chat`, secret, chat);
  const text = await answer.text();
  return answer.ok ? 'ok' : (JSON.parse(text) as { code: string }).code;
};

test.for([-hour, hour])(
  'a clock that goes %i seconds holds up no call, and limits go on as exactly',
  async (seconds, { onTestFinished }) => {
    const clock = await startRedisClock(redis.database());
    clock.set(base - Math.min(0, seconds));
    const place = { DATABASE_URL: await postgres.database(), REDIS_URL: clock.url, UPSTREAM: fake.url };
    const start = (): Promise<GateProcess> =>
      spawnGate({ ...place, ...sharingSecret() }, [process.execPath, 'test/quick-gate.ts']);
    const gates = [await start(), await start()] as const;
    onTestFinished(async () => {
      for (const gate of gates) gate.process.kill('SIGKILL');
      await Promise.all(gates.map(({ ended }) => ended));
      await clock.close();
    });
    const [first, second] = gates;
    const daily = await first.member({ requestsPerDay: 6 });
    const minutely = await first.member({ requestsPerMinute: 2 });
    for (const gate of gates)
      expect([await send(gate, daily.secret), await send(gate, minutely.secret)]).toEqual(['ok', 'ok']);
    const running = await post(`${first.url}/api/chat`, daily.secret, {
      ...chat,
      stream: true,
      options: { num_predict: 200 },
    });
    clock.set(base + Math.max(0, seconds));
    // The queue deals out turns.
    expect(await send(second, daily.secret)).toBe('ok');
    await running.text();
    // The day has all calls, also the one that ran meanwhile. What was used in another minute holds up nobody in this one.
    await first.ledger(6);
    for (const gate of [first, second]) expect(await send(gate, daily.secret)).toBe('ok');
    for (const gate of gates) expect(await send(gate, daily.secret)).toBe('quota_exceeded');
    expect(await send(second, minutely.secret)).toBe('ok');
  },
);

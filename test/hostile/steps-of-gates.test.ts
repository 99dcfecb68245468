// Several gates on one PostgreSQL and one Redis see the same breach at the same moment: one of them takes the step.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRule } from '../../src/management/rules/rules.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, type TestGate } from '../gate.ts';
import { type PostgresServer, startPostgres } from '../postgres.ts';
import { connectTo } from '../postgres-client.ts';
import { patient, sharingSecret } from '../quick-gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';

let postgres: PostgresServer;
let redis: RedisServer;
let fake: FakeOllama;
beforeAll(async () => {
  [postgres, redis, fake] = await Promise.all([startPostgres(), startRedis(), startFakeOllama()]);
});
afterAll(async () => {
  await fake.close();
  await redis.stop();
  await postgres.stop();
});

test.each([2, 4])('%i gates that take the same step at the same moment take it once', async (count) => {
  const DATABASE_URL = await postgres.database();
  const environment = { DATABASE_URL, REDIS_URL: redis.database(), SLOTS: '100' };
  const gates: TestGate[] = [];
  for (let i = 0; i < count; i++) gates.push(await openGate(fake.url, { ...environment, ...sharingSecret() }, patient));
  const [first] = gates as [TestGate];
  const member = await first.member({});
  const plans = member.account.name;
  const rule = { measure: 'requests', per: 'account', windowSeconds: 3_600, threshold: 3, step: 'suspend' };
  await first.manage((store, by) => createRule(store, 'at-once', { ...rule, durationSeconds: 3_600, plans }, by));
  for (const gate of gates)
    await eventually(() => expect(gate.log().split('"the rules in force"').at(-2)).toContain('at-once'));

  // Nobody can store a step until every gate wants to.
  const holder = await connectTo(DATABASE_URL);
  await holder.query('begin');
  await holder.query('lock table suspensions in exclusive mode');
  const body = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
  const calls = gates.flatMap(({ url }) => [1, 2, 3].map(() => post(`${url}/api/chat`, member.secret, body)));
  for (const answer of await Promise.all(calls)) expect(answer.status).toBe(200);
  const watcher = await connectTo(DATABASE_URL);
  const waiting = async (): Promise<number> => {
    const { rows } = await watcher.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
    return rows[0]!.n;
  };
  await eventually(async () => expect(await waiting()).toBe(count));
  await holder.query('commit');
  await holder.end();
  for (const gate of gates)
    await eventually(async () => {
      const answer = await post(`${gate.url}/api/chat`, member.secret, body);
      expect(await answer.text()).toContain('"code":"suspended"');
    });
  await eventually(async () => expect(await waiting()).toBe(0));
  // A gate that stops has finished what it decided.
  await Promise.all(gates.map((gate) => gate.stop()));
  const { rows } = await watcher.query('select rule from suspensions where account_id = $1', [member.account.id]);
  expect(rows).toEqual([{ rule: 'at-once' }]);
  const events = await watcher.query(`select action from audit_events where action like 'suspension.%'`);
  expect(events.rows).toHaveLength(1);
  await watcher.end();
});

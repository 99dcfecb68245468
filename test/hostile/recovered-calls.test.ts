// Calls that reach the ledger late, from the journal of a gateway that was killed, count in limits that Redis has made again meanwhile
// without them.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { begunAnswer, eventually, type GateProcess, post, sekisho, spawnGate, temporaryDirectory } from '../gate.ts';
import { holdStream } from '../held-stream.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';
import { connectTo } from '../postgres-client.ts';
import { givenUpSoon, sharingSecret } from '../quick-gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';

let postgres: PostgresServer;
let redis: RedisServer;
let ollama: FakeOllama;
beforeAll(async () => {
  [postgres, redis, ollama] = await Promise.all([startPostgres(), startRedis(), startFakeOllama()]);
});
afterAll(() => Promise.all([postgres.stop(), redis.stop(), ollama.close()]));

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] };
const calls = 3;

async function usedAt(gate: GateProcess, secret: string): Promise<number | undefined> {
  const answer = await fetch(`${gate.url}/management/v1/me/limits`, { headers: { 'x-api-key': secret } });
  const { items } = (await answer.json()) as {
    items: { per: string; measure: string; window: string; used: number }[];
  };
  return items.find(({ per, measure, window }) => `${per} ${measure} ${window}` === 'account requests day')?.used;
}

test.each(['its next start', 'the command that adopts its journal'])('after %s', async (by) => {
  const DATABASE_URL = await postgres.database();
  const REDIS_URL = redis.database();
  const open = (data: { readonly DATA_DIR: string }): Promise<GateProcess> =>
    spawnGate({ DATABASE_URL, REDIS_URL, UPSTREAM: ollama.url, ...givenUpSoon, ...data }, [
      process.execPath,
      'test/quick-gate.ts',
    ]);
  const data = sharingSecret();
  const [killed, other] = await Promise.all([open(data), open(sharingSecret())]);
  const { secret } = await killed.member({ requestsPerDay: 100 });
  const send = async (gate: GateProcess): Promise<void> => {
    const answer = await post(`${gate.url}/api/chat`, secret, chat);
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('"done":true')]);
  };

  // The ledger cannot be written meanwhile.
  const lock = await connectTo(DATABASE_URL);
  await lock.query('begin; lock table usage in exclusive mode');
  const release = holdStream(ollama);
  const begun = await begunAnswer(await post(`${killed.url}/api/chat`, secret, chat));
  for (let i = 1; i < calls; i++) await send(killed);
  killed.process.kill('SIGKILL');
  await killed.ended;
  expect((await begun.rest).clean).toBe(false);
  release();
  await lock.query('rollback');
  await lock.end();
  await redis.ask('FLUSHALL');
  await send(other);
  expect(await usedAt(other, secret)).toBe(1);

  const again = by === 'its next start' ? await open(data) : undefined;
  if (!again) {
    const adopted = await eventually(async () => {
      const done = await sekisho(['journal', 'adopt', data.DATA_DIR, '--json'], {
        DATABASE_URL,
        DATA_DIR: temporaryDirectory(),
      });
      expect([done.code, done.err]).toEqual([0, '']);
      return JSON.parse(done.out) as unknown;
    });
    expect(adopted).toMatchObject({ added: calls });
  }
  const gates = again ? [other, again] : [other];
  await eventually(async () => {
    expect(await asking(DATABASE_URL, "select count(*)::int as rows from usage where outcome <> 'refused'")).toEqual([
      { rows: 1 + calls },
    ]);
    for (const gate of gates) expect(await usedAt(gate, secret)).toBe(1 + calls);
  });
  // The counts of later calls are added to these.
  await send(other);
  for (const gate of gates) expect(await usedAt(gate, secret)).toBe(2 + calls);
  for (const gate of gates) {
    gate.process.kill('SIGTERM');
    await gate.ended;
  }
});

// Callers who hang up while the gateway still looks their key up.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, RawClient, spawnGate } from '../gate.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';
import { connectTo } from '../postgres-client.ts';

let postgres: PostgresServer;
let ollama: FakeOllama;
beforeAll(async () => {
  [postgres, ollama] = await Promise.all([startPostgres(), startFakeOllama()]);
});
afterAll(() => Promise.all([postgres.stop(), ollama.close()]));

const body = JSON.stringify({ model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] });
const waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%keys%'";

test.each([
  ['whole', body],
  ['half', body.slice(0, 20)],
])('their call is over and recorded, with the %s body sent', async (_, sent) => {
  const DATABASE_URL = await postgres.database();
  const gate = await spawnGate({ DATABASE_URL, UPSTREAM: ollama.url });
  const { secret } = await gate.key();
  const lock = await connectTo(DATABASE_URL);
  await lock.query('begin; lock table keys in access exclusive mode');
  const client = new RawClient(Number(new URL(gate.url).port));
  client.write(
    `POST /api/chat HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: ${secret}\r\nContent-Length: ${body.length}\r\n\r\n${sent}`,
  );
  await eventually(async () => expect((await asking(DATABASE_URL, waiting)).length).toBeGreaterThan(0));
  client.socket.end();
  await client.closed;
  await lock.query('rollback');
  await lock.end();
  await eventually(async () =>
    expect(await asking(DATABASE_URL, 'select outcome from usage')).toEqual([{ outcome: 'client_closed' }]),
  );
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
});

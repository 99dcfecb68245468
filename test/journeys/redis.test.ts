// Gates with REDIS_URL: their limits count together, and callers of every dialect are told when limits cannot be checked.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateKey } from '../../src/domain/api-key.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, type TestGate, temporaryDirectory } from '../gate.ts';
import { startPostgres } from '../postgres.ts';
import { patient, quickBeats, sharingSecret } from '../quick-gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { documentedRoute } from '../services/documented-route.ts';

let redis: RedisServer;
let ollama: FakeOllama;
beforeAll(async () => {
  [redis, ollama] = await Promise.all([startRedis(), startFakeOllama()]);
});
afterAll(async () => {
  await ollama.close();
  await redis.stop();
});

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] };
const anthropic = { ...chat, max_tokens: 5 };

test('a gate counts in Redis, refuses long limits in every dialect while it is gone, and goes on by itself with every call counted', async () => {
  const gate = await openGate(ollama.url, { REDIS_URL: redis.database() }, patient);
  const daily = await gate.member({ requestsPerDay: 5 });
  const free = await gate.key();
  const paths: readonly (readonly [string, unknown])[] = [
    ['/api/chat', chat],
    ['/v1/chat/completions', chat],
    ['/v1/messages', anthropic],
  ];
  for (const [path, body] of paths) expect((await post(`${gate.url}${path}`, daily.secret, body)).status).toBe(200);
  await gate.ledger(3);
  await redis.kill();
  for (const [path, body] of paths) {
    const refused = await post(`${gate.url}${path}`, daily.secret, body);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, expect.stringMatching(/^\d+$/)]);
    expect(await refused.text()).toContain('Limits cannot be checked right now.');
  }
  expect((await post(`${gate.url}/api/chat`, free.secret, chat)).status).toBe(200);
  await redis.start();
  await eventually(async () => expect((await post(`${gate.url}/api/chat`, daily.secret, chat)).status).toBe(200));
  expect((await post(`${gate.url}/api/chat`, daily.secret, chat)).status).toBe(200);
  const sixth = await post(`${gate.url}/api/chat`, daily.secret, chat);
  expect([sixth.status, await sixth.json()]).toMatchObject([429, { code: 'quota_exceeded' }]);
  expect(gate.log()).toContain('Redis cannot be used');
  // Leases leave Redis when the ledger has their rows.
  const leases = `{${daily.account.id}}:ld`;
  await eventually(async () => expect(await redis.ask('EXISTS', `sk1:${leases}`)).toBe(':0\r\n'));
  await gate.stop();
});

test('wrong keys count together through two gates, while known keys go on; without Redis they still count, and no ticket is given', async () => {
  const origin = 'https://app.example.com';
  const ROUTES = join(temporaryDirectory(), 'routes.jsonc');
  writeFileSync(
    ROUTES,
    JSON.stringify([documentedRoute('comfy', { upstreams: [ollama.url], websocket: { origins: [origin] } })]),
  );
  const settings = { REDIS_URL: redis.database(), AUTH_FAILURES_PER_MINUTE: '4', ROUTES };
  const postgres = await startPostgres();
  const DATABASE_URL = await postgres.database();
  const open = (): Promise<TestGate> =>
    openGate(ollama.url, { ...settings, DATABASE_URL, ...sharingSecret() }, patient);
  const [here, there] = await Promise.all([open(), open()]);
  const { secret } = await here.key({ scopes: ['metadata', 'route:comfy'] });
  const ask = async (gate: typeof here, key: string): Promise<number> =>
    (await fetch(`${gate.url}/v1/models`, { headers: { 'x-api-key': key } })).status;
  const guess = (gate: typeof here): Promise<number> => ask(gate, generateKey().text.reveal());
  const askTicket = (): Promise<Response> =>
    fetch(`${here.url}/comfy/sekisho-ticket`, { method: 'POST', headers: { 'x-api-key': secret, origin } });
  expect(await ask(here, secret)).toBe(200);
  const guesses: number[] = [];
  for (let i = 0; i < 6; i++) guesses.push(await guess(i % 2 === 0 ? here : there));
  expect(guesses).toEqual([401, 401, 401, 401, 429, 429]);
  const { secret: unseen } = await there.key();
  expect([await ask(here, secret), await ask(there, unseen)]).toEqual([200, 429]);
  expect((await askTicket()).status).toBe(200);
  await redis.kill();
  const refused = await askTicket();
  expect([refused.status, await refused.json()]).toMatchObject([
    503,
    { error: { code: 'identity_unavailable', message: 'Tickets cannot be given right now.' } },
  ]);
  expect([await ask(here, secret), await guess(here)]).toEqual([200, 429]);
  await redis.start();
  await eventually(async () => expect((await askTicket()).status).toBe(200));
  await Promise.all([here.stop(), there.stop()]);
  await postgres.stop();
});

test('a Redis of another installation is refused, and free once that has ended', async () => {
  const REDIS_URL = redis.database();
  const open = (lifeMs: number): Promise<TestGate> =>
    openGate(ollama.url, { REDIS_URL }, { ...patient, beats: { ...quickBeats, lifeMs } });
  const here = await open(5_000);
  await expect(open(1_000)).rejects.toThrow('Another installation uses this database of Redis');
  // After a flush another one can come first; the gateway that meets it says so.
  const [number] = /\d+$/.exec(REDIS_URL) ?? [''];
  await redis.ask('EVAL', `redis.call('SELECT', ${number}) redis.call('SET', 'sk1:{gates}:of', 'acc_else')`, '0');
  await eventually(() => expect(here.log()).toContain('another installation or version uses this Redis'));
  await redis.ask('EVAL', `redis.call('SELECT', ${number}) redis.call('FLUSHDB')`, '0');
  await eventually(() => expect(here.log()).toContain('over: another installation or version used this Redis'));
  await here.stop();
  await (await open(5_000)).stop();
});

test('an address that is none, a server that evicts, and a password that is wrong are refused with a sentence', async () => {
  await expect(openGate(ollama.url, { REDIS_URL: 'redis://a,b' })).rejects.toThrow(
    'REDIS_URL is not an address of Redis',
  );
  const address = `redis://u:${'word'.repeat(3)}@127.0.0.1:${redis.port}`;
  const error = await openGate(ollama.url, { REDIS_URL: address }).catch((each: unknown) => each);
  expect(String(error)).toContain('the user name or password in REDIS_URL is not accepted');
  expect(String(error)).not.toContain('wordword');
});

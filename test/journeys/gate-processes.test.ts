// Four gates as processes of their own on one PostgreSQL and one Redis, one of them on a machine whose clock is an hour slow: together
// they let through what one would, also when one of them is frozen or killed, and nothing that is guessed or replayed works twice.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKey } from '../../src/management/keys/keys.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { begunAnswer, eventually, type GateProcess, post, spawnGate, temporaryDirectory } from '../gate.ts';
import { holdStream } from '../held-stream.ts';
import { type PostgresServer, startPostgres } from '../postgres.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { startComfyUi } from '../services/comfyui.ts';
import { documentedRoute } from '../services/documented-route.ts';
import { SocketClient } from '../services/socket-client.ts';
import type { RunningService } from '../services/web-socket-server.ts';
import { operatorOf, Visitor } from '../visitor.ts';

const hourMs = 3_600_000;
const origin = 'https://app.example.com';
const waits = { waitingRequests: 100 };
let postgres: PostgresServer;
let redis: RedisServer;
let fake: FakeOllama;
let comfy: RunningService;
let environment: Record<string, string>;
let gates: [GateProcess, GateProcess, GateProcess, GateProcess];

beforeAll(async () => {
  [postgres, redis, fake, comfy] = await Promise.all([
    startPostgres(),
    startRedis(),
    startFakeOllama(),
    startComfyUi(),
  ]);
  const ROUTES = join(temporaryDirectory(), 'routes.jsonc');
  const route = documentedRoute('comfy', { upstreams: [comfy.url], websocket: { origins: [origin] } });
  writeFileSync(ROUTES, JSON.stringify([route]));
  const [DATABASE_URL, REDIS_URL] = [await postgres.database(), redis.database()];
  environment = { DATABASE_URL, REDIS_URL, UPSTREAM: fake.url, ROUTES, SLOTS: '2' };
  const first = await start();
  gates = [first, ...(await Promise.all([start(), start(), start({}, slowClock)]))];
});
afterAll(async () => {
  for (const gate of gates) gate.process.kill('SIGKILL');
  await Promise.all(gates.map(({ ended }) => ended));
  await Promise.all([postgres.stop(), redis.stop(), fake.close(), comfy.close()]);
});

const slowClock = ['--import', `data:text/javascript,const { now } = Date; Date.now = () => now() - ${hourMs}`];

function start(changed: Record<string, string> = {}, words: readonly string[] = []): Promise<GateProcess> {
  const DATA_DIR = changed['DATA_DIR'] ?? temporaryDirectory();
  writeFileSync(join(DATA_DIR, 'cookie.secret'), 'the-secret-of-all-gates-of-this-database', { mode: 0o600 });
  return spawnGate({ ...environment, ...changed, DATA_DIR }, [process.execPath, ...words, 'test/quick-gate.ts']);
}

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }], options: { num_predict: 40 } };
const send = (gate: GateProcess, secret: string): Promise<Response> => post(`${gate.url}/api/chat`, secret, chat);
/** On a busy machine Redis may not answer in time: the call counts nowhere and is sent again, as its caller is told. */
async function codeOf(gate: GateProcess, secret: string): Promise<string> {
  const answer = await send(gate, secret);
  const text = await answer.text();
  if (answer.status === 503) return codeOf(gate, secret);
  return answer.status === 200 ? 'ok' : ((JSON.parse(text) as { code: string }).code ?? text);
}
const storm = (count: number, ask: (gate: GateProcess, at: number) => Promise<string>): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => ask(gates[at % gates.length]!, at)));
const okOf = (codes: readonly string[]): number => codes.filter((code) => code === 'ok').length;
const rowsOf = async (accountId: string, most: number): Promise<Awaited<ReturnType<GateProcess['ledger']>>> =>
  eventually(async () => {
    const rows = await gates[0].ledger(0);
    const own = rows.filter((row) => row.accountId === accountId && row.outcome !== 'refused');
    expect(own.length).toBeGreaterThanOrEqual(most);
    return own;
  });

test('limits of account and key by calls, tokens and concurrency let through what one gate would, whatever the clock of a gate', async () => {
  const member = await gates[0].member({ ...waits, requestsPerHour: 38, requestsPerDay: 38, concurrentRequests: 1 });
  const narrow = await gates[1].manage(async (store, by) => {
    const asked = { name: 'narrow', account: member.account.name, limits: { requestsPerDay: 10 } };
    return (await createKey(store, asked, by)).secret!.reveal();
  });
  let running = 0;
  let most = 0;
  for (let i = 0; i < 38; i++)
    fake.next(async (request, answer) => {
      most = Math.max(most, ++running);
      await request.body;
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      running--;
      await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":3,"eval_count":2}\n');
      answer.end();
    });
  const codes = await storm(80, (gate, at) => codeOf(gate, at % 8 < 4 ? narrow : member.secret));
  expect(okOf(codes)).toBe(38);
  expect(okOf(codes.filter((_, at) => at % 8 < 4))).toBeLessThanOrEqual(10);
  expect(most).toBe(1);
  const rows = await rowsOf(member.account.id, 38);
  expect(rows).toHaveLength(38);
  for (const { at } of rows) expect(Math.abs(at - Date.now())).toBeLessThan(hourMs / 4);

  const tokens = await gates[2].member({ tokensPerDay: 600 });
  const spent = await storm(60, (gate) => codeOf(gate, tokens.secret));
  const used = (await rowsOf(tokens.account.id, okOf(spent))).reduce(
    (sum, { promptTokens, completionTokens }) => sum + promptTokens + completionTokens,
    0,
  );
  expect(okOf(spent)).toBeGreaterThan(1);
  expect(used).toBeLessThanOrEqual(600);

  const minutely = await gates[3].member({ requestsPerMinute: 12 });
  const inMinute = await storm(40, (gate) => codeOf(gate, minutely.secret));
  expect(okOf(inMinute)).toBeGreaterThanOrEqual(12);
  const minutes = Map.groupBy(await rowsOf(minutely.account.id, okOf(inMinute)), ({ at }) => Math.floor(at / 60_000));
  for (const rowsOfMinute of minutes.values()) expect(rowsOfMinute.length).toBeLessThanOrEqual(12);
});

test('gates that open one cold account at once count its past once', async () => {
  const member = await gates[0].member({ requestsPerDay: 10 });
  expect(okOf(await storm(3, (gate) => codeOf(gate, member.secret)))).toBe(3);
  await rowsOf(member.account.id, 3);
  await redis.ask('FLUSHALL');
  expect(okOf(await storm(40, (gate) => codeOf(gate, member.secret)))).toBe(7);
});

test('a gate that is frozen for longer than its turns last, and goes on, makes nobody exceed a limit or lose a call', async () => {
  const frozen = gates[1];
  const member = await gates[0].member({ requestsPerDay: 20 });
  const releases = [holdStream(fake), holdStream(fake)];
  const streams = [
    await begunAnswer(await send(frozen, member.secret)),
    await begunAnswer(await send(frozen, member.secret)),
  ];
  const served = codeOf(gates[0], member.secret);
  frozen.process.kill('SIGSTOP');
  expect(await served).toBe('ok');
  frozen.process.kill('SIGCONT');
  for (const release of releases) release();
  for (const stream of streams)
    expect(JSON.parse((await stream.rest).text.trim().split('\n').at(-1)!)).toMatchObject({ done: true });
  expect(okOf(await storm(60, (gate) => codeOf(gate, member.secret)))).toBe(17);
  expect(await rowsOf(member.account.id, 20)).toHaveLength(20);
});

test('a gate that is killed gives its turns back, and what its calls used is counted once when it starts again', async () => {
  const killed = gates[2];
  const member = await gates[0].member({ ...waits, requestsPerDay: 20, concurrentRequests: 4 });
  const releases = [holdStream(fake), holdStream(fake)];
  const streams = [
    await begunAnswer(await send(killed, member.secret)),
    await begunAnswer(await send(killed, member.secret)),
  ];
  killed.process.kill('SIGKILL');
  await Promise.all(streams.map(({ rest }) => rest));
  for (const release of releases) release();
  expect(await codeOf(gates[0], member.secret)).toBe('ok');
  gates[2] = await start({ DATA_DIR: killed.dataDir });
  expect(okOf(await storm(60, (gate) => codeOf(gate, member.secret)))).toBe(17);
  expect(await rowsOf(member.account.id, 20)).toHaveLength(20);
});

test('a signed call, a ticket and a password that is guessed have one chance over all gates', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const point = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url');
  const base64 = Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), point]).toString(
    'base64',
  );
  await gates[0].key({ publicKey: `ssh-ed25519 ${base64} me@laptop` });
  const at = `/api/generate?ts=${Math.floor(Date.now() / 1000)}`;
  const authorization = `${base64}:${signature(`POST,${at}`, privateKey)}`;
  const body = JSON.stringify({ model: 'gemma3:270m', prompt: 'once', stream: false });
  const replay = (gate: GateProcess): Promise<number> =>
    fetch(gate.url + at, { method: 'POST', headers: { authorization }, body }).then(({ status }) => status);
  // The fourth gate would find the time of the signature an hour off.
  expect([await replay(gates[0]), await replay(gates[1]), await replay(gates[2])]).toEqual([200, 401, 401]);

  const { secret } = await gates[0].key({ scopes: ['route:comfy'] });
  const headers = { 'x-api-key': secret, origin };
  const given = await fetch(`${gates[0].url}/comfy/sekisho-ticket`, { method: 'POST', headers });
  const { protocols } = (await given.json()) as { protocols: string[] };
  const sockets = gates.map((gate) => new SocketClient(`${gate.url}/comfy/ws?clientId=a`, { origin }, protocols));
  const opened = await Promise.allSettled(sockets.map((socket) => socket.opened));
  expect(opened.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const { socket } of sockets) socket.close();

  await operatorOf(gates[0]);
  const guess = async (gate: GateProcess): Promise<number> => {
    const asked = { email: 'somebody@example.org', password: 'wrong wrong wrong' };
    return (await new Visitor(gate.url).auth('/sign-in/email', asked)).status;
  };
  const guesses: number[] = [];
  const begunMs = performance.now();
  do guesses.push(await guess(gates[guesses.length % 3]!));
  while (guesses.at(-1) === 401);
  const seconds = (performance.now() - begunMs) / 1_000;
  expect(guesses.slice(0, 5)).toEqual([401, 401, 401, 401, 401]);
  expect(guesses.at(-1)).toBe(429);
  // Then one after each wait that was over meanwhile: one second, two, four, and so on.
  expect(guesses.length - 6).toBeLessThanOrEqual(Math.log2(1 + seconds));
});

const signature = (text: string, key: KeyObject): string => sign(null, Buffer.from(text), key).toString('base64');

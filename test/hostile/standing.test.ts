// Rights that end between the arrival of a call and its start.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeKey, revokeKey } from '../../src/management/keys/keys.ts';
import { changePlan } from '../../src/management/plans/plans.ts';
import { suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { SLOTS: '1', MODEL_SLOTS: 'llama3=100' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const ask = (who: string, extra: object = {}): object => ({
  model: 'gemma3:270m',
  messages: [{ role: 'user', content: who }],
  stream: false,
  options: { num_predict: 10 },
  ...extra,
});

const stall: Script = async (request) => {
  await request.aborted;
};

/** The gate has a head and half a body; returns the function that sends the rest. */
async function halfSent(secret: string): Promise<{ client: RawClient; rest: () => void }> {
  const body = JSON.stringify(ask('half'));
  const client = new RawClient(gate.port);
  client.write(
    `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  await client.until('100 Continue');
  return { client, rest: () => client.write(body) };
}

/** The change has reached the running gate: a new call with the same key is refused. */
const refused = (secret: string): Promise<void> =>
  eventually(async () => {
    const answer = await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } });
    expect([401, 403]).toContain(answer.status);
  });

type Member = Awaited<ReturnType<TestGate['member']>>;
test.each<[string, number, (member: Member) => Promise<unknown>]>([
  [
    'an account suspended while a body arrives does not reach the model server with it',
    403,
    ({ account }) =>
      gate.manage((store, by) =>
        suspend(store, { whom: account.id, step: 'suspend', reason: 'a test.', endsAt: by.at + 60_000 }, by),
      ),
  ],
  [
    'a key revoked while a body arrives opens nothing with it',
    401,
    ({ id }) => gate.manage((store, by) => revokeKey(store, id, by)),
  ],
  [
    'a scope removed while a body arrives opens nothing with it',
    403,
    ({ account }) =>
      gate.manage((store, by) => changePlan(store, account.plan as string, { scopes: ['inference:embed'] }, by)),
  ],
  [
    'a key that expires while a body arrives opens nothing with it',
    401,
    ({ id }) => gate.manage((store, by) => changeKey(store, id, { expiresAt: by.at + 500 }, by)),
  ],
])('%s', async (_, status, change) => {
  const member = await gate.member({});
  const { client, rest } = await halfSent(member.secret);
  await change(member);
  await refused(member.secret);
  const before = fake.calls.length;
  rest();
  await client.until(/HTTP\/1\.1 (?!100)\d{3}/);
  client.socket.destroy();
  expect(client.text).toContain(`HTTP/1.1 ${status}`);
  // The gate may still ask the server what it is.
  expect(fake.calls.slice(before).filter(({ url }) => url === '/api/chat')).toEqual([]);
});

test('a call that gets its turn because of its account’s suspension is stopped too', async () => {
  const { secret, account } = await gate.member({});
  const others = await gate.member({});
  for (let i = 0; i < 9; i++) fake.next(stall);
  const stop = new AbortController();
  const arrivals = fake.calls.length;
  const calls: Promise<unknown>[] = [];
  const send = (key: string, body: object): Promise<Response | undefined> => {
    const call = fetch(`${gate.url}/api/chat`, {
      method: 'POST',
      headers: { 'x-api-key': key },
      body: JSON.stringify(body),
      signal: stop.signal,
    }).catch(() => undefined);
    calls.push(call);
    return call;
  };
  const first = send(secret, ask('first'));
  await eventually(() => expect(fake.calls.length).toBe(arrivals + 1));
  for (let i = 0; i < 8; i++) void send(others.secret, ask('other', { model: 'llama3' }));
  await eventually(() => expect(fake.calls.length).toBe(arrivals + 9));
  fake.next(stall);
  const waiting = send(secret, ask('waiting'));
  await eventually(() => expect(gate.waiting()).toBe(1));
  await gate.manage((store, by) =>
    suspend(store, { whom: account.id, step: 'suspend', reason: 'a test.', endsAt: by.at + 60_000 }, by),
  );
  try {
    expect((await first)?.status).toBe(403);
    expect((await waiting)?.status).toBe(403);
    expect(fake.calls.length).toBe(arrivals + 9);
  } finally {
    stop.abort();
    await Promise.all(calls);
  }
});

test('a stream of a revoked key ends even when the rules cannot be read from that moment on', async () => {
  const own = await openGate(fake.url, { DATABASE_URL: '' });
  const { secret, id } = await own.key();
  fake.next(stall);
  const arrivals = fake.calls.length;
  const answer = fetch(`${own.url}/api/chat`, {
    method: 'POST',
    headers: { 'x-api-key': secret },
    body: JSON.stringify(ask('revoked')),
  });
  await eventually(() => expect(fake.calls.length).toBe(arrivals + 1));
  const other = new Database(join(own.dataDir, 'sekisho.db'));
  const rules = other.prepare('select definition from rules').pluck().all();
  other.transaction(() => {
    other.exec(`update rules set definition = '{'`);
    other.prepare(`update keys set status = 'revoked', revoked_at = 1 where id = ?`).run(id);
  })();
  expect((await answer).status).toBe(401);
  await eventually(() => expect(own.log()).toContain('the rules could not be read'));
  // Rules that become readable again take effect by themselves.
  expect(rules.length).toBeGreaterThan(0);
  other.prepare('update rules set definition = ?').run(rules[0]);
  await eventually(() => expect(own.log()).toContain('over: the rules could not be read'));
  other.close();
  await own.stop();
});

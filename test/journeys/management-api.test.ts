// The management API on a running gate: every row answers in its shape, refuses with a problem, and gives no key more than
// its scopes allow.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { generateKey } from '../../src/domain/api-key.ts';
import { endpoints } from '../../src/management/endpoints.ts';
import { overviewSchema } from '../../src/management/overview/schemas.ts';
import { answered, checkAgainstSchema } from '../api-schemas.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, type TestGate, withinASecond } from '../gate.ts';
import { codeOf, goodPassword, memberOf, operatorOf, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let boss: string;
let auditor: string;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '1000', STATUS_PAGE: 'on' });
  ({ secret: boss } = await gate.key({ scopes: ['management'] }));
  ({ secret: auditor } = await gate.key({ scopes: ['management:read'] }));
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- the schema is checked by api-schemas
  readonly body: any;
}

async function call(method: string, path: string, options: Options = {}): Promise<Answer> {
  const { secret = boss, body, headers = {} } = options;
  const response = await fetch(`${gate.url}/management/v1${path}`, {
    method,
    headers: {
      ...(secret === '' ? {} : { authorization: `Bearer ${secret}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const parsed = checkAgainstSchema(method, path, response, text);
  return { status: response.status, headers: response.headers, body: parsed };
}

interface Options {
  readonly secret?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

const made = async (path: string, body: unknown): Promise<Answer['body']> => {
  const { status, body: thing } = await call('POST', path, { body });
  expect(status).toBe(201);
  return thing;
};

describe('an operator', () => {
  test('makes an account and keys, narrows, rotates and revokes them, and the data plane follows within a second', async () => {
    const account = await made('/accounts', { name: 'alice' });
    expect(account).toMatchObject({ name: 'alice', plan: 'default', keys: 0, inForce: [] });
    const key = await made('/keys', { name: 'laptop', account: 'alice', limits: { requestsPerDay: 3 } });
    const version = (secret: string): Promise<Response> =>
      fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } });
    expect((await version(key.secret)).status).toBe(200);
    expect((await call('GET', `/keys/${key.id}`)).body).toEqual({ ...key, secret: undefined, lastUsedAt: null });
    const fresh = await made(`/keys/${key.id}/rotate`, { graceSeconds: 60 });
    expect([(await version(key.secret)).status, (await version(fresh.secret)).status]).toEqual([200, 200]);
    expect((await version(fresh.secret)).status).toBe(429);
    await call('POST', `/keys/${fresh.id}/revoke`);
    await withinASecond(async () => expect((await version(fresh.secret)).status).toBe(401));
    expect((await call('GET', '/keys?account=alice')).body.items).toHaveLength(2);
    expect((await call('GET', `/accounts/${account.id}`)).body.keys).toBe(1);
    expect((await call('PATCH', '/accounts/alice', { body: { plan: 'trusted' } })).body.plan).toBe('trusted');
  });

  test('creates, changes and deletes plans, with or without the version seen before', async () => {
    const plan = await made('/plans', { name: 'night', like: 'default', tokensPerDay: 5 });
    expect(plan).toMatchObject({ version: 1, tokensPerDay: 5, requestsPerMinute: 120 });
    const seen = (await call('GET', '/plans/night')).headers.get('etag')!;
    const change = (tokensPerDay: number): Promise<Answer> =>
      call('PATCH', '/plans/night', { body: { tokensPerDay }, headers: { 'if-match': seen } });
    expect((await change(6)).body).toMatchObject({ version: 2, tokensPerDay: 6 });
    expect((await change(7)).status).toBe(412);
    expect((await call('GET', '/plans')).body.items.map((each: { name: string }) => each.name)).toContain('night');
    expect((await call('DELETE', '/plans/night')).status).toBe(204);
    expect((await call('GET', '/plans/night')).status).toBe(404);
    expect((await call('DELETE', '/plans/default')).status).toBe(400);
  });

  test('sets rules, takes steps, lifts them and answers appeals', async () => {
    const fields = {
      measure: 'tokens',
      per: 'account',
      windowSeconds: 60,
      threshold: 9,
      step: 'slow',
      durationSeconds: 9,
    };
    expect(await made('/rules', { name: 'mine', ...fields })).toMatchObject({
      plans: null,
      shadow: false,
      enabled: true,
    });
    expect((await call('PATCH', '/rules/mine', { body: { shadow: true } })).body.shadow).toBe(true);
    expect((await call('GET', '/rules')).body.items.length).toBeGreaterThan(5);
    expect((await call('DELETE', '/rules/mine')).status).toBe(204);

    const { account, secret } = await gate.member({});
    const { secret: stranger } = await gate.member({});
    const step = await made('/suspensions', { whom: account.id, step: 'review', reason: '夜の間だけ' });
    await eventually(async () =>
      expect((await post(`${gate.url}/api/chat`, secret, { model: 'gemma3:270m', messages: [] })).status).toBe(403),
    );
    const text = { body: { text: 'すみません' } };
    expect((await call('POST', `/suspensions/${step.id}/appeal`, { ...text, secret: stranger })).status).toBe(404);
    expect((await call('POST', `/suspensions/${step.id}/appeal`, { ...text, secret })).body.appeal).toBe('すみません');
    expect((await call('POST', `/suspensions/${step.id}/appeal`, { ...text, secret })).status).toBe(409);
    const answer = { body: { text: 'よし', lift: true } };
    expect((await call('POST', `/suspensions/${step.id}/answer`, answer)).body.liftedBy).toMatch(/^key:key_/);
    expect((await call('POST', `/suspensions/${step.id}/lift`)).status).toBe(409);
    const other = await made('/suspensions', { whom: account.id, step: 'warn', reason: 'x', endsAt: null });
    expect((await call('POST', `/suspensions/${other.id}/lift`)).status).toBe(200);
    expect((await call('GET', `/suspensions?account=${account.id}`)).body.items).toHaveLength(2);
    expect((await call('GET', `/suspensions/${other.id}`)).body.id).toBe(other.id);
  });

  test('a model server is added, read by id and by name, changed and removed', async () => {
    const { id } = await made('/servers', { name: 'mine', address: 'http://127.0.0.1:1', slots: { '*': 2 } });
    for (const named of [id, 'mine'])
      expect((await call('GET', `/servers/${named}`)).body).toMatchObject({ id, slots: { '*': 2 }, plans: null });
    expect((await call('PATCH', `/servers/${id}`, { body: { weight: 2 } })).body).toMatchObject({
      weight: 2,
      version: 2,
    });
    expect((await call('GET', '/servers')).body.items).toMatchObject([{ id: null, fixed: true }, { id }]);
    expect((await call('DELETE', `/servers/${id}`)).status).toBe(204);
    expect((await call('GET', `/servers/${id}`)).status).toBe(404);
  });

  test('a model name is added, read by id and in any spelling, changed and removed', async () => {
    const { id } = await made('/model-names', { name: 'Org/Default', target: 'gemma3:270m' });
    for (const named of [id, 'org%2Fdefault:latest'])
      expect((await call('GET', `/model-names/${named}`)).body).toMatchObject({ id, plans: {}, fallbacks: [] });
    const change = { body: { fallbacks: ['llama3'], plans: { default: 'llama3' } } };
    expect((await call('PATCH', `/model-names/${id}`, change)).body).toMatchObject({
      target: 'gemma3:270m',
      version: 2,
    });
    expect((await call('GET', '/model-names')).body.items).toMatchObject([{ id, fallbacks: ['llama3'] }]);
    expect((await call('DELETE', `/model-names/${id}`)).status).toBe(204);
    expect((await call('GET', `/model-names/${id}`)).status).toBe(404);
  });

  test('a published service is added, read by id and name, changed and removed', async () => {
    const { id } = await made('/routes', { name: 'notes', path: '/notes', upstreams: ['http://127.0.0.1:1'] });
    for (const named of [id, 'notes'])
      expect((await call('GET', `/routes/${named}`)).body).toMatchObject({
        id,
        options: { path: '/notes' },
        fixed: false,
      });
    expect((await call('PATCH', `/routes/${id}`, { body: { slots: 2 } })).body).toMatchObject({
      options: { slots: 2 },
      version: 2,
    });
    expect((await call('GET', '/routes')).body.items).toMatchObject([{ id, name: 'notes' }]);
    expect((await call('DELETE', `/routes/${id}`)).status).toBe(204);
    expect((await call('GET', `/routes/${id}`)).status).toBe(404);
  });

  test('sees what is expected of each server for a model', async () => {
    const { body } = await call('GET', '/estimates?model=gemma3:270m');
    expect(body.items).toMatchObject([{ address: fake.url, calls: 0 }]);
    expect((await call('GET', '/estimates')).status).toBe(400);
  });

  test('sees usage, running calls and who changed what', async () => {
    const { secret, account } = await gate.member({});
    const whole = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
    await (await post(`${gate.url}/api/chat`, secret, whole)).text();
    await gate.ledger(1);
    const own = (await call('GET', '/me/usage?by=model', { secret })).body.items;
    expect(own).toMatchObject([{ group: 'gemma3:270m', requests: 1 }]);
    const sums = (await call('GET', '/usage/report?by=account')).body.items;
    expect(sums.find((sum: { group: string }) => sum.group === account.id)).toMatchObject({
      name: account.name,
      promptTokens: own[0].promptTokens,
    });
    expect((await call('GET', '/usage?limit=1')).body.items[0]).toMatchObject({ accountId: account.id });
    expect((await call('GET', '/status')).body).toMatchObject({ accepting: true, running: 0 });
    expect((await call('GET', '/me', { secret })).body).toMatchObject({ account: { id: account.id } });
    const { id } = (await call('GET', '/accounts/alice')).body;
    const events = (await call('GET', `/audit?subject=${id as string}`)).body.items;
    expect(events.at(-1)).toMatchObject({ action: 'account.create', actor: expect.stringMatching(/^key:key_/) });
    expect((await call('GET', `/audit/${events[0].id as string}`)).body).toEqual(events[0]);
  });

  test('changes several keys and accounts at once, and hears of each', async () => {
    const { id } = await made('/accounts', { name: 'bulky' });
    const key = await made('/keys', { name: 'laptop', account: id });
    const ids = [key.id, 'key_nothing'];
    expect((await call('POST', '/keys/bulk', { body: { action: 'revoke', ids } })).body.items).toMatchObject([
      { id: key.id, done: true, problem: null },
      { id: 'key_nothing', done: false, problem: { code: 'not_found', reason: 'key_missing' } },
    ]);
    const body = { action: 'plan', ids: [id], plan: 'trusted' };
    expect((await call('POST', '/accounts/bulk', { body })).body.items).toEqual([{ id, done: true, problem: null }]);
    expect((await call('GET', `/accounts/${id as string}`)).body.plan).toBe('trusted');
  });

  test('sees what each server has loaded, has it unloaded, and pulls models that are told of afterwards', async () => {
    const { items } = (await call('GET', '/models')).body;
    expect(items).toMatchObject([{ server: fake.url, kind: 'ollama', isManaged: true, answers: true }]);
    const named = items[0].models.find(({ name }: { name: string }) => name === 'gemma3:270m');
    expect(named).toMatchObject({ family: 'gemma3', loaded: { size: expect.any(Number) as number } });
    const where = `server=${encodeURIComponent(fake.url)}`;
    const details = (await call('GET', `/models/details?${where}&model=gemma3:270m`)).body;
    expect(details).toMatchObject({ family: 'gemma3', capabilities: ['completion'] });
    const one = { server: fake.url, model: 'gemma3:270m' };
    expect((await call('POST', '/models/unload', { body: one })).status).toBe(204);
    expect((await call('POST', '/models/unload', { body: { ...one, server: 'nothing' } })).status).toBe(404);
    const [pull] = (await call('POST', '/pulls', { body: { model: 'gemma3:270m' } })).body.items;
    expect(pull).toMatchObject({ server: fake.url, model: 'gemma3:270m', state: 'running' });
    await eventually(async () =>
      expect((await call('GET', '/pulls')).body.items).toMatchObject([{ id: pull.id, state: 'done', progress: null }]),
    );
    expect((await call('POST', `/pulls/${pull.id as string}/cancel`)).status).toBe(409);
    fake.next(async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"status":"pulling abc","digest":"sha256:abc","total":100,"completed":40}\n');
    });
    const [held] = (await call('POST', '/pulls', { body: { model: 'qwen3:1b', servers: [fake.url] } })).body.items;
    await eventually(async () =>
      expect((await call('GET', '/pulls')).body.items[0]).toMatchObject({
        id: held.id,
        state: 'running',
        progress: { status: 'pulling abc', completed: 40, total: 100 },
      }),
    );
    const twice = await call('POST', '/pulls', { body: { model: 'qwen3:1b' } });
    expect([twice.status, twice.body.reason]).toEqual([409, 'pull_running']);
    expect((await call('POST', `/pulls/${held.id as string}/cancel`)).body).toMatchObject({ state: 'canceled' });
    const foreign = await call('POST', '/pulls', { body: { model: 'evil.example/x/y' } });
    expect([foreign.status, foreign.body.reason]).toEqual([400, 'registry_host']);
    const { items: told } = (await call('GET', '/audit?action=model&search=gemma3:270m')).body;
    expect(told.map(({ action }: { action: string }) => action)).toEqual([
      'model.pull-end',
      'model.pull',
      'model.unload',
    ]);
  });
});

test('maintenance answers in its shape, is begun once and keeps what a change leaves out', async () => {
  expect((await call('GET', '/maintenance')).body).toEqual({ on: false, message: null, since: null, until: null });
  const until = '2099-01-01T00:00:00.000Z';
  const { body: begun } = await call('PATCH', '/maintenance', { body: { on: true, message: 'Soon.', until } });
  const changed = await call('PATCH', '/maintenance', { body: { on: true, until: null } });
  expect(changed.body).toEqual({ ...begun, message: 'Soon.', until: null });
  expect((await call('PATCH', '/maintenance', { secret: auditor, body: { on: false } })).status).toBe(403);
  expect((await call('PATCH', '/maintenance', { body: { on: false } })).body.on).toBe(false);
  const { secret } = await gate.member({});
  const lists = (): Promise<Response> => fetch(`${gate.url}/v1/models`, { headers: { 'x-api-key': secret } });
  await withinASecond(async () => expect((await lists()).status).toBe(200));
});

test('the status page tells strangers how models are, and nothing of servers, accounts or keys', async () => {
  const { account, secret } = await gate.member({});
  await post(`${gate.url}/api/chat`, secret, { model: 'gemma3:270m', messages: [], stream: false });
  await gate.ledger(1);
  const { status, body } = await call('GET', '/status-page', { secret: '' });
  expect(status).toBe(200);
  const model = body.models.find(({ name }: { name: string }) => name === 'gemma3:270m');
  expect(model.up).toBe(true);
  expect(model.steps).toHaveLength(60);
  expect(model.steps.at(-1)).toBe('up');
  const text = JSON.stringify(body);
  for (const hidden of [new URL(fake.url).host, account.id, account.name, 'key_']) expect(text).not.toContain(hidden);
});

test('announcements are made, read, changed with the version seen, dismissed and deleted', async () => {
  const { id } = await made('/announcements', { en: 'Hello.' });
  const seen = await call('GET', `/announcements/${id as string}`);
  expect(seen.body).toMatchObject({ en: 'Hello.', ja: null, until: null, header: false, version: 1 });
  const change = (): Promise<Answer> =>
    call('PATCH', `/announcements/${id as string}`, {
      body: { ja: 'どうも' },
      headers: { 'if-match': seen.headers.get('etag')! },
    });
  expect((await change()).body).toMatchObject({ en: 'Hello.', ja: 'どうも', version: 2 });
  expect((await change()).status).toBe(412);
  expect((await call('GET', '/announcements')).body.items).toHaveLength(1);
  const person = await operatorOf(gate);
  expect((await person.get('/session')).body.announcements).toEqual([{ id, en: 'Hello.', ja: 'どうも' }]);
  expect((await person.post(`/me/announcements/${id as string}/dismiss`)).status).toBe(204);
  expect((await call('DELETE', `/announcements/${id as string}`)).status).toBe(204);
});

test('applications, invitations and registration answer in their shapes', async () => {
  expect((await call('GET', '/registration/open', { secret: '' })).body).toEqual({ mode: 'closed' });
  const registration = (await call('GET', '/registration')).body;
  expect(registration).toEqual({ mode: 'closed', plan: 'trial', domains: [], dotless: [], maxPending: 200 });
  await call('PATCH', '/registration', { body: { mode: 'approval' } });
  const ask = async (): Promise<Answer['body']> =>
    (await call('POST', '/applications', { secret: '', body: { name: 'a', email: 'a@example.org', purpose: 'b' } }))
      .body;
  const [first, second] = [await ask(), await ask()];
  await call('POST', `/applications/${first.id as string}/approve`, { body: {} });
  const turnedDown = `/applications/${second.id as string}`;
  await call('POST', `${turnedDown}/reject`, { body: { decision: 'no' } });
  // A slip is taken back, once; a new decision stands.
  expect((await call('POST', `${turnedDown}/reconsider`, { body: {} })).body).toMatchObject({
    status: 'pending',
    decision: null,
  });
  expect((await call('POST', `${turnedDown}/reconsider`, { body: {} })).body.reason).toBe('application_not_reopened');
  await call('POST', `${turnedDown}/reject`, { body: { decision: 'no' } });
  await call('POST', `/applications/${first.id as string}/claim`, { secret: '', body: { claim: first.claim } });
  expect((await call('GET', '/applications?limit=1')).body.next).not.toBeNull();
  await call('GET', `/applications/${first.id as string}`);
  await made('/invites', { email: 'b@example.org' });
  expect((await call('GET', '/invites')).body.items).toHaveLength(1);
  await call('PATCH', '/registration', { body: { mode: 'closed' } });
});

test('long answers are compressed for readers that take it, under a tag of their own that a change takes too', async () => {
  const models = Array.from({ length: 200 }, (_, at) => `family-${at}:*-instruct-*`);
  await made('/plans', { name: 'long', like: 'default', models });
  const path = '/plans/long';
  const get = (coding: string, at = path): Promise<Answer> =>
    call('GET', at, { headers: { 'accept-encoding': coding } });
  const plain = await get('identity');
  const coded = await get('br, gzip');
  const others = [plain, await get('gzip', '/plans/default'), await get('gzip;q=0')];
  expect(others.map(({ headers }) => headers.get('content-encoding'))).toEqual([null, null, null]);
  expect(coded.headers.get('content-encoding')).toBe('gzip');
  expect(coded.headers.get('vary')).toMatch(/accept-encoding/i);
  expect(Number(coded.headers.get('content-length'))).toBeLessThan(Number(plain.headers.get('content-length')) / 3);
  expect(coded.body).toEqual(plain.body);
  const tag = String(coded.headers.get('etag'));
  expect(tag).toBe(plain.headers.get('etag')?.replace(/"$/, '-gzip"'));
  const change = { body: { tokensPerDay: 7 }, headers: { 'if-match': tag } };
  expect((await call('PATCH', path, change)).status).toBe(200);
  expect((await call('PATCH', path, change)).status).toBe(412);
  expect((await call('DELETE', path)).status).toBe(204);
});

test('A15: pages of a list neither repeat nor omit an entry while the list grows', async () => {
  for (let i = 0; i < 5; i++) await made('/accounts', { name: `page-${i}` });
  const seen: string[] = [];
  let cursor = '';
  for (let i = 0; i < 100; i++) {
    const { body } = await call('GET', `/accounts?limit=2${cursor}`);
    seen.push(...body.items.map(({ name }: { name: string }) => name));
    if (i === 0) await made('/accounts', { name: 'page-late' });
    if (body.next === null) break;
    cursor = `&cursor=${body.next as string}`;
  }
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((name) => name.startsWith('page-'))).toHaveLength(6);
  const rows = (await call('GET', '/audit?limit=3')).body;
  const next = (await call('GET', `/audit?limit=3&cursor=${rows.next as string}`)).body;
  expect(next.items[0].id < rows.items[2].id).toBe(true);
  for (const bad of ['x', '%00', 'LTE', Buffer.from("1 ' or 1=1").toString('base64url')])
    expect((await call('GET', `/keys?cursor=${bad}`)).status).toBe(400);
});

describe('a creation with an Idempotency-Key', () => {
  test('happens once, however often and concurrently it is sent; the secret is shown once', async () => {
    await made('/accounts', { name: 'repeater' });
    const options = { body: { name: 'k', account: 'repeater' }, headers: { 'idempotency-key': 'a-1' } };
    const answers = await Promise.all(Array.from({ length: 8 }, () => call('POST', '/keys', options)));
    const first = answers.filter(({ status }) => status === 201);
    expect(first).toHaveLength(1);
    expect(answers.every(({ status }) => status === 201 || status === 200 || status === 409)).toBe(true);
    const again = await call('POST', '/keys', options);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([200, 'true']);
    expect(again.body.id).toBe(first[0]!.body.id);
    expect(again.body.secret).toBeUndefined();
    expect((await call('GET', '/keys?account=repeater')).body.items).toHaveLength(1);
  });

  test('is refused for another request, and may be repeated after a failure', async () => {
    const headers = { 'idempotency-key': 'b-1' };
    expect((await call('POST', '/accounts', { body: { name: 'x', plan: 'nothing' }, headers })).status).toBe(404);
    expect((await call('POST', '/accounts', { body: { name: 'repeat-b' }, headers })).status).toBe(201);
    expect((await call('POST', '/accounts', { body: { name: 'repeat-c' }, headers })).status).toBe(422);
  });
});

describe("a key's authority", () => {
  test('an auditor reads everything and changes nothing', async () => {
    for (const row of endpoints.filter(({ needs, name }) => needs.startsWith('management') && name !== 'watch')) {
      const path =
        row.path.replaceAll(/\{\w+\}/g, 'default') + (/^(report|export)Usage$/.test(row.name) ? '?by=day' : '');
      const { status } = await call(row.method.toUpperCase(), path, { secret: auditor, body: bodyFor(row.method) });
      if (row.needs === 'management:write') expect(status, row.name).toBe(403);
      // A request without any parameter.
      else if (['foresee', 'listEstimates', 'describeModel'].includes(row.name)) expect(status).toBe(400);
      else expect([200, 404], row.name).toContain(status);
    }
  });

  test('A13: a member gets 403 everywhere except about themselves', async () => {
    const { secret } = await gate.member({});
    for (const row of endpoints.filter(({ needs }) => needs.startsWith('management'))) {
      const path = row.path.replaceAll(/\{\w+\}/g, 'default');
      const { status } = await call(row.method.toUpperCase(), path, { secret, body: bodyFor(row.method) });
      expect(status, row.name).toBe(403);
    }
    expect((await call('GET', '/me', { secret })).status).toBe(200);
  });

  test('A13: without a key, every row but the public ones gets 401', async () => {
    const open = [];
    for (const row of endpoints) {
      const path = row.path.replaceAll(/\{\w+\}/g, 'default');
      const { status } = await call(row.method.toUpperCase(), path, { secret: '', body: bodyFor(row.method) });
      if (status !== 401) open.push(row.name);
    }
    expect(open).toEqual([
      'getSession',
      'lookAtLink',
      'setUp',
      'confirmAddress',
      'requestReset',
      'resetPassword',
      'getStatusPage',
      'getOpenRegistration',
      'apply',
      'claimKey',
      'reportLeak',
    ]);
  });

  test('A13: a wrong key gets 401, in the same words whatever is wrong', async () => {
    const wrong = ['', 'nonsense', generateKey().text.reveal(), `${boss.slice(0, -1)}x`];
    const answers = await Promise.all(wrong.map((secret) => call('GET', '/accounts', { secret })));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
    expect(new Set(answers.map(({ body }) => `${body.title}${body.code}${body.detail}`)).size).toBe(1);
    const cookie = await call('GET', '/accounts', { secret: '', headers: { cookie: `session=${boss}` } });
    expect(cookie.status).toBe(401);
    expect((await call('GET', `/accounts?key=${boss}`, { secret: '' })).status).toBe(401);
  });

  test('A17: management scopes come with a role, not with a plan', async () => {
    await made('/accounts', { name: 'climber' });
    const asked = { name: 'x', account: 'climber', scopes: ['management:write'] };
    expect((await call('POST', '/keys', { body: asked })).status).toBe(403);
    expect((await call('PATCH', '/plans/default', { body: { scopes: ['management:read'] } })).status).toBe(400);
    expect((await call('POST', '/accounts', { body: { name: 'y', plan: null } })).status).toBe(400);
  });

  test('an unauthenticated caller is refused before the body is read', async () => {
    const client = new RawClient(gate.port);
    client.write('POST /management/v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"name":');
    await client.until('HTTP/1.1 401 Unauthorized');
    client.socket.destroy();
  });

  test('A6: a content type that a cross-site form can send is refused', async () => {
    const headers = { 'content-type': 'text/plain' };
    expect((await call('POST', '/accounts', { body: '{"name":"evil"}', headers })).status).toBe(415);
  });
});

test('anyone who finds a leaked key can revoke it, and the answer reveals nothing about it', async () => {
  const { secret, id } = await gate.key();
  const report = (text: string): Promise<Answer> => call('POST', '/leaks', { secret: '', body: { secret: text } });
  const near = generateKey().text.reveal();
  expect([(await report(near)).status, (await report('x')).status, (await report(secret)).status]).toEqual([
    204, 204, 204,
  ]);
  expect((await call('GET', `/keys/${id}`)).body.status).toBe('revoked');
  const [event] = (await call('GET', `/audit?subject=${id}&limit=1`)).body.items;
  expect(event).toMatchObject({ action: 'key.leaked', actor: 'anybody' });
});

describe('bad input gets', () => {
  test.each<[string, string, unknown, number, string]>([
    ['POST', '/accounts', '{', 400, 'not_json'],
    ['POST', '/accounts', {}, 400, 'invalid'],
    ['POST', '/accounts', { name: 'a', admin: true }, 400, 'invalid'],
    ['POST', '/accounts', { name: 'alice' }, 409, 'conflict'],
    ['POST', '/accounts', { name: 'x'.repeat(300_000) }, 413, 'body_too_large'],
    ['POST', '/keys', { name: 'a', account: 'nobody there' }, 404, 'not_found'],
    ['POST', '/keys', { name: 'a', account: 'alice', limits: { models: ['x'] } }, 400, 'invalid'],
    ['POST', '/keys', { name: 'a', account: 'alice', expiresAt: 'soon' }, 400, 'invalid'],
    ['PATCH', '/plans/default', { tokensPerDay: -1 }, 400, 'invalid'],
    ['PATCH', '/plans/default', '{"tokensPerDay":1e400}', 400, 'invalid'],
    ['POST', '/rules', { name: 'r', measure: 'tokens' }, 400, 'invalid'],
    ['GET', '/usage/report?by=week', undefined, 400, 'invalid'],
    ['GET', '/keys?limit=1000000000', undefined, 400, 'invalid'],
    ['GET', '/keys/key_%2e%2e', undefined, 404, 'not_found'],
    ['GET', '/nothing', undefined, 404, 'not_found'],
    ['PUT', '/plans', undefined, 405, 'method_not_allowed'],
  ])('%s %s %j: %i %s', async (method, path, body, status, code) => {
    const answer = await call(method, path, { body });
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(answer.headers.get('x-request-id')).toBe(answer.body.request_id);
  });

  test.each([
    ['ja', 'ja', '見つかりません。'],
    ['ja-JP,ja;q=0.9,en;q=0.8', 'ja', '見つかりません。'],
    ['en;q=0.9,ja;q=0.1', 'en', 'Not found.'],
    ['fr', 'en', 'Not found.'],
  ])('has its title in the language preferred by Accept-Language: %s', async (accepted, language, title) => {
    const { headers, body } = await call('GET', '/nothing', { headers: { 'accept-language': accepted } });
    expect([headers.get('content-language'), body.title, body.code]).toEqual([language, title, 'not_found']);
    expect(headers.get('vary')).toMatch(/accept-language/i);
  });
});

test('the OpenAPI document describes exactly the rows of the server, with every reference resolved', async () => {
  const document = (await (await fetch(`${gate.url}/management/v1/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<string, Record<string, { operationId: string }>>;
    components: { schemas: Record<string, unknown> };
  };
  expect(document.openapi).toBe('3.1.0');
  const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, row]) => `${method} ${path} ${row.operationId}`),
  );
  expect(listed.toSorted()).toEqual(endpoints.map((row) => `${row.method} ${row.path} ${row.name}`).toSorted());
  const text = JSON.stringify(document);
  for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
    expect(document.components.schemas).toHaveProperty(name);
  expect(text).not.toContain('#/$defs/');
  for (const schema of Object.values(document.components.schemas))
    expect(() => z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0])).not.toThrow(/Unknown|unsupported/);
  const page = await fetch(`${gate.url}/management/v1/`);
  const html = await page.text();
  for (const row of endpoints) expect(html).toContain(row.path);
  expect(html).not.toMatch(/<script|src=|https?:/);
});

describe('people', () => {
  test('an operator lists people and makes links for them', async () => {
    const operator = await operatorOf(gate);
    const { body: here } = await operator.get('/session');
    expect(here).toMatchObject({ account: { role: 'operator', plan: null }, signIn: { mail: false } });
    expect((await operator.get('/overview')).body).toMatchObject({
      accepting: true,
      upstreams: [{ up: true, kind: 'ollama' }],
    });
    const { body: account } = await operator.post('/accounts', { name: 'someone', role: 'auditor' });
    expect(account).toMatchObject({ role: 'auditor', person: null });
    const { body: link } = await operator.post(`/accounts/${account.id}/links`, { purpose: 'setup' });
    const auditorHere = new Visitor(gate.url);
    const person = { name: 'Some One', email: 'some.one@example.org', password: goodPassword };
    const look = { code: codeOf(link.url), purpose: 'setup' };
    expect((await auditorHere.post('/links/look', look)).status).toBe(204);
    expect((await auditorHere.post('/setup', { code: codeOf(link.url), ...person })).status).toBe(204);
    expect((await auditorHere.post('/links/look', look)).body).toMatchObject({
      code: 'forbidden',
      reason: 'link_dead',
    });
    expect((await auditorHere.get('/accounts?search=SOMEO')).body.items).toMatchObject([{ id: account.id }]);
    expect((await auditorHere.patch(`/accounts/${account.id}`, { plan: 'trial' })).status).toBe(403);
    const { body: reset } = await operator.post(`/accounts/${account.id}/links`, { purpose: 'password' });
    const changed = { code: codeOf(reset.url), password: 'another good one' };
    expect((await new Visitor(gate.url).post('/password-resets/confirm', changed)).status).toBe(204);
    expect((await auditorHere.get('/session')).body.person).toBeNull();
    expect((await operator.patch(`/accounts/${account.id}`, { role: 'member', plan: 'trial' })).body).toMatchObject({
      role: 'member',
      plan: 'trial',
    });
    const { items: events } = (await operator.get(`/audit?subject=${account.id}`)).body;
    expect(events.map((event: { action: string }) => event.action).toSorted()).toEqual([
      'account.create',
      'account.role',
      'link.setup',
    ]);
    expect((await operator.delete(`/accounts/${account.id}`)).status).toBe(204);
    expect((await operator.get(`/accounts/${account.id}`)).body).toMatchObject({
      person: null,
      name: `closed ${account.id}`,
    });
  });

  test('a key that a page makes for itself works, and is in no list, count or log; nobody makes more of it', async () => {
    await call('PATCH', '/registration', { body: { mode: 'open' } });
    const member = await memberOf(gate, 'pages@example.org');
    const account = (await member.get('/session')).body.account.id as string;
    const [{ body: one }, { body: two }] = [
      await member.post('/me/page-keys', { name: 'playground' }),
      await member.post('/me/page-keys', { name: 'playground' }),
    ];
    const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
    for (const { secret } of [one, two]) expect((await post(`${gate.url}/api/chat`, secret, chat)).status).toBe(200);
    expect(Date.parse(one.expiresAt) - Date.parse(one.createdAt)).toBeLessThanOrEqual(3_600_000);
    for (const path of ['/me/keys', '/keys?search=playground', `/keys?account=${account}`])
      expect([path, (await (path === '/me/keys' ? member.get(path) : call('GET', path))).body.items]).toEqual([
        path,
        [],
      ]);
    expect((await call('GET', `/accounts/${account}`)).body.keys).toBe(0);
    // Otherwise it would be a way to a key that nobody sees.
    expect((await member.patch(`/me/keys/${one.id}`, { expiresAt: null })).status).toBe(404);
    expect((await member.post(`/me/keys/${one.id}/rotate`)).status).toBe(404);
    expect((await call('PATCH', `/keys/${one.id}`, { body: { expiresAt: null } })).status).toBe(404);
    expect((await member.post(`/me/keys/${two.id}/revoke`)).body.status).toBe('revoked');
    const events = (await call('GET', '/audit?limit=200')).body.items as { subject: string }[];
    expect(events.filter(({ subject }) => subject === one.id || subject === two.id)).toEqual([]);
    for (let i = 0; i < 4; i++) expect((await member.post('/me/page-keys', { name: 'x' })).status).toBe(201);
    expect((await member.post('/me/page-keys', { name: 'x' })).status).toBe(409);
    await gate.ledger(2);
    const sums = (await call('GET', `/usage/report?by=key&account=${account}`)).body.items;
    expect(sums).toMatchObject([{ name: 'playground', requests: 2 }]);
  });

  test('a call of the management API is a use of its key, which leaves the ETag of the key as it was', async () => {
    const key = await gate.key({ scopes: ['management:read'] });
    const tag = (await call('GET', `/keys/${key.id}`)).headers.get('etag') ?? '';
    expect((await call('GET', '/status', { secret: key.secret })).status).toBe(200);
    await eventually(async () => {
      const { body } = await call('GET', `/keys/${key.id}`);
      expect(Date.now() - Date.parse(body.lastUsedAt)).toBeLessThan(60_000);
    });
    const changed = await call('PATCH', `/keys/${key.id}`, { headers: { 'if-match': tag }, body: { name: 'seen' } });
    expect(changed.status).toBe(200);
  });

  test('a member manages their own keys, limits and data, and leaves', async () => {
    await call('PATCH', '/registration', { body: { mode: 'open' } });
    const taro = await memberOf(gate, 'taro@example.org');
    const { body: key } = await taro.post('/me/keys', { name: 'laptop', models: ['gemma3:*'] });
    const use = (secret: string) =>
      post(`${gate.url}/api/chat`, secret, {
        model: 'gemma3:270m',
        messages: [{ role: 'user', content: 'x' }],
        stream: false,
      });
    expect((await use(key.secret)).status).toBe(200);
    const { body: changed } = await taro.patch(`/me/keys/${key.id}`, { name: 'desk', limits: { requestsPerDay: 5 } });
    expect(changed).toMatchObject({ name: 'desk', models: ['gemma3:*'], limits: { requestsPerDay: 5 } });
    const { body: fresh } = await taro.post(`/me/keys/${key.id}/rotate`, { graceSeconds: 60 });
    expect((await taro.get('/me/keys')).body.items).toHaveLength(2);
    expect((await taro.post(`/me/keys/${fresh.id}/revoke`)).body.status).toBe('revoked');
    await eventually(async () => expect((await use(fresh.secret)).status).toBe(401));
    const { items } = (await taro.get('/me/limits')).body;
    expect(items.find(({ name }: { name: string }) => name === 'requests-day')).toBeUndefined();
    expect(items.find(({ name }: { name: string }) => name === 'requests-minute')).toMatchObject({
      limit: 20,
      used: 1,
    });
    expect((await taro.get('/me/models')).body.items.map(({ name }: { name: string }) => name)).toContain(
      'gemma3:270m',
    );
    expect((await taro.patch('/me', { language: 'ja' })).status).toBe(204);
    expect((await taro.get('/session')).body.person.language).toBe('ja');
    expect((await taro.get('/me/suspensions')).body.items).toEqual([]);
    await gate.ledger(1);
    const stored = (await taro.get('/me/export')).body;
    expect(stored).toMatchObject({ person: { email: 'taro@example.org' }, application: { purpose: 'a test' } });
    expect([stored.keys.length, stored.usageRows.length]).toEqual([2, 1]);
    expect(JSON.stringify(stored)).not.toMatch(/digest|scrypt|token"/i);
    const own = (await taro.get('/session')).body.account.id;
    expect((await taro.delete('/me')).status).toBe(204);
    expect((await taro.get('/session')).body.person).toBeNull();
    await eventually(async () => expect((await use(key.secret)).status).toBe(401));
    const left = await gate.manage((store) =>
      Promise.all([store.findPersonByEmail('taro@example.org'), store.listApplications({ limit: 100 })]),
    );
    expect(JSON.stringify(left)).not.toContain('taro@example.org');
    expect((await call('GET', `/accounts/${own}`)).body.closedAt).not.toBeNull();
  });

  test('an operator confirms an address for a person without mail, and changes a key', async () => {
    await call('PATCH', '/registration', { body: { mode: 'domain', domains: ['lab.example'] } });
    const hana = new Visitor(gate.url);
    const asked = { name: 'Hana', email: 'hana@lab.example', purpose: 'papers', password: goodPassword };
    expect((await hana.post('/applications', asked)).body).toMatchObject({ status: 'pending', confirm: false });
    const { application } = (await hana.get('/session')).body;
    const { body: link } = await call('POST', `/applications/${application.id}/link`);
    expect((await new Visitor(gate.url).post('/confirmations', { code: codeOf(link.url) })).status).toBe(204);
    expect((await hana.get('/session')).body).toMatchObject({
      application: { status: 'approved', decidedBy: 'registration:domain' },
      person: { emailVerified: true },
      account: { plan: 'trial' },
    });
    const { body: key } = await hana.post('/me/keys', { name: 'x' });
    expect((await call('PATCH', `/keys/${key.id}`, { body: { models: ['llama3'] } })).body.models).toEqual(['llama3']);
    expect((await call('GET', '/keys?search=laptop')).body.items.length).toBeGreaterThan(0);
    expect((await new Visitor(gate.url).post('/password-resets', { email: 'hana@lab.example' })).status).toBe(204);
    await call('PATCH', '/registration', { body: { mode: 'closed' } });
  });
});

describe('the preview of a call', () => {
  const ask = async (question: Record<string, unknown>): Promise<Answer['body']> =>
    (await call('POST', '/preview', { body: { path: '/api/chat', model: 'gemma3:270m', ...question } })).body;

  test('gives the answer that the call itself would get', async () => {
    const { account, id, secret } = await gate.member({
      requestsPerDay: 2,
      tokensPerHour: 50_000,
      tokensPerWeek: 60_000,
      maxOutputTokens: 100,
      models: ['gemma3:*'],
    });
    expect(await ask({ account: account.id, maxTokens: 5000 })).toMatchObject({
      passes: true,
      changes: ['options.num_predict=100'],
      limits: [
        { name: 'requests-day', limit: 2, used: 0, needed: 1 },
        { name: 'tokens-hour', measure: 'tokens', window: 'hour', limit: 50_000, used: 0 },
        { name: 'tokens-week', measure: 'tokens', window: 'week', limit: 60_000, used: 0 },
      ],
    });
    expect(await ask({ key: id, model: 'llama3' })).toMatchObject({
      passes: false,
      status: 404,
      code: 'model_not_found',
    });
    expect(await ask({ account: account.id, path: '/api/pull' })).toMatchObject({ status: 403, code: 'missing_scope' });
    expect(await ask({ account: account.id, path: '/api/nothing' })).toMatchObject({
      status: 404,
      code: 'unknown_route',
    });
    const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
    for (let i = 0; i < 2; i++) expect((await post(`${gate.url}/api/chat`, secret, chat)).status).toBe(200);
    const [forecast, real] = [await ask({ account: account.id }), await post(`${gate.url}/api/chat`, secret, chat)];
    expect(forecast).toMatchObject({ passes: false, status: real.status, code: 'quota_exceeded' });
    expect(forecast.reason.slice(0, 60)).toBe(((await real.json()) as { error: string }).error.slice(0, 60));
    await made('/suspensions', { whom: account.id, step: 'review', reason: 'だめ' });
    expect(await ask({ account: account.id })).toMatchObject({
      code: 'suspended',
      reason: expect.stringContaining('だめ'),
    });
  });

  test('gives the reason in Japanese when the caller prefers it, with every detail of the English text', async () => {
    const { account } = await gate.member({ models: ['gemma3:*'] });
    const reason = async (question: Record<string, unknown>): Promise<string> => {
      const body = { path: '/api/chat', model: 'gemma3:270m', account: account.id, ...question };
      return (await call('POST', '/preview', { body, headers: { 'accept-language': 'ja' } })).body.reason;
    };
    expect(await reason({})).toBe('このリクエストは、モデルの順番が来れば実行されます。');
    expect(await reason({ path: '/api/nothing' })).toBe('このルートはありません。');
    expect(await reason({ path: '/api/me' })).toMatch(/^このAPIキーには、.*"account"/);
  });

  test('uses up no limit', async () => {
    const { account, secret } = await gate.member({ requestsPerDay: 1, concurrentRequests: 1, tokensPerDay: 100 });
    await Promise.all(Array.from({ length: 20 }, () => ask({ account: account.id, promptTokens: 90 })));
    const chat = {
      model: 'gemma3:270m',
      messages: [{ role: 'user', content: 'x' }],
      stream: false,
      options: { num_predict: 5 },
    };
    expect((await post(`${gate.url}/api/chat`, secret, chat)).status).toBe(200);
  });

  test('answers for a plan alone, with no usage', async () => {
    expect(await ask({ plan: 'trial', promptTokens: 10 })).toMatchObject({ passes: true });
    expect((await call('POST', '/preview', { body: { path: '/api/chat', model: 'x' } })).status).toBe(400);
  });
});

test('usage exports as CSV that no spreadsheet reads as a formula, and can be filtered', async () => {
  const { account, secret } = await gate.member({});
  const evil = await made('/accounts', { name: '=HYPERLINK("http://evil.example")' });
  const key = await made('/keys', { name: 'x', account: evil.id });
  const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
  for (const each of [secret, secret, key.secret]) await (await post(`${gate.url}/api/chat`, each, chat)).text();
  await gate.ledger(3);
  const lines = (text: string): string[] => text.trimEnd().split('\r\n');
  const rows = await call('GET', `/usage/rows.csv?account=${account.id as string}`);
  expect(rows.headers.get('content-disposition')).toBe('attachment; filename="sekisho-rows.csv"');
  expect(lines(rows.body)).toHaveLength(3);
  expect(lines(rows.body)[0]).toMatch(/^id,at,keyId,accountId,operation/);
  const sums = (await call('GET', '/usage/export?by=account')).body as string;
  expect(sums).toContain(`${evil.id as string},"'=HYPERLINK(""http://evil.example"")",1,`);
  expect((await call('GET', `/usage?account=${account.id as string}`)).body.items).toHaveLength(2);
  expect((await call('GET', '/usage?outcome=failed')).body.items).toEqual([]);
  expect((await call('GET', `/usage?key=${key.id as string}&model=gemma3:270m`)).body.items).toHaveLength(1);
  expect((await call('GET', '/usage?account=nobody')).status).toBe(404);
});

test('single requests and health over time are listed, narrowed, exported and explained', async () => {
  const { account, secret } = await gate.member({});
  const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }] };
  const { headers } = await post(`${gate.url}/api/chat`, secret, chat).then(async (answer) => {
    await answer.text();
    return answer;
  });
  const id = headers.get('x-request-id')!;
  await eventually(async () => expect((await call('GET', `/requests/${id}`)).status).toBe(200));
  expect(
    (await call('GET', `/requests?account=${account.name}&minTokens=1&maxDurationMs=60000`)).body.items,
  ).toMatchObject([{ id, accountName: account.name, outcome: 'completed' }]);
  expect((await call('GET', '/requests?minTokens=-1')).status).toBe(400);
  expect((await call('GET', '/me/requests', { secret })).body.items).toMatchObject([{ id, server: null }]);
  expect((await call('GET', `/me/requests/${id}`, { secret })).body.stages.length).toBeGreaterThan(1);
  for (const [path, of] of [
    ['', boss],
    ['/me', secret],
  ] as const) {
    const asCsv = await call('GET', `${path}/requests/export.csv?model=gemma3:270m&since=2020-01-01T00:00:00Z`, {
      secret: of,
    });
    expect(asCsv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(asCsv.body).toContain(id);
    const asLines = await call('GET', `${path}/requests/export.jsonl?outcome=completed`, { secret: of });
    expect(asLines.headers.get('content-type')).toBe('application/jsonl; charset=utf-8');
    const rows = (asLines.body as string).trimEnd().split('\n');
    expect(rows.map((row) => (JSON.parse(row) as { id: string }).id)).toContain(id);
  }
  for (const period of ['hour', 'day', 'week', 'month', 'quarter', 'year']) {
    const { body } = await call('GET', `/latency?period=${period}&model=gemma3:270m`);
    expect(body.points.length).toBeGreaterThanOrEqual(60);
    expect(body.points.length).toBeLessThanOrEqual(181);
    expect(body.total.requests).toBeGreaterThan(0);
    expect(body.models).toMatchObject([{ model: 'gemma3:270m', duration: { p95: expect.any(Number) } }]);
  }
  expect((await call('GET', '/latency?period=decade')).status).toBe(400);
  const { secret: stranger } = await gate.member({});
  expect((await call('GET', `/me/requests/${id}`, { secret: stranger })).status).toBe(404);
  expect((await call('GET', '/me/requests', { secret: stranger })).body.items).toEqual([]);
  for (const path of ['/requests', `/requests/${id}`, '/requests/export.csv', '/latency'])
    expect((await call('GET', path, { secret: stranger })).status).toBe(403);
});

test('an operator views the pages of a member, and a key sees which routes it may be made for', async () => {
  await call('PATCH', '/registration', { body: { mode: 'open', plan: 'default' } });
  const operator = await operatorOf(gate);
  const member = await memberOf(gate, 'viewed@example.org');
  const { id } = (await member.get('/session')).body.account;
  const { status, body: view } = await operator.post(`/accounts/${id as string}/views`);
  expect([status, view.account]).toEqual([201, id]);
  expect(Date.parse(view.endsAt) - Date.parse(view.startedAt)).toBe(30 * 60_000);
  expect((await operator.delete(`/views/${view.id as string}`)).status).toBe(204);
  const { items } = (await member.get('/me/operations')).body;
  expect(items).toContainEqual({
    name: 'chat',
    dialect: 'ollama',
    method: 'POST',
    path: '/api/chat',
    scope: 'inference:chat',
    body: 'json',
  });
  // Those that a new key of the account has no scope for are not there.
  const scopes = new Set<string>(items.map(({ scope }: { scope: string }) => scope));
  expect([...scopes].toSorted()).toEqual(['inference:audio', 'inference:chat', 'inference:embed', 'metadata']);
});

test('the overview arrives as events, and ends when the right to see it ends', async () => {
  const { id, secret } = await gate.key({ scopes: ['management:read'] });
  const response = await fetch(`${gate.url}/management/v1/events`, { headers: { 'x-api-key': secret } });
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const { value = '' } = await reader.read();
  const [, data = ''] = /^event: overview\ndata: (.*)\n\n/.exec(value) ?? [];
  overviewSchema.parse(JSON.parse(data));
  answered.add('watch');
  await call('POST', `/keys/${id}/revoke`);
  let done = false;
  while (!done) ({ done } = await reader.read());
});

test('a group of settings is read, changed, tried and taken back', async () => {
  expect((await call('GET', '/settings/general')).body).toMatchObject({ group: 'general' });
  const changed = await call('PATCH', '/settings/general', { body: { values: { gate_name: 'Another' } } });
  expect(changed.status).toBe(200);
  const values = { smtp_url: 'smtp://127.0.0.1:9', mail_from: 'Gate <gate@example.org>' };
  expect((await call('POST', '/settings/mail/trial', { body: { to: 'a@example.org', values } })).body).toMatchObject({
    works: false,
  });
  const [change] = (await call('GET', '/setting-changes')).body.items;
  expect((await call('POST', `/setting-changes/${change.id as string}/undo`)).status).toBe(200);
});

test('every row has answered in its shape', () => {
  expect(endpoints.map(({ name }) => name).filter((name) => !answered.has(name))).toEqual([]);
});

function bodyFor(method: string): unknown {
  return method === 'get' || method === 'delete' ? undefined : {};
}

// Attempts to do more with the management API than one may at that moment: with an old session, with a right that ends while
// the body arrives, with a bound key, by streams that outlive their right, and by endless requests.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AccountId, type KeyId, newRequestId } from '../../src/domain/id.ts';
import { unlimited } from '../../src/domain/plan.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { createAccount, setRole } from '../../src/management/accounts/accounts.ts';
import { endpoints } from '../../src/management/endpoints.ts';
import type { Fresh } from '../../src/management/http/endpoint.ts';
import { type PaceName, paces } from '../../src/management/http/pace.ts';
import { type NewKey, revokeKey } from '../../src/management/keys/keys.ts';
import { closeAccount } from '../../src/management/people/people.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, type TestGate } from '../gate.ts';
import { codeOf, goodPassword, memberOf, operatorOf, type Reply, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '100000' });
  const { secret } = await gate.key({ scopes: ['management'] });
  await asKey(secret, 'PATCH', '/registration', { mode: 'open' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

function rowsOf(accountId: AccountId, howMany: number): UsageRecord[] {
  const at = Date.now();
  const row: Omit<UsageRecord, 'id'> = {
    at,
    keyId: 'key_x' as KeyId,
    accountId,
    operation: 'chat',
    model: 'gemma3:270m',
    upstream: 'http://x',
    outcome: 'completed',
    status: 200,
    code: null,
    streamed: true,
    promptTokens: 1,
    completionTokens: 1,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    askedModel: null,
    fallbackFor: null,
    source: 'exact',
    bytesIn: 1,
    bytesOut: 2,
    firstByteMs: null,
    durationMs: 4,
    queuedMs: 5,
    address: '::1',
    repeats: 1,
  };
  return Array.from({ length: howMany }, () => ({ ...row, id: newRequestId(at) }));
}

let count = 0;
const newMail = (): string => `m${++count}@example.org`;
const api = '/management/v1';

function asKey(secret: string, method: string, path: string, body?: unknown, more = {}): Promise<Reply> {
  const headers = { 'x-api-key': secret, ...more };
  return new Visitor(gate.url).ask(method, api + path, { headers, ...(body === undefined ? {} : { body }) });
}

/** Makes the visitor's sign-in older than the limit. */
async function grownOld(visitor: Visitor): Promise<Visitor> {
  const { person } = (await visitor.get('/session')).body;
  const createdAt = new Date(Date.now() - 11 * 60_000).toISOString();
  await gate.manage(({ signIn: { db } }) =>
    db.updateTable('sessions').set({ createdAt }).where('userId', '=', person.id).execute(),
  );
  return visitor;
}

/** The freshness of sign-in that each changing row requires, and its rate limit. */
const declared: Readonly<Record<string, readonly ['always' | 'never' | 'depends', PaceName]>> = {
  changeRegistration: ['always', 'change'],
  changeMaintenance: ['always', 'change'],
  changeSettings: ['always', 'change'],
  trySettings: ['always', 'door'],
  undoSettingChange: ['always', 'change'],
  createAnnouncement: ['always', 'change'],
  changeAnnouncement: ['always', 'change'],
  deleteAnnouncement: ['always', 'change'],
  dismissAnnouncement: ['never', 'change'],
  apply: ['never', 'door'],
  claimKey: ['never', 'door'],
  approveApplication: ['never', 'change'],
  rejectApplication: ['never', 'change'],
  reconsiderApplication: ['never', 'change'],
  createConfirmation: ['never', 'change'],
  createInvite: ['never', 'change'],
  changeSelf: ['never', 'change'],
  leave: ['always', 'change'],
  createOwnKey: ['depends', 'change'],
  createPageKey: ['depends', 'change'],
  changeOwnKey: ['depends', 'change'],
  rotateOwnKey: ['depends', 'change'],
  revokeOwnKey: ['never', 'change'],
  createAccount: ['depends', 'change'],
  changeAccount: ['depends', 'change'],
  changeAccounts: ['depends', 'bulk'],
  createLink: ['always', 'change'],
  createView: ['always', 'change'],
  endView: ['never', 'change'],
  closeAccount: ['always', 'change'],
  createKey: ['depends', 'change'],
  rotateKey: ['depends', 'change'],
  changeKey: ['depends', 'change'],
  revokeKey: ['never', 'change'],
  changeKeys: ['never', 'bulk'],
  reportLeak: ['never', 'door'],
  createPlan: ['always', 'change'],
  changePlan: ['always', 'change'],
  deletePlan: ['always', 'change'],
  foresee: ['never', 'look'],
  createRule: ['always', 'change'],
  changeRule: ['always', 'change'],
  deleteRule: ['always', 'change'],
  createServer: ['always', 'change'],
  changeServer: ['always', 'change'],
  deleteServer: ['always', 'change'],
  unloadModel: ['never', 'change'],
  startPulls: ['always', 'change'],
  cancelPull: ['never', 'change'],
  createModelName: ['always', 'change'],
  changeModelName: ['always', 'change'],
  deleteModelName: ['always', 'change'],
  createRoute: ['always', 'change'],
  changeRoute: ['always', 'change'],
  deleteRoute: ['always', 'change'],
  createSuspension: ['never', 'change'],
  liftSuspension: ['never', 'change'],
  appealSuspension: ['never', 'change'],
  answerAppeal: ['never', 'change'],
  lookAtLink: ['never', 'door'],
  setUp: ['never', 'door'],
  confirmAddress: ['never', 'door'],
  requestReset: ['never', 'door'],
  resetPassword: ['never', 'door'],
};
const kindOf = (fresh: Fresh): string => (typeof fresh === 'function' ? 'depends' : fresh);

describe('an old session', () => {
  test('is refused by every row that grants authority, as the table says', async () => {
    const changing = endpoints.filter(({ method }) => method !== 'get');
    expect(Object.fromEntries(changing.map(({ name, fresh, pace }) => [name, [kindOf(fresh), pace]]))).toEqual(
      declared,
    );
    for (const { fresh, method } of endpoints) if (method === 'get') expect(fresh).toBe('never');

    const operator = await operatorOf(gate);
    const { body: account } = await operator.post('/accounts', { name: newMail() });
    const { body: strong } = await operator.post('/keys', {
      name: 'x',
      account: 'operator',
      scopes: ['management:read'],
    });
    const own = (await operator.get('/session')).body.account;
    const { body: mine } = await operator.post('/me/keys', { name: 'x', scopes: ['models:delete'] });
    await grownOld(operator);
    const powerful: Readonly<Record<string, readonly [id: string, body: unknown]>> = {
      createAccount: ['', { name: newMail(), role: 'operator' }],
      changeAccount: [account.id, { role: 'operator' }],
      changeAccounts: ['', { action: 'close', ids: [account.id] }],
      createLink: [own.id, { purpose: 'password' }],
      createKey: ['', { name: 'x', account: account.id, scopes: ['management:write'] }],
      rotateKey: [strong.id, {}],
      changeKey: [strong.id, { expiresAt: null }],
      createOwnKey: ['', { name: 'x', scopes: ['cloud'] }],
      createPageKey: ['', { name: 'x', scopes: ['cloud'] }],
      changeOwnKey: [mine.id, { name: 'y' }],
      rotateOwnKey: [mine.id, {}],
    };
    const [last] = await gate.manage((store) => store.listAudit({ limit: 1 }));
    for (const row of changing) {
      const [id, body] = powerful[row.name] ?? ['nothing', row.body ? {} : undefined];
      const asked = row.path.replaceAll(/\{\w+\}/g, id);
      const { status, body: said } = await operator.ask(row.method.toUpperCase(), api + asked, { body });
      const needs = declared[row.name]![0] !== 'never';
      expect([row.name, status === 403 && said?.code === 'sign_in_again']).toEqual([row.name, needs]);
    }
    // Only actions that need no recent sign-in were done.
    const since = (await gate.manage((store) => store.listAudit({ limit: 100 }))).filter(({ id }) => id > last!.id);
    expect(since.map(({ action }) => action).toSorted()).toEqual(['invite.create', 'person.set']);
  });

  test("is enough for everything else, such as making a key of one's own", async () => {
    const operator = await grownOld(await operatorOf(gate));
    expect((await operator.post('/me/keys', { name: 'x' })).status).toBe(201);
    expect((await operator.post('/accounts', { name: newMail() })).status).toBe(201);
  });
});

describe('a right that ends while the body arrives', () => {
  /** A head and half a body have arrived; returns the function that sends the rest and gives the answer. */
  async function halfSent(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: object,
  ): Promise<() => Promise<string>> {
    const text = JSON.stringify(body);
    const client = new RawClient(gate.port);
    const lines = Object.entries({ host: `localhost:${gate.port}`, 'content-type': 'application/json', ...headers });
    client.write(
      `${method} ${api}${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}expect: 100-continue\r\nconnection: close\r\ncontent-length: ${text.length}\r\n\r\n${text.slice(0, 5)}`,
    );
    await client.until('100 Continue');
    return async () => {
      client.write(text.slice(5));
      await client.closed;
      return client.text.slice(client.text.lastIndexOf('HTTP/1.1'));
    };
  }
  const cookieOf = (visitor: Visitor) => ({
    cookie: visitor.cookie,
    origin: gate.url,
    'sec-fetch-site': 'same-origin',
    host: new URL(gate.url).host,
  });

  test.each(['revoked', 'narrowed', 'expired', 'suspended'] as const)(
    'no longer applies: the key was %s',
    async (how) => {
      const { secret, id } = await gate.key({ scopes: ['management'], name: how });
      const rest = await halfSent('POST', '/keys', { 'x-api-key': secret }, { name: 'late', account: 'operator' });
      await gate.manage(async (store, by) => {
        const key = (await store.findKey(id))!;
        if (how === 'revoked') await revokeKey(store, id, by);
        else if (how === 'narrowed')
          await asKey((await gate.key({ scopes: ['management'] })).secret, 'PATCH', `/keys/${id}`, {
            scopes: ['management:read'],
          });
        else if (how === 'expired')
          await store.signIn.db
            .updateTable('keys')
            .set({ expires_at: Date.now() - 1 })
            .where('id', '=', id)
            .execute();
        else
          await asKey((await gate.key({ scopes: ['management'] })).secret, 'POST', '/suspensions', {
            whom: key.id,
            step: 'review',
            reason: 'x',
          });
      });
      expect(await rest()).toMatch(/^HTTP\/1\.1 40[13] /);
      expect((await gate.manage((store) => store.listKeys())).filter(({ name }) => name === 'late')).toEqual([]);
    },
  );

  test('no longer applies: the account was closed, and no other takes its name', async () => {
    const mail = newMail();
    const member = await memberOf(gate, mail);
    const { account } = (await member.get('/session')).body;
    const rest = await halfSent('POST', '/me/keys', cookieOf(member), { name: 'late' });
    await gate.manage((store, by) => closeAccount(store, account.id, by));
    expect(await rest()).toMatch(/^HTTP\/1\.1 401 /);
    expect(await gate.manage((store) => store.findAccount(mail))).toBeUndefined();
  });

  test.each(['signed out', 'made a member'] as const)('no longer applies: the operator was %s', async (how) => {
    const operator = await operatorOf(gate);
    const name = newMail();
    const { account } = (await operator.get('/session')).body;
    const rest = await halfSent('POST', '/accounts', cookieOf(operator), { name });
    if (how === 'signed out') expect((await operator.auth('/sign-out', {})).status).toBe(200);
    else {
      await operatorOf(gate);
      await gate.manage((store, by) => setRole(store, account.id, 'member', by));
    }
    expect(await rest()).toMatch(/^HTTP\/1\.1 40[13] /);
    expect(await gate.manage((store) => store.findAccount(name))).toBeUndefined();
  });
});

test('a GET is answered at once, whatever body it announces, so that no answer comes after its right has ended', async () => {
  const { secret } = await gate.key({ scopes: ['management'] });
  for (const framing of ['content-length: 5', 'transfer-encoding: chunked']) {
    const client = new RawClient(gate.port);
    client.write(
      `GET ${api}/accounts HTTP/1.1\r\nhost: localhost:${gate.port}\r\nx-api-key: ${secret}\r\n${framing}\r\n\r\n`,
    );
    await client.until(/^HTTP\/1\.1 200 [^]*\r\n\r\n\{/);
    expect(client.text).toMatch(/\r\nconnection: close\r\n/i);
    await client.closed;
  }
});

test('a HEAD of a stream ends, and the next request on its connection is answered', async () => {
  const { secret } = await gate.key({ scopes: ['management'] });
  const streams = endpoints.filter(({ stream, needs }) => stream && needs === 'management:read');
  expect(streams.length).toBeGreaterThan(1);
  for (const { path } of streams) {
    const client = new RawClient(gate.port);
    const head = `host: localhost:${gate.port}\r\nx-api-key: ${secret}\r\n`;
    client.write(`HEAD ${api}${path}${path.endsWith('/export') ? '?by=day' : ''} HTTP/1.1\r\n${head}\r\n`);
    client.write(`GET ${api}/registration HTTP/1.1\r\n${head}connection: close\r\n\r\n`);
    await client.closed;
    expect(client.text.match(/^HTTP\/1\.1 \d+/gm), path).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
  }
});

test('a link made for a member opens nothing once they have another role', async () => {
  const { secret } = await gate.key({ scopes: ['management'] });
  const mail = newMail();
  await memberOf(gate, mail);
  const { body: empty } = await asKey(secret, 'POST', '/accounts', { name: newMail() });
  const codes = await Promise.all(
    [
      [mail, 'password'],
      [empty.id, 'setup'],
    ].map(async ([whom, purpose]) =>
      codeOf((await asKey(secret, 'POST', `/accounts/${whom}/links`, { purpose })).body.url),
    ),
  );
  for (const whom of [mail, empty.id])
    expect((await asKey(secret, 'PATCH', `/accounts/${whom}`, { role: 'operator' })).status).toBe(200);
  const visitor = new Visitor(gate.url);
  const reset = await visitor.post('/password-resets/confirm', { code: codes[0], password: 'another good password' });
  expect(reset.status).toBe(403);
  const person = { name: 'x', email: newMail(), password: goodPassword };
  expect((await visitor.post('/setup', { code: codes[1], ...person })).status).toBe(403);
});

describe('one change', () => {
  test('of role and plan is made completely or not at all', async () => {
    const operator = await operatorOf(gate);
    const { body: account } = await operator.post('/accounts', { name: newMail() });
    expect((await operator.patch(`/accounts/${account.id}`, { role: 'operator', plan: 'nope' })).status).toBe(404);
    expect((await operator.get(`/accounts/${account.id}`)).body).toEqual(account);
  });

  test('requires the version that was seen, on every row that changes a visible object', async () => {
    const { secret } = await gate.key({ scopes: ['management'] });
    const operator = await operatorOf(gate);
    const { body: account } = await operator.post('/accounts', { name: newMail() });
    const { body: key } = await operator.post('/keys', { name: 'x', account: account.id });
    const stale = { 'if-match': '"not-this"' };
    for (const [method, path, body] of [
      ['DELETE', `/accounts/${account.id}`, undefined],
      ['PATCH', `/accounts/${account.id}`, { plan: 'trial' }],
      ['POST', `/accounts/${account.id}/links`, { purpose: 'setup' }],
      ['POST', `/keys/${key.id}/revoke`, undefined],
      ['POST', `/keys/${key.id}/rotate`, {}],
      ['PATCH', `/keys/${key.id}`, { name: 'y' }],
    ] as const)
      expect((await asKey(secret, method, path, body, stale)).status, path).toBe(412);
    const seen = (await asKey(secret, 'GET', `/keys/${key.id}`)).headers.get('etag')!;
    const race = await Promise.all(
      [1, 2, 3].map((i) => asKey(secret, 'PATCH', `/keys/${key.id}`, { name: `n${i}` }, { 'if-match': seen })),
    );
    expect(race.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412, 412]);
    const seenAt = new Set(endpoints.filter(({ method }) => method === 'get').map(({ path }) => path));
    const missing = endpoints.filter(
      ({ method, path, before, name }) =>
        method !== 'get' &&
        (path.includes('{') || (method !== 'post' && seenAt.has(path))) &&
        !before &&
        !['claimKey', 'appealSuspension', 'dismissAnnouncement'].includes(name),
    );
    expect(missing).toEqual([]);
    const member = await memberOf(gate, newMail());
    for (const [method, body] of [
      ['PATCH', { name: 'stale' }],
      ['DELETE', undefined],
    ] as const)
      expect((await member.ask(method, `${api}/me`, { body, headers: stale })).status, method).toBe(412);
    const self = await member.get('/me');
    const mine = { 'if-match': self.headers.get('etag')! };
    expect((await member.ask('PATCH', `${api}/me`, { body: { name: 'Renamed' }, headers: mine })).status).toBe(204);
    // The version is another one now.
    expect((await member.ask('PATCH', `${api}/me`, { body: { name: 'Lost' }, headers: mine })).status).toBe(412);
    expect((await member.get('/me')).body.person.name).toBe('Renamed');
  });

  test('with an Idempotency-Key is made once, whatever it creates and however many ask at once', async () => {
    const { secret } = await gate.key({ scopes: ['management'] });
    const { account } = await gate.member({});
    const path = `/accounts/${account.id}/links`;
    const once = { 'idempotency-key': 'a' };
    const replies = await Promise.all([1, 2, 3, 4].map(() => asKey(secret, 'POST', path, { purpose: 'setup' }, once)));
    expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 201]);
    expect(replies.filter(({ body }) => body.url !== undefined)).toHaveLength(1);
    expect(new Set(replies.map(({ body }) => body.expiresAt)).size).toBe(1);
    const events = await gate.manage((store) => store.listAudit({ subject: account.id, limit: 10 }));
    expect(events.filter(({ action }) => action === 'link.setup')).toHaveLength(1);
    // A creation that failed leaves its name free.
    const failing = { name: 'x', account: 'nobody-here' };
    expect((await asKey(secret, 'POST', '/keys', failing, { 'idempotency-key': 'b' })).status).toBe(404);
    const good = { name: 'x', account: account.id };
    expect((await asKey(secret, 'POST', '/keys', good, { 'idempotency-key': 'b' })).status).toBe(201);
    for (const { name, creates, again, atomic } of endpoints)
      if (creates && name !== 'apply') expect([name, again !== undefined, atomic]).toEqual([name, true, true]);
  });
});

test('a plan that new accounts would get cannot be deleted, so that no applicant gets another plan', async () => {
  const { secret } = await gate.key({ scopes: ['management'] });
  const { plan: before } = (await asKey(secret, 'GET', '/registration')).body;
  for (const name of ['of-registration', 'of-an-invitation'])
    expect((await asKey(secret, 'POST', '/plans', { name })).status).toBe(201);
  await asKey(secret, 'PATCH', '/registration', { plan: 'of-registration' });
  await asKey(secret, 'POST', '/invites', { plan: 'of-an-invitation' });
  for (const name of ['of-registration', 'of-an-invitation'])
    expect((await asKey(secret, 'DELETE', `/plans/${name}`)).status).toBe(409);
  await asKey(secret, 'PATCH', '/registration', { plan: before });
  expect((await asKey(secret, 'DELETE', '/plans/of-registration')).status).toBe(204);
});

describe('an Idempotency-Key', () => {
  const named = (name: string, more = {}): Record<string, string> => ({ 'idempotency-key': name, ...more });

  test('returns the same object again, even if that has changed since', async () => {
    const { secret } = await gate.key({ scopes: ['management'] });
    const { id } = await gate.key();
    const seen = (await asKey(secret, 'GET', `/keys/${id}`)).headers.get('etag')!;
    const ask = () =>
      asKey(secret, 'POST', `/keys/${id}/rotate`, { graceSeconds: 60 }, named('r', { 'if-match': seen }));
    const [first, again] = [await ask(), await ask()];
    expect([first.status, again.status, again.body.id]).toEqual([201, 200, first.body.id]);
    expect([again.headers.get('idempotency-replayed'), again.body.secret]).toEqual(['true', undefined]);
  });

  test('with another body creates nothing, one after the other or at once', async () => {
    const { secret } = await gate.key({ scopes: ['management'] });
    const { account } = await gate.member({});
    const ask = (name: string, under: string): Promise<Reply> =>
      asKey(secret, 'POST', '/keys', { name, account: account.id }, named(under));
    const replies = await Promise.all(['a', 'b', 'c'].map((name) => ask(name, 'x')));
    expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 422, 422]);
    expect((await ask('d', 'x')).body.code).toBe('repeat_differs');
    const { items } = (await asKey(secret, 'GET', `/keys?account=${account.id}`)).body;
    expect(items).toHaveLength(2);
  });

  test('is its caller’s own', async () => {
    const [one, other] = [await gate.key({ scopes: ['management'] }), await gate.key({ scopes: ['management'] })];
    const { account } = await gate.member({});
    const body = { name: 'x', account: account.id };
    const replies = [
      await asKey(one.secret, 'POST', '/keys', body, named('same')),
      await asKey(other.secret, 'POST', '/keys', body, named('same')),
    ];
    expect(replies.map(({ status }) => status)).toEqual([201, 201]);
    expect(replies[0]!.body.id).not.toBe(replies[1]!.body.id);
  });
});

test('no change writes more than a few kilobytes into the audit log', async () => {
  const member = await memberOf(gate, newMail());
  const { body: key } = await member.post('/me/keys', { name: 'x' });
  const lists = [0, 1].map((list) =>
    Array.from({ length: 200 }, (_, i) => `${`${list}${i}`.padStart(6, 'm').repeat(30)}*`),
  );
  for (const models of [...lists, ['*']])
    expect((await member.patch(`/me/keys/${key.id}`, { models })).status).toBe(200);
  const events = await gate.manage((store) => store.listAudit({ subject: key.id, limit: 10 }));
  expect(events.map(({ action }) => action)).toEqual(['key.set', 'key.set', 'key.set', 'key.create']);
  for (const event of events) expect(JSON.stringify(event).length).toBeLessThan(8_000);
});

describe('a bound key', () => {
  test('makes, changes and rotates only keys with at least its bounds, and grants no role', async () => {
    const expiresAt = Date.now() + 3_600_000;
    const { secret, id } = await gate.key({ scopes: ['management'], cidr: ['127.0.0.0/8'], expiresAt });
    const { id: open } = await gate.key({ scopes: ['management'] });
    const { account } = await gate.member({});
    const asked = { name: 'x', account: account.id };
    const { body: child, status } = await asKey(secret, 'POST', '/keys', asked);
    expect([status, child.cidr, child.expiresAt]).toEqual([201, ['127.0.0.0/8'], new Date(expiresAt).toISOString()]);
    const later = new Date(expiresAt + 1).toISOString();
    for (const [method, path, body] of [
      ['POST', '/keys', { ...asked, expiresAt: later }],
      ['POST', '/keys', { ...asked, cidr: ['0.0.0.0/0'] }],
      ['PATCH', `/keys/${child.id}`, { cidr: [] }],
      ['PATCH', `/keys/${child.id}`, { expiresAt: later }],
      ['PATCH', `/keys/${id}`, { expiresAt: null }],
      ['POST', `/keys/${open}/rotate`, {}],
      ['POST', '/accounts', { name: newMail(), role: 'operator' }],
      ['PATCH', `/accounts/${account.id}`, { role: 'auditor' }],
      ['POST', '/accounts/operator/links', { purpose: 'setup' }],
    ] as const) {
      const reply = await asKey(secret, method, path, body);
      expect([path, reply.status, reply.body.code]).toEqual([path, 403, 'forbidden']);
    }
    expect((await asKey(secret, 'POST', `/keys/${id}/rotate`, {})).status).toBe(201);
  });

  /** Each row that changes something for other people, and what a bound key may do there. */
  const boundMay: Readonly<Record<string, 'may' | 'may not' | 'depends'>> = {
    changeRegistration: 'may not',
    approveApplication: 'may not',
    rejectApplication: 'may',
    reconsiderApplication: 'may not',
    createConfirmation: 'may not',
    createInvite: 'may not',
    createAccount: 'depends',
    changeAccount: 'may not',
    changeAccounts: 'depends',
    changeKeys: 'may',
    unloadModel: 'may not',
    startPulls: 'may not',
    cancelPull: 'may',
    createLink: 'may not',
    createView: 'may not',
    endView: 'may not',
    closeAccount: 'may',
    createKey: 'may',
    rotateKey: 'may',
    changeKey: 'may',
    revokeKey: 'may',
    createPlan: 'may not',
    changePlan: 'may not',
    deletePlan: 'may',
    createRule: 'may',
    changeRule: 'may not',
    deleteRule: 'may not',
    createServer: 'may not',
    changeServer: 'may not',
    deleteServer: 'may not',
    createModelName: 'may not',
    changeModelName: 'may not',
    deleteModelName: 'may not',
    changeMaintenance: 'may not',
    changeSettings: 'may not',
    trySettings: 'may not',
    undoSettingChange: 'may not',
    createAnnouncement: 'may not',
    changeAnnouncement: 'may not',
    deleteAnnouncement: 'may not',
    createRoute: 'may not',
    changeRoute: 'may not',
    deleteRoute: 'may not',
    createSuspension: 'may',
    liftSuspension: 'may not',
    answerAppeal: 'depends',
  };

  test('admits no one, grants no authority and lifts no suspension, as the table says', async () => {
    const writing = endpoints.filter(({ needs }) => needs === 'management:write');
    const said = writing.map(({ name, boundKeys }) => [name, typeof boundKeys === 'function' ? 'depends' : boundKeys]);
    expect(Object.fromEntries(said)).toEqual(boundMay);
    const { account } = await gate.member({ tokensPerDay: 1_000 });
    const plan = account.plan as string;
    const { body: step } = await asKey((await gate.key({ scopes: ['management'] })).secret, 'POST', '/suspensions', {
      whom: account.id,
      step: 'slow',
      reason: 'a test.',
    });
    const mail = newMail();
    const { body: applied } = await new Visitor(gate.url).ask('POST', `${api}/applications`, {
      body: { name: mail, email: mail, purpose: 'x' },
    });
    const tries: Readonly<Record<string, readonly [method: string, path: string, body?: unknown]>> = {
      changeRegistration: ['PATCH', '/registration', { mode: 'open', plan }],
      approveApplication: ['POST', `/applications/${applied.id}/approve`, { plan: 'trusted' }],
      reconsiderApplication: ['POST', `/applications/${applied.id}/reconsider`],
      createConfirmation: ['POST', `/applications/${applied.id}/link`],
      createInvite: ['POST', '/invites', { plan: 'trusted' }],
      createAccount: ['POST', '/accounts', { name: newMail(), role: 'auditor' }],
      changeAccount: ['PATCH', `/accounts/${account.id}`, { plan: 'trusted' }],
      changeAccounts: ['POST', '/accounts/bulk', { action: 'plan', ids: [account.id], plan: 'trusted' }],
      unloadModel: ['POST', '/models/unload', { server: fake.url, model: 'gemma3:270m' }],
      startPulls: ['POST', '/pulls', { model: 'gemma3:270m' }],
      createLink: ['POST', `/accounts/${account.id}/links`, { purpose: 'setup' }],
      createView: ['POST', `/accounts/${account.id}/views`],
      endView: ['DELETE', '/views/nothing'],
      createPlan: ['POST', '/plans', { name: 'of-a-bound-key' }],
      changePlan: ['PATCH', `/plans/${plan}`, { tokensPerDay: null, models: ['*'] }],
      changeRule: ['PATCH', '/rules/busy-hour', { enabled: false }],
      deleteRule: ['DELETE', '/rules/busy-hour'],
      createServer: ['POST', '/servers', { name: 'of-a-bound-key', address: 'http://box' }],
      changeServer: ['PATCH', '/servers/nothing', {}],
      deleteServer: ['DELETE', '/servers/nothing'],
      createModelName: ['POST', '/model-names', { name: 'of-a-bound-key', target: 'llama3' }],
      changeModelName: ['PATCH', '/model-names/nothing', {}],
      deleteModelName: ['DELETE', '/model-names/nothing'],
      createAnnouncement: ['POST', '/announcements', { en: 'x' }],
      changeAnnouncement: ['PATCH', '/announcements/nothing', {}],
      deleteAnnouncement: ['DELETE', '/announcements/nothing'],
      changeMaintenance: ['PATCH', '/maintenance', { on: true }],
      changeSettings: ['PATCH', '/settings/general', { values: { gate_name: 'Bound' } }],
      trySettings: ['POST', '/settings/mail/trial', {}],
      undoSettingChange: ['POST', '/setting-changes/chg_nothing/undo'],
      createRoute: ['POST', '/routes', { name: 'of-a-bound-key', path: '/bound', upstreams: ['http://box'] }],
      changeRoute: ['PATCH', '/routes/nothing', {}],
      deleteRoute: ['DELETE', '/routes/nothing'],
      liftSuspension: ['POST', `/suspensions/${step.id}/lift`],
      answerAppeal: ['POST', `/suspensions/${step.id}/answer`, { text: 'x', lift: true }],
    };
    expect(Object.keys(tries).toSorted()).toEqual(
      Object.keys(boundMay)
        .filter((name) => boundMay[name] !== 'may')
        .toSorted(),
    );
    const bindings: Partial<NewKey>[] = [
      { expiresAt: Date.now() + 3_600_000 },
      { cidr: ['127.0.0.0/8'] },
      { models: ['llama3'] },
    ];
    for (const bound of bindings) {
      const { secret } = await gate.key({ scopes: ['management'], ...bound });
      for (const [name, [method, path, body]] of Object.entries(tries)) {
        const reply = await asKey(secret, method, path, body);
        expect([name, reply.status, reply.body.code]).toEqual([name, 403, 'forbidden']);
      }
      expect((await asKey(secret, 'POST', '/accounts', { name: newMail() })).status).toBe(201);
    }
  });

  test('passes on its own limits and no wider ones', async () => {
    const { account } = await gate.member({});
    await gate.manage((store, by) => setRole(store, account.id, 'operator', by));
    const limits = { tokensPerDay: 100 };
    const { secret } = await gate.key({ account: account.name, scopes: ['management'], limits });
    const asked = { name: 'x', account: account.id };
    const { body: child } = await asKey(secret, 'POST', '/keys', asked);
    expect(child.limits).toEqual(limits);
    const wider = await asKey(secret, 'POST', '/keys', { ...asked, limits: { tokensPerDay: 101 } });
    const changed = await asKey(secret, 'PATCH', `/keys/${child.id}`, { limits: {} });
    expect([wider.status, changed.status]).toEqual([403, 403]);
  });

  test('an auditor’s management key only reads', async () => {
    const auditor = await operatorOf(gate, 'auditor');
    const { body: key, status } = await auditor.post('/me/keys', { name: 'x', scopes: ['management:read'] });
    expect(status).toBe(201);
    expect((await asKey(key.secret, 'GET', '/accounts')).status).toBe(200);
    expect((await asKey(key.secret, 'POST', '/accounts', { name: newMail() })).status).toBe(403);
    expect((await auditor.post('/me/keys', { name: 'x', scopes: ['management:write'] })).status).toBe(403);
    const member = await memberOf(gate, newMail());
    expect((await member.post('/me/keys', { name: 'x', scopes: ['management:read'] })).status).toBe(403);
    const { account } = (await auditor.get('/session')).body;
    await gate.manage((store, by) => setRole(store, account.id, 'member', by));
    expect((await asKey(key.secret, 'GET', '/accounts')).status).toBe(401);
  });
});

describe('an event stream ends with the right to it', () => {
  /** Opens it; resolves when it has ended. */
  async function watching(headers: Readonly<Record<string, string>>): Promise<{ readonly ended: Promise<unknown> }> {
    const response = await fetch(`${gate.url}${api}/events`, { headers });
    expect(response.status).toBe(200);
    const reader = response.body!.getReader();
    await reader.read();
    const ended = (async () => {
      while (!(await reader.read()).done);
    })();
    return { ended };
  }

  test.each<[string, (id: string) => Promise<unknown>]>([
    ['is revoked', (id) => gate.manage((store, by) => revokeKey(store, id, by))],
    ['expires', (id) => change('keys', { expires_at: Date.now() - 1 }, id)],
    ['loses the scope', (id) => change('keys', { scopes: '["metadata"]' }, id)],
  ])('when the key %s', async (_how, end) => {
    const { id, secret } = await gate.key({ scopes: ['management:read'] });
    const { ended } = await watching({ 'x-api-key': secret });
    await end(id);
    await ended;
  });

  test.each<[string, (visitor: Visitor) => Promise<unknown>]>([
    ['signs out', (visitor) => visitor.auth('/sign-out', {})],
    [
      'gets a new password from another device',
      async (visitor) => {
        const { person } = (await visitor.get('/session')).body;
        const elsewhere = new Visitor(gate.url);
        await elsewhere.auth('/sign-in/email', { email: person.email, password: goodPassword });
        const change = {
          currentPassword: goodPassword,
          newPassword: 'gets a completely different password',
          revokeOtherSessions: true,
        };
        return elsewhere.auth('/change-password', change);
      },
    ],
    [
      'loses the role',
      async (visitor) => {
        const { account } = (await visitor.get('/session')).body;
        return gate.manage((store, by) => setRole(store, account.id, 'member', by));
      },
    ],
  ])('when the person %s', async (_how, end) => {
    await operatorOf(gate);
    const operator = await operatorOf(gate);
    const { ended } = await watching({ cookie: operator.cookie, 'sec-fetch-site': 'same-origin' });
    await end(operator);
    await ended;
  });

  const change = (table: string, set: Readonly<Record<string, unknown>>, id: string): Promise<unknown> =>
    gate.manage(({ signIn: { db } }) => db.updateTable(table).set(set).where('id', '=', id).execute());
});

describe('endless requests', () => {
  test('are slowed down person by person, and other people continue', async () => {
    const [busy, calm] = [await memberOf(gate, newMail()), await memberOf(gate, newMail())];
    const replies: Reply[] = [];
    while (replies.at(-1)?.body?.code !== 'too_many_requests' && replies.length < 3 * paces.read.each)
      replies.push(await busy.get('/me/export'));
    const refused = replies.pop()!;
    expect(replies.length).toBeGreaterThanOrEqual(paces.read.each);
    expect(replies.every(({ status }) => status === 200)).toBe(true);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await busy.get('/session')).status).toBe(200);
    expect((await calm.get('/me/export')).status).toBe(200);
  });

  test('for all of one’s own data let other requests in between, however long the ledger is', async () => {
    const member = await memberOf(gate, newMail());
    const { account } = (await member.get('/session')).body;
    await gate.manage((store) => store.appendUsage(rowsOf(account.id, 20_000)));
    const whole = { done: false, between: 0 };
    const exported = member.get('/me/export').finally(() => (whole.done = true));
    while (!whole.done) {
      expect((await fetch(`${gate.url}/healthz`)).status).toBe(200);
      whole.between++;
    }
    const { usageRows, moreUsageRows, usageByDay } = (await exported).body;
    expect([usageRows.length, moreUsageRows, usageByDay.length]).toEqual([10_000, true, 1]);
    // When the export was read in one go, only one or two were answered before and after it.
    expect(whole.between).toBeGreaterThan(5);
  });

  test('for one’s own data that hang up at once take no place from others', async () => {
    const member = await memberOf(gate, newMail());
    const head = `GET ${api}/me/export HTTP/1.1\r\nhost: ${new URL(gate.url).host}\r\nsec-fetch-site: same-origin\r\ncookie: ${member.cookie}\r\n\r\n`;
    for (let i = 0; i < 8; i++) {
      const client = new RawClient(gate.port);
      client.socket.write(head, () => client.socket.destroy());
      await client.closed;
    }
    await eventually(async () => expect((await member.get('/me/export')).status).toBe(200));
  });

  test('for all of one’s own data are answered one at a time', async () => {
    const member = await memberOf(gate, newMail());
    const statuses = (await Promise.all([1, 2, 3, 4, 5, 6].map(() => member.get('/me/export')))).map((r) => r.status);
    expect(statuses).toContain(200);
    expect(statuses.filter((status) => status !== 200).every((status) => status === 429)).toBe(true);
    await eventually(async () => expect((await member.get('/me/export')).status).toBe(200));
  });
});

test('an operator without limits who becomes a member has limits and can be suspended', async () => {
  const { account, secret } = await gate.manage(async (store, by) => {
    const made = await createAccount(store, newMail(), undefined, by, 'operator');
    expect(made.plan).toBe(unlimited);
    return { account: made, secret: '' };
  });
  expect(secret).toBe('');
  const { secret: boss } = await gate.key({ scopes: ['management'] });
  const { secret: theirs } = await gate.key({ account: account.name, scopes: ['models:delete', 'metadata'] });
  const remove = () =>
    fetch(`${gate.url}/api/delete`, { method: 'DELETE', headers: { 'x-api-key': theirs }, body: '{"model":"none"}' });
  expect((await remove()).status).not.toBe(403);
  const suspend = () => asKey(boss, 'POST', '/suspensions', { whom: account.id, step: 'review', reason: 'x' });
  expect((await suspend()).status).toBe(400);
  expect((await asKey(boss, 'PATCH', `/accounts/${account.id}`, { role: 'member' })).body).toMatchObject({
    plan: 'default',
    unlimited: false,
  });
  await eventually(async () => expect((await remove()).status).toBe(403));
  expect((await suspend()).status).toBe(201);
  await eventually(async () => {
    const answer = await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': theirs } });
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('suspended')]);
  });
});

test('an event stream does not keep reading the body that its GET announces', async () => {
  const { secret } = await gate.key({ scopes: ['management'] });
  const client = new RawClient(gate.port);
  client.write(
    `GET ${api}/events HTTP/1.1\r\nhost: localhost:${gate.port}\r\nx-api-key: ${secret}\r\ntransfer-encoding: chunked\r\n\r\n`,
  );
  await client.until('event: overview');
  const piece = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  const pump = setInterval(() => client.socket.writableLength < 1_000_000 && client.write(piece), 1);
  await client.closed;
  clearInterval(pump);
  expect(client.socket.bytesWritten).toBeLessThan(100_000_000);
});

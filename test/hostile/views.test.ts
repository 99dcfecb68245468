// An operator who views the pages of a member: sees what the member sees, and cannot change, learn or keep anything by it.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { viewMs } from '../../src/domain/view.ts';
import { lookForEnds } from '../../src/jobs/timed-ends.ts';
import { endpoints } from '../../src/management/endpoints.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, type TestGate } from '../gate.ts';
import { memberOf, operatorOf, type Reply, type Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let operator: Visitor;
let member: Visitor;
/** The member's account. */
let account: { readonly id: string; readonly name: string };
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '1000', STATUS_PAGE: 'on' });
  operator = await operatorOf(gate);
  await operator.patch('/registration', { mode: 'open', plan: 'default' });
  member = await memberOf(gate, 'seen@example.org');
  ({ account } = (await member.get('/session')).body);
  expect((await member.post('/me/keys', { name: 'theirs' })).status).toBe(201);
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const api = '/management/v1';
const begin = async (who = operator, whom = account.id): Promise<Reply> => who.post(`/accounts/${whom}/views`);
const beginAs = async (who = operator): Promise<string> => {
  const { status, body } = await begin(who);
  expect(status).toBe(201);
  return body.id as string;
};
const inView = (view: string, method: string, path: string, body?: unknown, who = operator): Promise<Reply> =>
  who.ask(method, path, { headers: { 'x-sekisho-view': view }, ...(body === undefined ? {} : { body }) });
const eventsOf = async (): Promise<Record<string, unknown>[]> =>
  (await operator.get(`/audit?subject=${account.id}`)).body.items.filter(({ action }: { action: string }) =>
    action.startsWith('account.view'),
  );

test('a view shows exactly the rows that read the member’s own things, as the member', async () => {
  const view = await beginAs();
  const answered: string[] = [];
  const bodies: Record<string, unknown> = {};
  for (const row of endpoints) {
    const path = api + row.path.replaceAll(/\{\w+\}/g, 'req_nothing');
    for (const method of row.method === 'get' ? ['GET', 'HEAD'] : [row.method.toUpperCase()]) {
      if (method === 'HEAD') {
        const headers = { cookie: operator.cookie, 'x-sekisho-view': view, 'sec-fetch-site': 'same-origin' };
        const { status } = await fetch(gate.url + path, { method, headers });
        expect([row.name, status === 403]).toEqual([row.name, !row.inView]);
        continue;
      }
      const { status, body, headers } = await inView(view, method, path, row.body ? {} : undefined);
      if (status === 403 && body.code === 'read_only_view') continue;
      expect([row.name, row.method, row.stream !== undefined]).toEqual([row.name, 'get', false]);
      expect(headers.get('set-cookie'), row.name).toBeNull();
      answered.push(row.name);
      bodies[row.name] = body;
    }
  }
  expect(answered.toSorted()).toEqual([
    'getOwnRequest',
    'getSelf',
    'getSession',
    'listOwnKeys',
    'listOwnLimits',
    'listOwnModels',
    'listOwnRequests',
    'listOwnSuspensions',
    'reportOwnUsage',
  ]);
  for (const method of ['PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY'])
    for (const path of [`${api}/me`, `${api}/nowhere`, `${api}/me/keys`, `${api}/leaks`])
      expect((await inView(view, method, path)).status, `${method} ${path}`).toBe(403);
  const { body: session } = await inView(view, 'GET', `${api}/session`);
  expect(session).toMatchObject({
    person: { email: 'seen@example.org', fresh: false },
    account: { id: account.id, role: 'member' },
    view: { id: view, account: account.id, accountName: account.name },
  });
  const { body: keys } = await inView(view, 'GET', `${api}/me/keys`);
  expect(keys.items).toMatchObject([{ name: 'theirs' }]);
  expect(JSON.stringify([session, keys, bodies])).not.toMatch(/sekisho_\w{20}/);
  // Nothing of sign-in either: a session is the operator's own.
  for (const path of ['/list-sessions', '/passkey/list-user-passkeys', '/passkey/generate-register-options'])
    expect((await inView(view, 'GET', `/portal/auth${path}`)).body.code).toBe('read_only_view');
  for (const path of ['/sign-out', '/revoke-other-sessions', '/two-factor/generate-backup-codes'])
    expect((await inView(view, 'POST', `/portal/auth${path}`, {})).body.code).toBe('read_only_view');
  // Without the header the operator is the operator, and the data plane knows no views.
  expect((await operator.get('/session')).body).toMatchObject({ view: null, account: { role: 'operator' } });
  expect((await inView(view, 'POST', '/api/chat', { model: 'gemma3:270m', messages: [] })).status).toBe(401);
  expect((await operator.delete(`/views/${view}`)).status).toBe(204);
});

test('a view is for an operator with a recent sign-in, of a member who signs in, and for that session alone', async () => {
  const [other, auditor] = [await operatorOf(gate), await operatorOf(gate, 'auditor')];
  const { secret } = await gate.key({ scopes: ['management'] });
  const { body: nobody } = await operator.post('/accounts', { name: 'nobody signs in' });
  const own = (await operator.get('/session')).body.account;
  expect((await begin(auditor)).status).toBe(403);
  expect((await begin(member)).status).toBe(403);
  expect((await begin(operator, nobody.id)).body).toMatchObject({ code: 'conflict', reason: 'view_of_nobody' });
  expect((await begin(operator, own.id)).body).toMatchObject({ code: 'conflict', reason: 'view_of_member' });
  expect((await begin(operator, 'acc_nothing')).status).toBe(404);
  const withKey = await fetch(`${gate.url}${api}/accounts/${account.id}/views`, {
    method: 'POST',
    headers: { 'x-api-key': secret },
  });
  expect(withKey.status).toBe(403);
  const view = await beginAs();
  for (const who of [other, auditor, member])
    expect((await inView(view, 'GET', `${api}/me`, undefined, who)).body.code).toBe('view_over');
  expect((await inView('view_nothing', 'GET', `${api}/me`)).body.code).toBe('view_over');
  const key = await fetch(`${gate.url}${api}/me`, { headers: { 'x-api-key': secret, 'x-sekisho-view': view } });
  expect(key.status).toBe(403);
  const none = await fetch(`${gate.url}${api}/session`, { headers: { 'x-sekisho-view': view } });
  expect(none.status).toBe(401);
  expect((await other.delete(`/views/${view}`)).status).toBe(404);
  expect((await inView(view, 'GET', `${api}/me`)).status).toBe(200);
  const { person } = (await other.get('/session')).body;
  await gate.manage(({ signIn: { db } }) =>
    db
      .updateTable('sessions')
      .set({ createdAt: new Date(Date.now() - 11 * 60_000).toISOString() })
      .where('userId', '=', person.id)
      .execute(),
  );
  expect((await begin(other)).body.code).toBe('sign_in_again');
});

test('a view ends when it is left, by itself, and with session, role and member; each start and end is written down', async () => {
  const before = (await eventsOf()).length;
  const looks = async (view: string, who = operator): Promise<number> =>
    (await inView(view, 'GET', `${api}/me`, undefined, who)).status;
  const end = (): Promise<void> =>
    gate.manage((store) => lookForEnds(store, (work) => store.atomically(work), Date.now()));
  const left = await beginAs();
  expect((await operator.delete(`/views/${left}`)).status).toBe(204);
  expect([await looks(left), (await operator.delete(`/views/${left}`)).status]).toEqual([403, 404]);

  const late = await beginAs();
  await gate.manage(({ signIn: { db } }) =>
    db
      .updateTable('views')
      .set({ started_at: Date.now() - viewMs })
      .where('id', '=', late)
      .execute(),
  );
  expect(await looks(late)).toBe(403);

  const other = await operatorOf(gate);
  const { person } = (await other.get('/session')).body;
  const ended = await beginAs(other);
  expect(await looks(ended, other)).toBe(200);
  await other.auth('/sign-out', {});
  await end();
  await end();
  const events = (await eventsOf()).slice(0, -before || undefined);
  const own = `person:${(await operator.get('/session')).body.person.id as string}`;
  const told = events.map(({ actor, action, to }) =>
    JSON.stringify([actor, action, (to as { endsAt?: string }).endsAt ? {} : to]),
  );
  expect(told.toSorted()).toEqual(
    [
      [own, 'account.view-begun', {}],
      [own, 'account.view-begun', {}],
      [own, 'account.view-ended', { because: 'left' }],
      [`person:${person.id as string}`, 'account.view-begun', {}],
      ['gate', 'account.view-ended', { by: own.slice(7), because: 'time' }],
      ['gate', 'account.view-ended', { by: person.id, because: 'session' }],
    ]
      .map((event) => JSON.stringify(event))
      .toSorted(),
  );
  // The member's own data tells of it.
  const { audit } = (await member.get('/me/export')).body;
  expect(audit.map(({ action }: { action: string }) => action)).toContain('account.view-begun');

  const demoted = await operatorOf(gate);
  const view = await beginAs(demoted);
  const { account: boss } = (await demoted.get('/session')).body;
  await gate.manage(({ signIn: { db } }) =>
    db.updateTable('accounts').set({ role: 'auditor' }).where('id', '=', boss.id).execute(),
  );
  expect(await looks(view, demoted)).toBe(403);

  const gone = await beginAs();
  expect((await operator.patch(`/accounts/${account.id}`, { role: 'auditor' })).status).toBe(200);
  expect(await looks(gone)).toBe(403);
});

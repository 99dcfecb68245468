// Keys by application: who may apply, who decides, and that the key reaches the applicant and no one else.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { setRegistration } from '../../src/management/applications/applications.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post, run, sekisho, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let boss: string;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '100000' });
  ({ secret: boss } = await gate.key({ scopes: ['management'] }));
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});
beforeEach(() => mode('closed'));

function mode(name: string, extra: object = {}): Promise<unknown> {
  return gate.manage((store, by) => setRegistration(store, { mode: name, ...extra }, by));
}

interface Answer {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- shapes are checked in management-api.test.ts
  readonly body: any;
}

async function ask(method: string, path: string, body?: unknown, secret = ''): Promise<Answer> {
  const response = await fetch(`${gate.url}/management/v1${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...(secret === '' ? {} : { 'x-api-key': secret }) },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

let people = 0;
const person = (extra: object = {}): object => ({
  name: '花子',
  email: `Hanako${++people}@Example.org`,
  purpose: '卒業論文',
  ...extra,
});
const apply = (extra: object = {}): Promise<Answer> => ask('POST', '/applications', person(extra));
const claim = ({ body }: Answer): Promise<Answer> =>
  ask('POST', `/applications/${body.id as string}/claim`, { claim: body.claim as string });

async function works(secret: string): Promise<number> {
  const whole = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'なぜ空は青いのですか?' }], stream: false };
  return (await post(`${gate.url}/api/chat`, secret, whole)).status;
}

test('a gate takes no applications until its operator opens registration', async () => {
  expect(await ask('GET', '/registration/open')).toMatchObject({ status: 200, body: { mode: 'closed' } });
  expect(await apply()).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  expect((await ask('GET', '/applications', undefined, boss)).body.items).toEqual([]);
});

test('open: an applicant gets the key at once and makes a first call', async () => {
  await mode('open', { plan: 'trial' });
  const applied = await apply();
  expect(applied).toMatchObject({ status: 201, body: { status: 'approved' } });
  const got = await claim(applied);
  expect(got).toMatchObject({
    status: 200,
    body: { status: 'approved', key: { status: 'active', name: 'first key' } },
  });
  expect(await works(got.body.key.secret)).toBe(200);
  const account = (await ask('GET', `/accounts/${got.body.key.account as string}`, undefined, boss)).body;
  expect(account).toMatchObject({ plan: 'trial', name: expect.stringMatching(/^花子/) });
});

test('approval: an operator decides, with a plan and a note; the key waits for the applicant', async () => {
  await mode('approval');
  const [first, second] = [await apply({ models: ['gemma3:4b'] }), await apply()];
  expect(first.body.status).toBe('pending');
  expect((await claim(first)).body).toEqual({ status: 'pending', decision: null, key: null });
  const waiting = (await ask('GET', '/applications?status=pending', undefined, boss)).body.items;
  expect(waiting.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining([second.body.id, first.body.id]));
  expect(waiting.find(({ id }: { id: string }) => id === first.body.id)).toMatchObject({ models: ['gemma3:4b'] });

  const decision = { plan: 'trusted', decision: 'ようこそ' };
  const decide = (id: string, verb: string, body: object): Promise<Answer> =>
    ask('POST', `/applications/${id}/${verb}`, body, boss);
  expect(await decide(first.body.id, 'approve', decision)).toMatchObject({ status: 200, body: { status: 'approved' } });
  expect((await decide(first.body.id, 'reject', {})).status).toBe(409);
  await decide(second.body.id, 'reject', { decision: 'またの機会に' });
  expect((await claim(second)).body).toEqual({ status: 'rejected', decision: 'またの機会に', key: null });
  const got = await claim(first);
  expect(got.body.decision).toBe('ようこそ');
  expect(await works(got.body.key.secret)).toBe(200);
});

test('invite: a code admits one person, with the address it was made for, while it is valid', async () => {
  await mode('invite');
  const invite = async (body: object): Promise<string> => (await ask('POST', '/invites', body, boss)).body.code;
  expect((await apply()).status).toBe(403);
  expect((await apply({ invite: 'invite_guess' })).status).toBe(403);
  const bound = await invite({ email: 'taro@example.org', plan: 'trusted' });
  expect((await apply({ invite: bound })).status).toBe(403);
  const taro = await apply({ email: 'Taro@example.org', invite: bound });
  expect(taro.body.status).toBe('approved');
  const key = (await claim(taro)).body.key;
  expect((await ask('GET', `/accounts/${key.account as string}`, undefined, boss)).body.plan).toBe('trusted');

  const free = await invite({});
  const answers = await Promise.all(Array.from({ length: 20 }, () => apply({ invite: free })));
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  const listed = (await ask('GET', '/invites', undefined, boss)).body.items;
  expect(JSON.stringify(listed)).not.toContain(free);
  expect((await ask('POST', '/invites', { expiresAt: '2001-01-01T00:00:00Z' }, boss)).status).toBe(400);
});

test('an invitation is used up by a successful application and by no failed one', async () => {
  const { code } = (await ask('POST', '/invites', {}, boss)).body;
  expect((await apply({ invite: code })).status).toBe(403);
  await mode('approval', { maxPending: 0 });
  expect((await apply({ invite: code })).status).toBe(409);
  await mode('approval', { maxPending: 1000 });
  expect((await apply({ invite: code, purpose: ' ' })).status).toBe(400);
  expect((await apply({ invite: code })).body).toMatchObject({ status: 'approved' });
  expect((await apply({ invite: code })).status).toBe(403);
});

test('simultaneous applications with one address each get an account of their own', async () => {
  await mode('open');
  const email = `together-${++people}@example.org`;
  const password = 'tsuru no ongaeshi';
  const answers = await Promise.all(Array.from({ length: 3 }, () => apply({ email, password })));
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
  const accounts = await Promise.all(answers.map(async (each) => (await claim(each)).body.key.account as string));
  expect(new Set(accounts).size).toBe(3);
});

describe('the key', () => {
  test('A4: is handed over once, however many requests ask for it at once', async () => {
    await mode('open');
    const applied = await apply();
    const answers = await Promise.all(Array.from({ length: 12 }, () => claim(applied)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const keys = answers.flatMap(({ body }) => body.key ?? []);
    expect(keys).toHaveLength(1);
    const account = keys[0].account as string;
    expect((await ask('GET', `/keys?account=${account}`, undefined, boss)).body.items).toHaveLength(1);
  });

  test('is given to no one else: a wrong token, another applicant’s token and a missing application look alike', async () => {
    await mode('open');
    const [mine, other] = [await apply(), await apply()];
    const tries = [
      ['/applications/app_nothing/claim', mine.body.claim],
      [`/applications/${mine.body.id as string}/claim`, other.body.claim],
      [`/applications/${mine.body.id as string}/claim`, 'x'],
    ] as const;
    const answers = await Promise.all(tries.map(([path, token]) => ask('POST', path, { claim: token as string })));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.detail as string}`))).toEqual(
      new Set(['404 There is no such application.']),
    );
    expect((await claim(mine)).body.key).not.toBeNull();
  });
});

test('an unconfirmed address never leads into an existing account', async () => {
  await mode('open');
  const email = 'victim@example.org';
  const [first, second] = [await apply({ email }), await apply({ email: ' VICTIM@EXAMPLE.ORG ' })];
  const [a, b] = [(await claim(first)).body.key.account, (await claim(second)).body.key.account];
  expect(a).not.toBe(b);
  const operator = await apply({ email: 'operator@example.org', name: 'operator' });
  const account = (await claim(operator)).body.key.account as string;
  expect((await ask('GET', `/accounts/${account}`, undefined, boss)).body.plan).toBe('trial');
});

test('too many waiting applications, and too many from one address, are refused', async () => {
  await mode('approval', { maxPending: 2 });
  await Promise.all(
    (await ask('GET', '/applications?status=pending', undefined, boss)).body.items.map(({ id }: { id: string }) =>
      ask('POST', `/applications/${id}/reject`, {}, boss),
    ),
  );
  expect([(await apply()).status, (await apply()).status, (await apply()).status]).toEqual([201, 201, 409]);
  await mode('approval', { maxPending: 1000 });
  const tight = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '2' });
  try {
    await tight.manage((store, by) => setRegistration(store, { mode: 'open' }, by));
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) {
      const response = await fetch(`${tight.url}/management/v1/applications`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(person()),
      });
      statuses.push(response.status);
    }
    expect(statuses).toEqual([201, 201, 429]);
  } finally {
    await tight.stop();
  }
});

test.each([
  'no address',
  'a@b',
  'a@b@c.org',
  'a＠b.org',
  'а@b.org'.normalize(),
  'a b@c.org',
  'a@b..org',
  '@b.org',
  'a@-b.org',
])('A9: %j is not an email address', async (email) => {
  await mode('open');
  expect((await apply({ email })).status).toBe(400);
});

test('A18: tokens and codes are stored nowhere: not in the database, the audit log or the log', async () => {
  await mode('open');
  const applied = await apply();
  const code = (await ask('POST', '/invites', {}, boss)).body.code as string;
  await claim(applied);
  // Read by another process: closing a file that SQLite has open here would drop its locks.
  const { out: pages } = await run('sh', ['-c', `cat ${gate.dataDir}/sekisho.db*`]);
  expect(pages).toContain('registration:open');
  for (const secret of [applied.body.claim as string, code]) {
    expect(pages).not.toContain(secret);
    expect(gate.log()).not.toContain(secret);
  }
});

test('the command line decides on applications in the same way', async () => {
  const environment = { DATA_DIR: gate.dataDir };
  const command = async (...words: string[]): Promise<Answer['body']> => {
    const { code, out, err } = await sekisho([...words, '--json'], environment);
    expect(err).toBe('');
    expect(code).toBe(0);
    return JSON.parse(out);
  };
  expect(await command('registration', 'set', 'mode=approval', 'maxPending=50')).toMatchObject({ mode: 'approval' });
  const applied = await apply();
  expect(applied.body.status).toBe('pending');
  expect((await command('application', 'list')).map(({ id }: { id: string }) => id)).toContain(applied.body.id);
  expect(await command('application', 'approve', applied.body.id, '--plan', 'trusted')).toMatchObject({
    status: 'approved',
    decidedBy: expect.stringMatching(/^cli:/),
  });
  expect((await claim(applied)).body.key.secret).toMatch(/^sekisho_/);
  const made = await command('invite', 'create', '--email', 'jiro@example.org');
  expect((await apply({ email: 'jiro@example.org', invite: made.code })).body.status).toBe('approved');
  expect((await command('invite', 'list'))[0]).toMatchObject({ id: made.id, usedAt: expect.any(String) });
  const { code, err } = await sekisho(['registration', 'set', 'mode=anything'], environment);
  expect([code, err]).toEqual([2, 'mode must be one of open, domain, invite, approval, closed.\n']);
});

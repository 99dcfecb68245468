// Settings that are changed while the gate runs: they hold without a restart and after one, in every process, are refused where they
// cannot stand, and can be taken back.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeSettings } from '../../src/management/settings/change-settings.ts';
import { loadConfig } from '../../src/settings/config.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { author, openGate, sekisho, type TestGate, temporaryDirectory, withinASecond } from '../gate.ts';
import { type Mailbox, openMailbox } from '../mailbox.ts';
import { clientSecret, type Provider, startProvider } from '../provider.ts';
import { operatorOf, type Reply, through, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let operator: Visitor;
let mailbox: Mailbox;
let provider: Provider;
const keyFile = join(temporaryDirectory(), 'key');
beforeAll(async () => {
  writeFileSync(keyFile, randomBytes(32).toString('hex'), { mode: 0o600 });
  fake = await startFakeOllama();
  [mailbox, provider] = await Promise.all([openMailbox(), startProvider()]);
  gate = await openGate(fake.url, { SERVER_SECRET_KEY: keyFile, QUEUE_LENGTH: '7' });
  operator = await operatorOf(gate);
});
afterAll(async () => {
  await Promise.all([gate.stop(), fake.close(), mailbox.close(), provider.close()]);
});

const contextOf = (environment: Record<string, string>) => ({
  live: loadConfig(environment).live,
  settingTools: { keyFile: '', signInAt: '' },
});
const set = (group: string, values: object, headers: Record<string, string> = {}): Promise<Reply> =>
  operator.ask('PATCH', `/management/v1/settings/${group}`, { body: { values }, headers });
const undo = (id: string): Promise<Reply> => operator.post(`/setting-changes/${id}/undo`);
const changes = async () => (await operator.get('/setting-changes')).body.items;
const valueOf = ({ body }: Reply, name: string) =>
  body.settings.find((each: { readonly name: string }) => each.name === name);
const nameShown = async (): Promise<string> => (await new Visitor(gate.url).get('/session')).body.gate.name;

test('a change holds at once, is in the audit log, and is taken back with an event of its own', async () => {
  const { status, body } = await set('general', { gate_name: 'Campus', appeal_contact: 'help@example.org' });
  expect(status).toBe(200);
  expect(valueOf({ body } as Reply, 'gate_name')).toMatchObject({
    value: 'Campus',
    source: 'stored',
    default: 'Sekisho',
  });
  await withinASecond(async () => expect(await nameShown()).toBe('Campus'));
  const [change] = await changes();
  expect(change).toMatchObject({
    group: 'general',
    from: { gate_name: null, appeal_contact: null },
    to: { gate_name: 'Campus', appeal_contact: 'help@example.org' },
    undoneBy: null,
  });
  expect((await undo(change.id)).body.undoneBy).toMatch(/^chg_/);
  await withinASecond(async () => expect(await nameShown()).toBe('Sekisho'));
  const [undone, first] = (await operator.get('/audit?subject=general')).body.items;
  expect([undone.action, first.action]).toEqual(['setting.undo', 'setting.set']);
  expect(undone.to).toEqual({ gate_name: null, appeal_contact: null });
  expect((await undo(change.id)).body).toMatchObject({ code: 'conflict', reason: 'setting_change_undone' });
  // What took it back can be taken back itself.
  const [taking] = await changes();
  expect((await undo(taking.id)).status).toBe(200);
  await withinASecond(async () => expect(await nameShown()).toBe('Campus'));
  await set('general', { gate_name: null, appeal_contact: null });
});

test('a change that was changed again since is not taken back, and the refusal names what was', async () => {
  await set('general', { gate_name: 'One', status_page: 'on' });
  const [first] = await changes();
  await set('general', { gate_name: 'Two' });
  const [second] = await changes();
  expect((await undo(first.id)).body).toMatchObject({
    code: 'conflict',
    reason: 'setting_change_since',
    parameters: { names: 'gate_name' },
  });
  expect((await undo(second.id)).status).toBe(200);
  // Now it stands as that change left it.
  expect((await undo(first.id)).status).toBe(200);
  expect(valueOf(await operator.get('/settings/general'), 'status_page')).toMatchObject({
    value: 'off',
    source: 'default',
  });
});

test('of two operators who edit the same settings the second is told, and nothing of the first is lost', async () => {
  const seen = (await operator.get('/settings/general')).headers.get('etag') ?? '';
  const answers = await Promise.all(
    ['A', 'B', 'C', 'D'].map((name) => set('general', { gate_name: name }, { 'if-match': seen })),
  );
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412, 412, 412]);
  const won = valueOf(answers.find(({ status }) => status === 200) as Reply, 'gate_name').value;
  expect(valueOf(await operator.get('/settings/general'), 'gate_name').value).toBe(won);
  // Another group is another edit.
  const limits = (await operator.get('/settings/limits')).headers.get('etag') ?? '';
  await set('general', { gate_name: null });
  expect((await set('limits', { body_seconds: 119 }, { 'if-match': limits })).status).toBe(200);
  await set('limits', { body_seconds: null });
});

test('what the file or the environment sets is shown as fixed and cannot be changed', async () => {
  const limits = await operator.get('/settings/limits');
  expect(valueOf(limits, 'queue_length')).toMatchObject({ value: 7, source: 'fixed', fixedBy: 'QUEUE_LENGTH' });
  const refused = await set('limits', { queue_length: 9 });
  expect(refused.body).toMatchObject({
    code: 'conflict',
    reason: 'setting_fixed',
    parameters: { name: 'queue_length', by: 'QUEUE_LENGTH' },
  });
});

test('a value is read as at the start, and every fault is said with its name', async () => {
  const refusals: readonly [string, object, string][] = [
    ['general', { gate_name: '' }, 'field_short'],
    ['general', { gate_name: 'a\nb' }, 'field_fault'],
    ['general', { queue_length: 1 }, 'setting_missing'],
    ['general', { data_dir: '/' }, 'setting_missing'],
    ['general', { status_page: 'maybe' }, 'field_choice'],
    ['limits', { body_seconds: 0 }, 'field_small'],
    ['limits', { body_seconds: '' }, 'field_type'],
    ['limits', { body_limit_bytes: 1.5 }, 'field_type'],
    ['access', { cors_origins: ['https://a.example/path'] }, 'field_fault'],
    ['mail', { smtp_url: 'http://x' }, 'field_fault'],
    [
      'mail',
      { smtp_url: 'smtp://me:secret@mail.example.org', mail_from: 'a@example.org' },
      'setting_password_in_address',
    ],
    ['mail', { smtp_url: 'smtp://mail.example.org' }, 'setting_sender'],
    ['mail', { smtp_password: 'x' }, 'setting_password_alone'],
    ['provider', { oidc_issuer: 'https://id.example.org' }, 'setting_client'],
    ['provider', { oidc_confirmed_issuer: 'https://id.example.org' }, 'setting_trust'],
    ['appearance', { accent_color: 'red' }, 'field_fault'],
    ['appearance', { logo: 'data:image/svg+xml;base64,PHN2Zz48c2NyaXB0Lz48L3N2Zz4=' }, 'field_fault'],
  ];
  for (const [group, values, reason] of refusals) {
    const { status, body } = await set(group, values);
    expect([status >= 400 && status < 500, body.reason], JSON.stringify(values)).toEqual([true, reason]);
  }
  expect((await operator.get('/settings/none')).status).toBe(404);
  const auditor = await operatorOf(gate, 'auditor');
  expect((await auditor.patch('/settings/general', { values: { gate_name: 'X' } })).status).toBe(403);
  expect((await auditor.get('/settings')).status).toBe(200);
});

test('a password of mail is stored encrypted and shown to nobody, and belongs to its server', async () => {
  const secret = 'a very secret pass word';
  const url = mailbox.url.replace('smtp://', 'smtp://gate@');
  const trial = { smtp_url: mailbox.url, mail_from: 'Gate <gate@example.org>' };
  const sent = await operator.post('/settings/mail/trial', { values: trial, to: 'ada@example.org' });
  expect(sent.body).toEqual({ works: true, step: 'mail', to: 'ada@example.org', problem: null });
  expect((await mailbox.to('ada@example.org')).text).toContain('An operator of Sekisho');
  expect((await operator.get('/settings/mail')).body.version).toBe(0);
  const dead = await operator.post('/settings/mail/trial', { values: { ...trial, smtp_url: 'smtp://127.0.0.1:9' } });
  expect(dead.body).toMatchObject({ works: false, problem: expect.stringContaining('ECONNREFUSED') });

  expect((await set('mail', { ...trial, smtp_url: url, smtp_password: secret })).status).toBe(200);
  const shown = [await operator.get('/settings'), await operator.get('/setting-changes'), await operator.get('/audit')];
  for (const { text } of shown) expect(text).not.toContain('secret pass');
  expect(valueOf(await operator.get('/settings/mail'), 'smtp_password')).toMatchObject({ value: null, isSet: true });
  await withinASecond(async () => expect((await operator.get('/session')).body.signIn.mail).toBe(true));
  const moved = await set('mail', { smtp_url: 'smtp://gate@elsewhere.example.org' });
  expect(moved.body).toMatchObject({
    reason: 'setting_secret_again',
    parameters: { name: 'smtp_password', of: 'smtp_url' },
  });
  expect((await set('mail', { smtp_url: null })).status).toBe(200);
  expect(valueOf(await operator.get('/settings/mail'), 'smtp_password').isSet).toBe(false);
  const [change] = await changes();
  expect((await undo(change.id)).status).toBe(200);
  expect(valueOf(await operator.get('/settings/mail'), 'smtp_password').isSet).toBe(true);
  await set('mail', { smtp_url: null, mail_from: null });
  const { out } = await sekisho(['audit', '--subject', 'mail', '--json'], { DATA_DIR: gate.dataDir });
  expect(out).toContain('[new secret]');
  expect(out).not.toContain('secret pass');
});

test('a provider is tried out, taken over, and gone again without a restart', async () => {
  const values = {
    oidc_issuer: provider.url,
    oidc_client_id: 'gate',
    oidc_client_secret: clientSecret,
    oidc_name: 'Campus',
  };
  const trial = async (over: object) =>
    (await operator.post('/settings/provider/trial', { values: { ...values, ...over } })).body;
  expect(await trial({})).toEqual({ works: true, step: 'client', to: null, problem: null });
  expect(await trial({ oidc_client_secret: 'wrong' })).toMatchObject({ works: false, step: 'client' });
  expect(await trial({ oidc_issuer: `${provider.url}/nowhere` })).toMatchObject({ works: false, step: 'discovery' });
  const providers = async () => (await new Visitor(gate.url).get('/session')).body.signIn.providers;
  expect(await providers()).toEqual([]);
  expect((await set('provider', values)).status).toBe(200);
  await withinASecond(async () => expect(await providers()).toEqual([{ id: 'oidc', name: 'Campus' }]));
  const begun = await new Visitor(gate.url).auth('/sign-in/provider', { provider: 'oidc' });
  expect(begun.body.url).toContain(`${provider.url}/authorize`);
  await set('provider', Object.fromEntries(Object.keys(values).map((name) => [name, null])));
  await withinASecond(async () => expect(await providers()).toEqual([]));
  expect((await new Visitor(gate.url).auth('/sign-in/provider', { provider: 'oidc' })).status).toBe(404);
});

test('the provider stays while every operator signs in through it alone', async () => {
  const own = await openGate(fake.url, { SERVER_SECRET_KEY: keyFile });
  try {
    const first = await operatorOf(own);
    await first.patch('/registration', { mode: 'open' });
    const values = { oidc_issuer: provider.url, oidc_client_id: 'sekisho', oidc_client_secret: clientSecret };
    const change = (to: object) => first.ask('PATCH', '/management/v1/settings/provider', { body: { values: to } });
    expect((await change(values)).status).toBe(200);
    await withinASecond(async () =>
      expect((await new Visitor(own.url).get('/session')).body.signIn.providers).toHaveLength(1),
    );
    provider.person = { sub: 'hanako', email: 'hanako@campus.example', email_verified: true, name: 'Hanako' };
    const hanako = new Visitor(own.url);
    await through(hanako);
    const applied = await hanako.post('/applications', {
      name: 'Hanako',
      email: 'hanako@campus.example',
      purpose: 'papers',
    });
    expect(applied.body).toMatchObject({ status: 'approved' });
    const environment = { DATA_DIR: own.dataDir, SERVER_SECRET_KEY: keyFile };
    const run = (words: string) => sekisho(words.split(' '), environment);
    expect(await run('account set Hanako --role operator')).toMatchObject({ code: 0, err: '' });
    // Another operator has a password.
    expect(await run('setting set oidc_client_id=other oidc_client_secret=other')).toMatchObject({ code: 0, err: '' });
    expect(await run('account close operator-1 --yes')).toMatchObject({ code: 0, err: '' });
    const refused = await run('setting set oidc_client_id=gate oidc_client_secret=gate');
    expect([refused.code, refused.err]).toEqual([4, expect.stringContaining('could be locked out')]);
  } finally {
    await own.stop();
  }
});

test('registration is in the same list of changes, and is taken back there', async () => {
  await operator.patch('/registration', { mode: 'approval', maxPending: 5 });
  const [change] = await changes();
  expect(change).toMatchObject({
    group: 'registration',
    from: { mode: 'closed', maxPending: 200 },
    to: { mode: 'approval' },
  });
  expect((await undo(change.id)).status).toBe(200);
  expect((await operator.get('/registration')).body).toMatchObject({ mode: 'closed', maxPending: 200 });
});

test('the command changes the same settings, and a running gate follows', async () => {
  const environment = { DATA_DIR: gate.dataDir };
  const made = await sekisho(['setting', 'set', 'gate_name=Old Mill', '--json'], environment);
  expect(JSON.parse(made.out)).toMatchObject([{ name: 'gate_name', value: 'Old Mill', source: 'stored' }]);
  await withinASecond(async () => expect(await nameShown()).toBe('Old Mill'));
  const [{ id }] = await changes();
  const [list, fixed, undone] = await Promise.all([
    sekisho(['setting', 'list'], environment),
    sekisho(['setting', 'set', 'slots=3'], { ...environment, OLLAMA_NUM_PARALLEL: '4' }),
    sekisho(['setting', 'undo', id], environment),
  ]);
  expect(list.out).toMatch(/^smtp_url/m);
  expect([fixed.code, fixed.err]).toEqual([4, expect.stringContaining('OLLAMA_NUM_PARALLEL')]);
  expect(undone.code).toBe(0);
  await withinASecond(async () => expect(await nameShown()).toBe('Sekisho'));
});

test('settings that were changed are there after a restart, from the first answer on', async () => {
  const environment = { DATA_DIR: temporaryDirectory() };
  const first = await openGate(fake.url, environment);
  const store = await openSqlite(environment.DATA_DIR);
  await changeSettings(store, contextOf(environment), 'access', { cors_origins: ['https://app.example'] }, author());
  await store.close();
  await first.stop();
  const second = await openGate(fake.url, environment);
  const answer = await fetch(second.url, { headers: { origin: 'https://app.example' } });
  expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example');
  await second.stop();
});

test('a stored secret without its key leaves its setting empty, says so, and keeps nothing else from changing', async () => {
  await set('mail', { smtp_url: 'smtp://gate@127.0.0.1:9', smtp_password: 'x', mail_from: 'a@example.org' });
  writeFileSync(keyFile, randomBytes(32).toString('hex'));
  const mail = await operator.get('/settings/mail');
  expect(valueOf(mail, 'smtp_password')).toMatchObject({
    isSet: false,
    problem: expect.stringContaining('another key'),
  });
  expect((await set('general', { gate_name: 'Still' })).status).toBe(200);
  expect((await set('mail', { smtp_url: null, mail_from: null })).status).toBe(200);
});

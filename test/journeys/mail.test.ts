// A gate with mail: addresses are confirmed before a key is issued, emails tell people what happened to them, and nobody can
// find out from outside who has an account.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { answer, appeal, suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, type TestGate } from '../gate.ts';
import { type Mailbox, openMailbox } from '../mailbox.ts';
import { codeOf, goodPassword, operatorOf, type Reply, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let mailbox: Mailbox;
let gate: TestGate;
let operator: Visitor;
beforeAll(async () => {
  fake = await startFakeOllama();
  mailbox = await openMailbox();
  gate = await openGate(fake.url, {
    APPLICATIONS_PER_MINUTE: '100000',
    SMTP_URL: mailbox.url,
    MAIL_FROM: 'Sekisho <gate@example.org>',
    GATE_NAME: '研究室の門',
  });
  operator = await operatorOf(gate);
  await operator.patch('/registration', { mode: 'open' });
});
afterAll(async () => {
  await gate.stop();
  await mailbox.close();
  await fake.close();
});

const linkIn = (text: string): string => /http\S+#link_\w+/.exec(text)?.[0] ?? '';
const apply = (visitor: Visitor, email: string, more: Record<string, unknown> = {}): Promise<Reply> =>
  visitor.post('/applications', { name: 'n', email, purpose: 'p', password: goodPassword, ...more });

/** A person who has applied, confirmed their address and signed in. */
async function member(email: string, more: Record<string, unknown> = {}): Promise<Visitor> {
  const visitor = new Visitor(gate.url);
  const { body } = await apply(visitor, email, more);
  expect(body).toMatchObject({ status: 'pending', confirm: true });
  const { text } = await mailbox.to(email, (body.id as string).slice(-6));
  expect((await new Visitor(gate.url).post('/confirmations', { code: codeOf(linkIn(text)) })).status).toBe(204);
  expect((await visitor.auth('/sign-in/email', { email, password: goodPassword })).status).toBe(200);
  return visitor;
}

test('open: the key is issued when the address is confirmed with a button, not when the link is opened', async () => {
  const visitor = new Visitor(gate.url);
  const { body: applied } = await apply(visitor, 'taro@example.org', { language: 'ja' });
  expect(visitor.cookies.size).toBe(0);
  const { subject, text } = await mailbox.to('taro@example.org');
  expect([subject, text]).toEqual(['[研究室の門] メールアドレスの確認', expect.stringContaining('一度だけ')]);
  // A mail scanner that opens the link changes nothing.
  expect((await fetch(linkIn(text))).status).toBe(200);
  const claim = (): Promise<Reply> => visitor.post(`/applications/${applied.id}/claim`, { claim: applied.claim });
  expect((await claim()).body).toMatchObject({ status: 'pending', key: null });
  const code = codeOf(linkIn(text));
  expect((await visitor.post('/confirmations', { code })).status).toBe(204);
  expect((await visitor.post('/confirmations', { code })).status).toBe(403);
  expect((await claim()).body.key.secret).toMatch(/^sekisho_/);
  await visitor.auth('/sign-in/email', { email: 'taro@example.org', password: goodPassword });
  expect((await visitor.get('/session')).body).toMatchObject({
    person: { emailVerified: true, language: 'ja' },
    application: { status: 'approved', decidedBy: 'registration:open' },
    account: { plan: 'trial' },
  });
});

test('an address with an account gets an email, and an applicant who used it learns nothing', async () => {
  await member('known@example.org');
  const [twin, fresh] = [new Visitor(gate.url), new Visitor(gate.url)];
  const shown = ({ status, text }: Reply): string => `${status} ${text.replaceAll(/(app|claim)_\w+/g, '$1')}`;
  expect(shown(await apply(twin, 'known@example.org'))).toBe(shown(await apply(fresh, 'unknown@example.org')));
  expect((await mailbox.to('known@example.org', 'already have an account')).text).toContain('/portal/sign-in');
  expect([twin.cookies.size, fresh.cookies.size]).toEqual([0, 0]);
});

test('no one signs in with an address before it is confirmed', async () => {
  const thief = new Visitor(gate.url);
  await apply(thief, 'victim@example.org', { password: 'chosen by the thief' });
  await mailbox.to('victim@example.org');
  const enter = (): Promise<Reply> =>
    thief.auth('/sign-in/email', { email: 'victim@example.org', password: 'chosen by the thief' });
  expect((await enter()).status).toBe(401);
  const owner = await member('victim@example.org');
  expect((await owner.get('/session')).body.person).toMatchObject({ emailVerified: true });
  expect((await enter()).status).toBe(401);
});

test('a waiting application is not replaced by another for its address, and an email confirms only its own application', async () => {
  await operator.patch('/registration', { mode: 'domain', domains: ['lab.example'] });
  const email = 'alice@lab.example';
  const [alice, mallory] = [new Visitor(gate.url), new Visitor(gate.url)];
  const hers = (await apply(alice, email, { name: 'Alice', purpose: 'my thesis' })).body;
  const first = await mailbox.to(email, 'my thesis');
  const theirs = (
    await apply(mallory, email, { name: 'Alicia', purpose: 'see https://evil.example', password: 'chosen by mallory' })
  ).body;
  const second = await mailbox.to(email, 'Alicia');
  expect(first.text).toContain('Name: Alice\r\n');
  expect(first.text).toContain(`Application: ${(hers.id as string).slice(-6)}`);
  expect(second.text).toContain(`Application: ${(theirs.id as string).slice(-6)}`);
  expect(second.text).not.toContain('evil.example');
  const status = async ({ id, claim }: { id: string; claim: string }): Promise<string> =>
    (await alice.post(`/applications/${id}/claim`, { claim })).body.status;
  expect([await status(hers), await status(theirs)]).toEqual(['pending', 'pending']);
  expect((await alice.post('/confirmations', { code: codeOf(linkIn(first.text)) })).status).toBe(204);
  expect([await status(hers), await status(theirs)]).toEqual(['approved', 'pending']);
  // The other application can no longer be confirmed, and its password opens nothing.
  expect((await alice.post('/confirmations', { code: codeOf(linkIn(second.text)) })).status).toBe(409);
  expect((await mallory.auth('/sign-in/email', { email, password: 'chosen by mallory' })).status).toBe(401);
  expect((await alice.auth('/sign-in/email', { email, password: goodPassword })).status).toBe(200);
  expect((await alice.get('/session')).body).toMatchObject({
    person: { name: 'Alice', emailVerified: true },
    application: { id: hers.id, status: 'approved' },
  });
  await operator.patch('/registration', { mode: 'open' });
});

test('an applicant who gave an address they cannot read can replace it and keeps the application', async () => {
  const email = 'earlier@example.org';
  // As a gate without mail made them, before mail was configured.
  const { id } = await gate.manage(async (store, by) => {
    const time = new Date().toISOString();
    const person = { id: 'usr_earlier', name: 'n', email, emailVerified: 0, createdAt: time, updatedAt: time };
    await store.signIn.db.insertInto('people').values(person).execute();
    await store.writeRegistration({ ...(await store.readRegistration()), mode: 'approval' }, eventOf(by.at));
    return person;
  });
  const owner = await member(email);
  expect((await owner.get('/session')).body.person).toMatchObject({ email, emailVerified: true });
  const earlier = await gate.manage((store) => store.findPerson(id as never));
  expect(earlier?.email).toBe('usr_earlier@taken.invalid');
  await operator.patch('/registration', { mode: 'open' });
});

test('a person who signs in without an address gets the one they confirm', async () => {
  const email = 'late@example.org';
  const visitor = await member('early@example.org');
  await operator.patch('/registration', { mode: 'approval' });
  const { person, account } = (await visitor.get('/session')).body;
  await gate.manage(async ({ signIn: { db } }) => {
    // A gate without mail leaves a person without an address when theirs was taken, before mail was configured.
    const bare = { email: `${(person.id as string).toLowerCase()}@taken.invalid`, emailVerified: 0, accountId: null };
    await db.updateTable('people').set(bare).where('id', '=', person.id).execute();
    await db.updateTable('applications').set({ person_id: null }).where('account_id', '=', account.id).execute();
  });
  const { body } = await visitor.post('/applications', { name: 'Late', email, purpose: 'p' });
  const { text } = await mailbox.to(email, (body.id as string).slice(-6));
  expect((await visitor.post('/confirmations', { code: codeOf(linkIn(text)) })).status).toBe(204);
  expect((await visitor.get('/session')).body.person).toMatchObject({ id: person.id, email, emailVerified: true });
  await operator.patch('/registration', { mode: 'open' });
});

test('simultaneous applications with one address all succeed', async () => {
  const answers = await Promise.all(
    Array.from({ length: 3 }, () => apply(new Visitor(gate.url), 'thrice@example.org')),
  );
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
  // A fourth one, while three emails wait for that address, is refused with a reason.
  expect((await apply(new Visitor(gate.url), 'thrice@example.org')).body).toMatchObject({ code: 'conflict' });
});

test('unconfirmed applications block no one else, are bounded by network, and expire', async () => {
  const own = await openGate(fake.url, {
    APPLICATIONS_PER_MINUTE: '100000',
    TRUSTED_PROXIES: '127.0.0.1',
    SMTP_URL: mailbox.url,
    MAIL_FROM: 'gate@example.org',
  });
  try {
    await own.manage(async (store, by) =>
      store.writeRegistration({ ...(await store.readRegistration()), mode: 'approval', maxPending: 2 }, eventOf(by.at)),
    );
    const from = (address: string, email: string): Promise<Reply> =>
      new Visitor(own.url, address).post('/applications', { name: 'n', email, purpose: 'p' });
    const statuses: number[] = [];
    for (let i = 0; i < 25; i++) statuses.push((await from('203.0.113.7', `crowd-${i}@example.org`)).status);
    expect(statuses).toEqual([...Array(20).fill(201), ...Array(5).fill(409)]);
    // Other people apply and confirm undisturbed.
    for (const email of ['one@example.org', 'two@example.org']) {
      const { body } = await from('198.51.100.2', email);
      const { text } = await mailbox.to(email, (body.id as string).slice(-6));
      expect((await new Visitor(own.url).post('/confirmations', { code: codeOf(linkIn(text)) })).status).toBe(204);
    }
    // Two wait for an operator; the third keeps its link until there is room.
    const { body } = await from('198.51.100.2', 'three@example.org');
    const code = codeOf(linkIn((await mailbox.to('three@example.org', (body.id as string).slice(-6))).text));
    expect((await new Visitor(own.url).post('/confirmations', { code })).status).toBe(409);
    await own.manage(async (store, by) => {
      await store.writeRegistration({ ...(await store.readRegistration()), maxPending: 3 }, eventOf(by.at));
    });
    expect((await new Visitor(own.url).post('/confirmations', { code })).status).toBe(204);
    const left = await own.manage(async (store) => {
      await store.tidyPeople(Date.now() + 49 * 3_600_000);
      return (await store.listApplications({ limit: 200 })).map(({ email }) => email).toSorted();
    });
    expect(left).toEqual(['one@example.org', 'three@example.org', 'two@example.org']);
  } finally {
    await own.stop();
  }
});

test('an application for an address with an account looks like any other to the applicant, including its token', async () => {
  const [twin, fresh] = [new Visitor(gate.url), new Visitor(gate.url)];
  const claimed = async (visitor: Visitor, email: string): Promise<unknown> => {
    const { id, claim } = (await apply(visitor, email)).body;
    return (await visitor.post(`/applications/${id as string}/claim`, { claim })).body;
  };
  expect(await claimed(twin, 'known@example.org')).toEqual(await claimed(fresh, 'quite-unknown@example.org'));
});

test('requests for a new password leave earlier links valid, and their number is bounded', async () => {
  const email = 'besieged@example.org';
  const visitor = await member(email);
  const { id } = (await visitor.get('/session')).body.account;
  const handed = (await operator.post(`/accounts/${id as string}/links`, { purpose: 'password' })).body.url as string;
  for (let i = 0; i < 12; i++)
    expect((await new Visitor(gate.url).post('/password-resets', { email })).status).toBe(204);
  await mailbox.to(email, 'new password');
  await gate.outbox.look();
  const resets = mailbox.emails.filter(({ to, subject }) => to === email && subject.includes('new password'));
  expect(resets.length).toBeLessThanOrEqual(2);
  const set = (url: string, password: string): Promise<Reply> =>
    new Visitor(gate.url).post('/password-resets/confirm', { code: codeOf(url), password });
  expect((await set(handed, 'by the operator’s link')).status).toBe(204);
  // Links sent before a password was set are invalid afterwards.
  expect((await set(linkIn(resets[0]?.text ?? ''), 'by the older email')).status).toBe(403);
});

test('domain: only confirmed addresses of the domain are admitted; others wait', async () => {
  await operator.patch('/registration', { mode: 'domain', domains: ['lab.example'] });
  const inside = await member('hana@lab.example');
  expect((await inside.get('/session')).body.account).toMatchObject({ plan: 'trial' });
  const outside = await member('jiro@elsewhere.example');
  const { account, application } = (await outside.get('/session')).body;
  expect([account, application.status, application.confirmedAt]).toEqual([null, 'pending', expect.any(String)]);
  for (const near of ['x@sub.lab.example', 'x@lab.example.evil.example', 'x@evillab.example']) {
    const visitor = await member(near);
    expect((await visitor.get('/session')).body.account, near).toBeNull();
  }
  await operator.patch('/registration', { mode: 'open' });
});

test('a mailbox gets one automatic account, however its address is spelled', async () => {
  await operator.patch('/registration', {
    mode: 'domain',
    domains: ['lab.example', 'gmail.com'],
    dotless: ['lab.example'],
  });
  const accountOf = async (email: string): Promise<unknown> =>
    (await (await member(email)).get('/session')).body.account;
  expect(await accountOf('saki@lab.example')).not.toBeNull();
  for (const twin of ['saki+2@lab.example', 'sa.ki@lab.example', 's.aki+x+y@lab.example'])
    expect(await accountOf(twin), twin).toBeNull();
  expect(await accountOf('sakiko@lab.example')).not.toBeNull();
  expect(await accountOf('mi.na@gmail.com')).not.toBeNull();
  expect(await accountOf('mina+1@gmail.com')).toBeNull();
  const { items } = (await operator.get('/audit?limit=200')).body;
  const held = items.filter(({ action }: { action: string }) => action === 'application.held');
  expect(held).toHaveLength(4);
  // The operator sees it on the application; the applicant, who may not be that mailbox’s only user, does not.
  const waiting = (await operator.get('/applications?status=pending&limit=200')).body.items;
  const twin = waiting.find(({ email }: { email: string }) => email === 'mina+1@gmail.com');
  expect(twin.held).toBe('second');
  const applicant = new Visitor(gate.url);
  await applicant.auth('/sign-in/email', { email: twin.email, password: goodPassword });
  expect((await applicant.get('/session')).body.application).toMatchObject({ id: twin.id, held: null });
  expect((await applicant.get('/me/export')).body.application).toMatchObject({ id: twin.id, held: null });
  expect(held[0]).toMatchObject({ actor: 'registration:domain', to: { why: 'this mailbox has an account already' } });
  await operator.patch('/registration', { mode: 'open' });
});

test('closing an account and applying again does not escape the suspensions against it', async () => {
  const email = 'review@example.org';
  const first = await member(email);
  const { account, application } = (await first.get('/session')).body;
  await operator.post('/suspensions', { whom: account.id, step: 'review', reason: 'r' });
  expect((await first.delete('/me')).status).toBe(204);
  const again = await member('review+again@example.org');
  expect((await again.get('/session')).body).toMatchObject({ account: null, application: { status: 'pending' } });
  const { code } = (await operator.post('/invites', {})).body;
  const invited = new Visitor(gate.url);
  expect((await apply(invited, email, { invite: code })).body).toMatchObject({ status: 'pending' });
  // Nothing else of the person remains.
  const { body: blank } = await operator.get(`/applications/${application.id as string}`);
  expect(blank).toMatchObject({ name: '', email: '', purpose: '', person: null });
  // Admission by an operator settles it.
  const { id } = (await again.get('/session')).body.application;
  expect((await operator.post(`/applications/${id as string}/approve`, {})).status).toBe(200);
  const barred = await gate.manage(async ({ signIn: { db } }) => db.selectFrom('barred').selectAll().execute());
  expect(barred).toEqual([]);
});

test('an invitation without an address admits its holder, and confirms no address for them', async () => {
  await operator.patch('/registration', { mode: 'invite' });
  const codeFor = async (body: object): Promise<string> => (await operator.post('/invites', body)).body.code;
  const [email, password] = ['boss@example.org', 'chosen by somebody else'];
  const thief = new Visitor(gate.url);
  const applied = await apply(thief, email, { invite: await codeFor({}), password });
  expect(applied.body).toMatchObject({ status: 'approved', confirm: true });
  expect((await thief.get('/session')).body).toMatchObject({ person: { emailVerified: false }, account: {} });
  const enter = (): Promise<Reply> => new Visitor(gate.url).auth('/sign-in/email', { email, password });
  expect((await enter()).status).toBe(401);
  // The owner of the address is invited too, and opens their email.
  const owner = new Visitor(gate.url);
  const { body } = await apply(owner, email, { invite: await codeFor({}) });
  const latest = await mailbox.to(email, (body.id as string).slice(-6));
  expect((await owner.post('/confirmations', { code: codeOf(linkIn(latest.text)) })).status).toBe(204);
  expect((await owner.get('/session')).body.person).toMatchObject({ email, emailVerified: true });
  const back = await new Visitor(gate.url).auth('/sign-in/email', { email, password: goodPassword });
  expect([back.status, (await enter()).status]).toEqual([200, 401]);
  // Opened late, the email of the other application gives them nothing of it.
  const other = await mailbox.to(email, (applied.body.id as string).slice(-6));
  await new Visitor(gate.url).post('/confirmations', { code: codeOf(linkIn(other.text)) });
  expect((await enter()).status).toBe(401);
  expect((await owner.get('/session')).body.person).toMatchObject({ email, emailVerified: true });
  // An invitation that names the address confirms it.
  const named = 'named@example.org';
  const invited = await apply(new Visitor(gate.url), named, { invite: await codeFor({ email: named }) });
  expect(invited.body).toMatchObject({ status: 'approved', confirm: false });
  const there = await new Visitor(gate.url).auth('/sign-in/email', { email: named, password: goodPassword });
  expect(there.status).toBe(200);
  await operator.patch('/registration', { mode: 'open' });
});

test('closing an account blanks the same person’s unsuccessful applications', async () => {
  await operator.patch('/registration', { mode: 'approval' });
  const email = 'second-try@example.org';
  // The first application came without a password and was rejected.
  const { body: tried } = await apply(new Visitor(gate.url), email, { password: undefined, name: 'Second Try' });
  await operator.post(`/applications/${tried.id as string}/reject`, { decision: 'not Second Try' });
  await operator.patch('/registration', { mode: 'open' });
  const visitor = await member(email, { name: 'Second Try' });
  expect((await visitor.delete('/me')).status).toBe(204);
  const left = await operator.get('/applications?limit=200');
  expect(left.text).not.toMatch(/second.try/i);
});

test('a password reset by email works once and ends every session', async () => {
  const visitor = await member('forgetful@example.org');
  expect((await new Visitor(gate.url).post('/password-resets', { email: 'Forgetful@Example.org' })).status).toBe(204);
  const { text } = await mailbox.to('forgetful@example.org', 'new password');
  const code = codeOf(linkIn(text));
  const set = (password: string): Promise<Reply> =>
    new Visitor(gate.url).post('/password-resets/confirm', { code, password });
  expect((await set('12345678')).status).toBe(400);
  const answers = await Promise.all(Array.from({ length: 8 }, () => set('remembered now')));
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([204, ...Array(7).fill(403)]);
  expect((await visitor.get('/me')).status).toBe(401);
  expect(
    (await visitor.auth('/sign-in/email', { email: 'forgetful@example.org', password: 'remembered now' })).status,
  ).toBe(200);
  const before = mailbox.emails.length;
  await new Visitor(gate.url).post('/password-resets', { email: 'nobody@example.org' });
  await gate.outbox.look();
  expect(mailbox.emails.length).toBe(before);
});

test('people are told once of each event: a decision, a suspension, an answered appeal, an expiring key', async () => {
  await operator.patch('/registration', { mode: 'approval' });
  const visitor = await member('sato@example.org', { language: 'ja' });
  const { application } = (await visitor.get('/session')).body;
  await operator.post(`/applications/${application.id}/approve`, { plan: 'default', decision: 'ようこそ' });
  await gate.outbox.look();
  expect((await mailbox.to('sato@example.org', '承認')).text).toContain('ようこそ');
  const { id: account } = (await visitor.get('/session')).body.account;
  const day = 86_400_000;
  const { body: key } = await visitor.post('/me/keys', { name: '古いキー' });
  const step = await gate.manage(async (store, author) => {
    const life = { created_at: Date.now() - 60 * day, expires_at: Date.now() + 6 * day };
    await store.signIn.db.updateTable('keys').set(life).where('id', '=', key.id).execute();
    const taken = await suspend(
      store,
      { whom: account, step: 'suspend', reason: '夜通しの推論', endsAt: null },
      author,
    );
    await store.insertSuspension(
      { ...taken, id: `${taken.id.slice(0, -1)}Z` as typeof taken.id, shadow: true },
      eventOf(author.at),
    );
    return taken;
  });
  await gate.outbox.look();
  expect((await mailbox.to('sato@example.org', '制限')).text).toContain('夜通しの推論');
  await gate.manage((store, author) => appeal(store, step.id, 'すみません', author));
  await gate.manage((store, author) => answer(store, step.id, '今回だけ', true, author));
  await gate.outbox.look();
  expect((await mailbox.to('sato@example.org', '今回だけ')).text).toContain('解除されました');
  expect((await mailbox.to('sato@example.org', '古いキー')).subject).toContain('有効期限');
  const count = mailbox.emails.length;
  await gate.outbox.look();
  await gate.outbox.look();
  expect(mailbox.emails.length).toBe(count);
  expect(mailbox.emails.filter(({ to, text }) => to === 'sato@example.org' && text.includes('夜通し'))).toHaveLength(1);
  await operator.patch('/registration', { mode: 'open' });
});

test('user input cannot become an email header, and one mailbox is not flooded', async () => {
  await operator.post('/applications', {});
  const visitor = new Visitor(gate.url);
  const refused = await apply(visitor, 'a@example.org\r\nBcc: everybody@example.org');
  expect(refused.status).toBe(400);
  for (let i = 0; i < 25; i++) await apply(new Visitor(gate.url), 'flooded@example.org', { password: undefined });
  await gate.outbox.look();
  await mailbox.to('flooded@example.org');
  expect(mailbox.emails.filter(({ to }) => to === 'flooded@example.org').length).toBeLessThanOrEqual(10);
});

const eventOf = (at: number) => ({
  id: `aud_${at}${Math.random().toString(36).slice(2, 8)}` as never,
  at,
  actor: 'test',
  action: 'test',
  subject: 'x',
  from: null,
  to: null,
});

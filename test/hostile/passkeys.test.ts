// Passkeys against pages, authenticators and clients that break the rules.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Authenticator, type Ceremony } from '../authenticator.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, type TestGate } from '../gate.ts';
import { totp } from '../totp.ts';
import { goodPassword, memberOf, operatorOf, type Reply, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '100000' });
  await (await operatorOf(gate)).patch('/registration', { mode: 'open' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

let people = 0;
const newMail = (): string => `key-${++people}@example.org`;

async function add(visitor: Visitor, device: Authenticator, ceremony?: Ceremony): Promise<Reply> {
  const { body } = await visitor.auth('/passkey/generate-register-options');
  return visitor.auth('/passkey/verify-registration', { name: 'phone', response: device.create(body, ceremony) });
}

async function enter(device: Authenticator, ceremony?: Ceremony): Promise<{ visitor: Visitor; reply: Reply }> {
  const visitor = new Visitor(gate.url);
  const { body } = await visitor.auth('/passkey/generate-authenticate-options');
  const reply = await visitor.auth('/passkey/verify-authentication', { response: device.get(body, ceremony) });
  return { visitor, reply };
}

/** Ages every session. */
const age = (minutes: number): Promise<unknown> =>
  gate.manage(({ signIn: { db } }) =>
    db
      .updateTable('sessions')
      .set({ createdAt: new Date(Date.now() - minutes * 60_000).toISOString() })
      .execute(),
  );

test('a passkey is added and listed, signs in without the second step, and is removed', async () => {
  const mail = newMail();
  const member = await memberOf(gate, mail);
  const { body: begun } = await member.auth('/two-factor/enable', { password: goodPassword });
  const secret = new URL(begun.totpURI).searchParams.get('secret') ?? '';
  expect((await member.auth('/two-factor/verify-totp', { code: totp(secret) })).status).toBe(200);
  const device = new Authenticator(gate.url);
  expect((await add(member, device)).status).toBe(200);
  const { visitor, reply } = await enter(device);
  expect(reply.status).toBe(200);
  expect((await visitor.get('/session')).body.person.email).toBe(mail);
  const { body: list } = await member.auth('/passkey/list-user-passkeys');
  expect(list).toMatchObject([{ name: 'phone' }]);
  expect(Object.keys(list[0])).toEqual(['id', 'name', 'createdAt', 'lastUsedAt']);
  expect(Date.parse(list[0].lastUsedAt)).toBeGreaterThanOrEqual(Date.parse(list[0].createdAt));
  expect((await member.get('/me/export')).body.passkeys).toEqual(list);
  expect((await member.auth('/passkey/delete-passkey', { id: list[0].id })).status).toBe(200);
  expect((await enter(device)).reply.status).toBe(401);
});

test('a passkey has a name that its owner gives and changes, and says when it was used', async () => {
  const [owner, mallory] = [await memberOf(gate, newMail()), await memberOf(gate, newMail())];
  const device = new Authenticator(gate.url);
  expect((await add(owner, device)).status).toBe(200);
  const list = async () => (await owner.auth('/passkey/list-user-passkeys')).body;
  const [{ id, lastUsedAt }] = await list();
  expect(lastUsedAt).toBeNull();
  expect((await mallory.auth('/passkey/update-passkey', { id, name: 'mine now' })).status).toBe(404);
  for (const name of ['', '  ', 'x'.repeat(101), 'two\nlines', 'left \u202e right', 'p\u0430ypal'])
    expect([name, (await owner.auth('/passkey/update-passkey', { id, name })).status]).toEqual([name, 400]);
  expect((await owner.auth('/passkey/update-passkey', { id, name: ' 仕事の  ノート ' })).status).toBe(200);
  expect(await list()).toMatchObject([{ name: '仕事の ノート', lastUsedAt: null }]);
  const { body: options } = await owner.auth('/passkey/generate-register-options');
  const bad = { name: 'left \u202e right', response: new Authenticator(gate.url).create(options) };
  expect((await owner.auth('/passkey/verify-registration', bad)).status).toBe(400);
  expect((await enter(device, { counter: 0 })).reply.status).toBe(200);
  const [used] = await list();
  expect(Date.parse(used.lastUsedAt)).toBeGreaterThanOrEqual(Date.parse(used.createdAt));
});

test('removing a passkey ends the sessions that it opened', async () => {
  const mail = newMail();
  const owner = await memberOf(gate, mail);
  const device = new Authenticator(gate.url);
  expect((await add(owner, device)).status).toBe(200);
  const { visitor: thief } = await enter(device);
  expect((await thief.get('/session')).body.person.email).toBe(mail);
  const { body: list } = await owner.auth('/passkey/list-user-passkeys');
  expect((await owner.auth('/passkey/delete-passkey', { id: list[0].id })).status).toBe(200);
  expect((await thief.get('/session')).body.person).toBeNull();
  expect((await owner.get('/session')).body.person.email).toBe(mail);
});

test('without user verification no passkey is added, and none signs in', async () => {
  const member = await memberOf(gate, newMail());
  const device = new Authenticator(gate.url);
  expect((await add(member, device, { verified: false })).status).toBe(400);
  expect((await add(member, device)).status).toBe(200);
  const { visitor, reply } = await enter(device, { verified: false });
  expect(reply.status).toBe(401);
  expect((await visitor.get('/session')).body.person).toBeNull();
});

test('a session older than ten minutes adds no passkey, whether it was begun before or after', async () => {
  const member = await memberOf(gate, newMail());
  const device = new Authenticator(gate.url);
  const { body: options } = await member.auth('/passkey/generate-register-options');
  await age(11);
  const late = await member.auth('/passkey/verify-registration', { name: 'late', response: device.create(options) });
  expect([late.status, late.body.code]).toEqual([403, 'sign_in_again']);
  expect((await member.auth('/passkey/generate-register-options')).status).toBe(403);
  expect((await member.auth('/passkey/list-user-passkeys')).body).toEqual([]);
});

test('a challenge is answered once, by the client that received it, for its own purpose', async () => {
  const [alice, mallory] = [await memberOf(gate, newMail()), await memberOf(gate, newMail())];
  const device = new Authenticator(gate.url);
  const { body: options } = await alice.auth('/passkey/generate-register-options');
  const cookies = [...alice.cookies];
  const response = device.create(options);
  const [name, sealed] = cookies.find(([each]) => each.endsWith('.passkey')) ?? ['', ''];
  mallory.cookies.set(name, sealed);
  expect((await mallory.auth('/passkey/verify-registration', { response })).status).toBe(403);
  expect((await alice.auth('/passkey/verify-registration', { response })).status).toBe(200);
  alice.cookies.set(name, sealed);
  expect((await alice.auth('/passkey/verify-registration', { response })).status).toBe(400);
  // A registration challenge does not sign in, even signed by the device.
  const stranger = new Visitor(gate.url);
  stranger.cookies.set(name, sealed);
  const crossed = await stranger.auth('/passkey/verify-authentication', { response: device.get(options) });
  expect(crossed.status).toBe(400);
  // An answer sent twice at the same moment opens one session.
  const { body: challenge } = await stranger.auth('/passkey/generate-authenticate-options');
  const copy = new Visitor(gate.url);
  for (const [each, value] of stranger.cookies) copy.cookies.set(each, value);
  const body = { response: device.get(challenge) };
  const answers = await Promise.all([stranger, copy].map((each) => each.auth('/passkey/verify-authentication', body)));
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 400]);
});

test('an answer for another site, with an older counter, or signed by another device opens nothing', async () => {
  const member = await memberOf(gate, newMail());
  const device = new Authenticator(gate.url);
  expect((await add(member, device, { counter: 5 })).status).toBe(200);
  expect((await enter(device, { origin: 'https://evil.example', counter: 6 })).reply.status).toBe(401);
  expect((await enter(device, { challenge: 'AAAA', counter: 6 })).reply.status).toBe(401);
  expect((await enter(device, { counter: 5 })).reply.status).toBe(401);
  expect((await enter(new Authenticator(gate.url), { counter: 6 })).reply.status).toBe(401);
  expect((await enter(device, { counter: 6 })).reply.status).toBe(200);
});

test('a malformed answer is a client error, never a 500', async () => {
  const member = await memberOf(gate, newMail());
  const device = new Authenticator(gate.url);
  expect((await add(member, device)).status).toBe(200);
  const visitor = new Visitor(gate.url);
  const bend = async (path: string, make: (challenge: { challenge: string }) => Record<string, unknown>) => {
    const who = path.endsWith('registration') ? member : visitor;
    const options = path.endsWith('registration') ? 'generate-register-options' : 'generate-authenticate-options';
    for (const [field, value] of [
      ['id', undefined],
      ['id', 'x'],
      ['rawId', { toString: 1 }],
      ['type', 'password'],
      ['response', null],
      ['response', {}],
      ['response', []],
      ...['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature'].flatMap((each) =>
        [undefined, '', 'AAAA', '!!', 7, 'A'.repeat(8_000)].map((bad) => [each, bad]),
      ),
    ] as [string, unknown][]) {
      const { body: begun } = await who.auth(`/passkey/${options}`);
      const good = make(begun);
      const inner = good['response'] as Record<string, unknown>;
      if (!(field in good) && !(field in inner)) continue;
      const response =
        field in good ? { ...good, [field]: value } : { ...good, response: { ...inner, [field]: value } };
      const { status } = await who.auth(path, { response });
      expect([400, 401], `${path} ${field} ${JSON.stringify(value)?.slice(0, 20)}`).toContain(status);
    }
    for (const body of [{}, { response: 'x' }, [], 'x', { response: [1] }])
      expect([400, 401]).toContain((await who.auth(path, body)).status);
  };
  await bend('/passkey/verify-registration', (options) => new Authenticator(gate.url).create(options));
  await bend('/passkey/verify-authentication', (options) => device.get(options));
  expect(gate.log()).not.toMatch(/a fault in sign-in/);
});

test('a person has at most twenty passkeys, however many are added at once', async () => {
  const member = await memberOf(gate, newMail());
  for (let i = 0; i < 18; i++) expect((await add(member, new Authenticator(gate.url))).status).toBe(200);
  // Each with the cookies of its own beginning.
  const begun = [];
  for (let i = 0; i < 5; i++) {
    const { body } = await member.auth('/passkey/generate-register-options');
    const copy = new Visitor(gate.url);
    for (const [name, value] of member.cookies) copy.cookies.set(name, value);
    begun.push({ copy, response: new Authenticator(gate.url).create(body) });
  }
  const answers = await Promise.all(
    begun.map(({ copy, response }) => copy.auth('/passkey/verify-registration', { response })),
  );
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 409, 409, 409]);
  expect((await member.auth('/passkey/list-user-passkeys')).body).toHaveLength(20);
});

test('abandoned passkey ceremonies leave no row behind', async () => {
  const rows = (): Promise<unknown[]> =>
    gate.manage(({ signIn: { db } }) => db.selectFrom('verifications').selectAll().execute());
  const before = await rows();
  const visitor = new Visitor(gate.url);
  for (let i = 0; i < 20; i++) await visitor.auth('/passkey/generate-authenticate-options');
  expect(await rows()).toEqual(before);
});

test('a new password removes the existing passkeys, unless their owner recognises them', async () => {
  const mail = newMail();
  const member = await memberOf(gate, mail);
  const device = new Authenticator(gate.url);
  expect((await add(member, device)).status).toBe(200);
  const keep = { currentPassword: goodPassword, newPassword: 'the second one', keepPasskeys: true };
  expect((await member.auth('/change-password', keep)).status).toBe(200);
  expect((await enter(device)).reply.status).toBe(200);
  const change = { currentPassword: 'the second one', newPassword: 'quite another one' };
  expect((await member.auth('/change-password', change)).status).toBe(200);
  expect((await enter(device)).reply.status).toBe(401);
  const second = new Authenticator(gate.url);
  expect((await add(member, second)).status).toBe(200);
  const { url } = (await (await operatorOf(gate)).post(`/accounts/${mail}/links`, { purpose: 'password' })).body;
  const reset = { code: url.slice(url.indexOf('#') + 1), password: 'made new by a link' };
  expect((await new Visitor(gate.url).post('/password-resets/confirm', reset)).status).toBe(204);
  expect((await enter(second)).reply.status).toBe(401);
});

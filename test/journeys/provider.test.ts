// Signing in with an OpenID Connect provider: a person it identifies may apply, and a lying provider, or anyone in between,
// opens nothing.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, type TestGate } from '../gate.ts';
import { clientSecret, type Provider, startProvider } from '../provider.ts';
import { memberOf, operatorOf, through, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let provider: Provider;
let gate: TestGate;
let operator: Visitor;
beforeAll(async () => {
  fake = await startFakeOllama();
  provider = await startProvider();
  gate = await openGate(fake.url, {
    APPLICATIONS_PER_MINUTE: '100000',
    OIDC_ISSUER: provider.url,
    OIDC_CLIENT_ID: 'sekisho',
    OIDC_CLIENT_SECRET: clientSecret,
    OIDC_NAME: 'Campus',
  });
  operator = await operatorOf(gate);
});
beforeEach(async () => {
  provider.lie = {};
  provider.forge = false;
  await operator.patch('/registration', { mode: 'open' });
});
afterAll(async () => {
  await gate.stop();
  await provider.close();
  await fake.close();
});

const vouch = (sub: string, email: string, email_verified = true): void => {
  provider.person = { sub, email, email_verified, name: sub };
};

test('a person identified by the provider applies with the verified address, and signs in again later', async () => {
  vouch('taro', 'taro@campus.example');
  const visitor = new Visitor(gate.url);
  expect((await visitor.get('/session')).body.signIn.providers).toEqual([{ id: 'oidc', name: 'Campus' }]);
  const { status, headers } = await through(visitor);
  expect([status, headers.get('location')]).toEqual([302, '/portal/']);
  expect((await visitor.get('/session')).body).toMatchObject({
    person: { email: 'taro@campus.example', emailVerified: true },
    account: null,
  });
  expect((await visitor.get('/me/limits')).status).toBe(403);
  await operator.patch('/registration', { mode: 'domain', domains: ['campus.example'] });
  const asked = { name: 'Taro', email: 'somebody.else@campus.example', purpose: 'papers' };
  expect((await visitor.post('/applications', asked)).body).toMatchObject({ status: 'approved', confirm: false });
  expect((await visitor.get('/session')).body).toMatchObject({
    application: { email: 'taro@campus.example' },
    account: { name: 'Taro', plan: 'trial' },
  });
  expect((await visitor.post('/applications', asked)).status).toBe(409);
  const again = new Visitor(gate.url);
  await through(again);
  expect((await again.get('/me')).body.account.name).toBe('Taro');
});

test('an address is not taken over by another sign-in', async () => {
  const owner = await memberOf(gate, 'owner@campus.example');
  for (const verified of [true, false]) {
    vouch(`impostor-${String(verified)}`, 'owner@campus.example', verified);
    const visitor = new Visitor(gate.url);
    const { headers } = await through(visitor);
    expect(headers.get('location')).toMatch(/^\/portal\/|error=/);
    const { person } = (await visitor.get('/session')).body;
    // A person with an unverified address has none in the session, and learns nothing of this account.
    expect(person?.email).toBe(verified ? undefined : '');
  }
  expect((await owner.get('/me')).status).toBe(200);
});

test.each([
  ['another issuer', { iss: 'https://evil.example' }],
  ['another audience', { aud: 'somebody-else' }],
  ['an expired token', { exp: 1_000 }],
  ['another nonce', { nonce: "another person's subject" }],
])('%s opens nothing', async (_, lie) => {
  vouch('liar', 'liar@campus.example');
  provider.lie = lie;
  const visitor = new Visitor(gate.url);
  await through(visitor);
  expect((await visitor.get('/session')).body.person).toBeNull();
});

test('a token with a foreign signature opens nothing, nor does an unrequested answer', async () => {
  vouch('forged', 'forged@campus.example');
  provider.forge = true;
  const visitor = new Visitor(gate.url);
  await through(visitor);
  expect((await visitor.get('/session')).body.person).toBeNull();
  provider.forge = false;
  // Begun in one browser and ended in another: the state is bound to the first one.
  const { body } = await visitor.auth('/sign-in/provider', { provider: 'oidc', next: '/portal/' });
  const authorized = await fetch(body.url, { redirect: 'manual' });
  const back = new URL(authorized.headers.get('location') ?? '');
  const other = new Visitor(gate.url);
  await other.ask('GET', back.pathname + back.search);
  expect((await other.get('/session')).body.person).toBeNull();
  const { status } = await other.ask('GET', '/portal/auth/callback/oidc?code=x&state=y');
  expect(status).toBeLessThan(500);
});

test('a closed gate admits no new person by a provider; members still sign in', async () => {
  vouch('early', 'early@campus.example');
  await through(new Visitor(gate.url));
  await operator.patch('/registration', { mode: 'closed' });
  vouch('late', 'late@campus.example');
  const late = new Visitor(gate.url);
  await through(late);
  expect((await late.get('/session')).body.person).toBeNull();
  vouch('early', 'early@campus.example');
  const early = new Visitor(gate.url);
  await through(early);
  expect((await early.get('/session')).body.person.email).toBe('early@campus.example');
});

test('signing in never redirects to another site', async () => {
  for (const next of [
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    'javascript:alert(1)',
    '/portal/\n/evil',
    '/portal//evil.example',
    '/portal/%2f/evil.example',
    `/portal/${'x'.repeat(15_000)}`,
  ])
    expect((await new Visitor(gate.url).auth('/sign-in/provider', { provider: 'oidc', next })).status, next).toBe(400);
});

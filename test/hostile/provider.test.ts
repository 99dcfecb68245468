// OpenID Connect against a provider that lies, delays or floods, against a person who uses one to reach another's account,
// and against clients that only begin.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, type TestGate } from '../gate.ts';
import { type Mailbox, openMailbox } from '../mailbox.ts';
import { clientSecret, type Provider, startProvider, type Vouched } from '../provider.ts';
import { nextTotp, totp } from '../totp.ts';
import { codeOf, goodPassword, memberOf, operatorOf, type Reply, setUpCode, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let provider: Provider;
let mailbox: Mailbox;
let gate: TestGate;
let operator: Visitor;

const settings = (more: Record<string, string> = {}): Record<string, string> => ({
  APPLICATIONS_PER_MINUTE: '100000',
  OIDC_ISSUER: provider.url,
  OIDC_CLIENT_ID: 'sekisho',
  OIDC_CLIENT_SECRET: clientSecret,
  ...more,
});

/** Another gate for the same provider, which has not asked it anything yet. */
async function another<T>(more: Record<string, string>, use: (other: TestGate) => Promise<T>): Promise<T> {
  const other = await openGate(fake.url, settings(more));
  try {
    await (await operatorOf(other)).patch('/registration', { mode: 'open' });
    return await use(other);
  } finally {
    await other.stop();
  }
}

beforeAll(async () => {
  fake = await startFakeOllama();
  provider = await startProvider();
  mailbox = await openMailbox();
  gate = await openGate(fake.url, settings({ SMTP_URL: mailbox.url, MAIL_FROM: 'gate@example.org' }));
  operator = await operatorOf(gate);
  await operator.patch('/registration', { mode: 'open' });
});
beforeEach(() => {
  Object.assign(provider, {
    lie: {},
    forge: false,
    document: {},
    answer: {},
    silent: undefined,
    endless: undefined,
    signedInAt: undefined,
  });
  provider.asked.length = 0;
});
afterAll(async () => {
  await gate.stop();
  await mailbox.close();
  await provider.close();
  await fake.close();
});

let people = 0;
function vouch(more: Partial<Vouched> = {}): string {
  const sub = `somebody-${++people}`;
  provider.person = { sub, email: `${sub}@campus.example`, email_verified: true, name: sub, ...more };
  return provider.person.email;
}

const begin = (visitor: Visitor, more: object = {}): Promise<Reply> =>
  visitor.auth('/sign-in/provider', { provider: 'oidc', next: '/portal/', ...more });

async function through(visitor: Visitor, more: object = {}): Promise<Reply> {
  const { body, status, text } = await begin(visitor, more);
  if (status !== 200) throw new Error(`it could not begin: ${text}`);
  const authorized = await fetch(body.url, { redirect: 'manual' });
  const back = new URL(authorized.headers.get('location') ?? '');
  return visitor.ask('GET', back.pathname + back.search, {
    headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  });
}

const personOf = async (visitor: Visitor): Promise<{ email: string; name: string; emailVerified: boolean } | null> =>
  (await visitor.get('/session')).body.person;

async function refused(at: TestGate = gate, why = 'provider'): Promise<void> {
  const visitor = new Visitor(at.url);
  const { headers } = await through(visitor);
  expect(headers.get('location')).toBe(`/portal/sign-in?error=${why}`);
  expect(await personOf(visitor)).toBeNull();
}

describe('an ID token', () => {
  test.each<[string, Record<string, unknown>]>([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another client', { aud: 'somebody-else' }],
    ['for several clients, issued to another one', { aud: ['sekisho', 'other'], azp: 'other' }],
    ['for several clients, issued to no particular one', { aud: ['sekisho', 'other'] }],
    ['for us, issued to another client', { azp: 'somebody-else' }],
    ['that has expired', { exp: 1_000 }],
    ['without an expiry', { exp: undefined }],
    ['of another sign-in', { nonce: 'of another person' }],
    ['without a nonce', { nonce: undefined }],
    ['that is valid only in a year', { nbf: Math.floor(Date.now() / 1000) + 31_536_000 }],
    ['without a subject', { sub: undefined }],
    ['whose time is text', { auth_time: '1' }],
    ['of a sign-in before 1970', { auth_time: -5 }],
    ['whose subject is empty', { sub: '' }],
    ['whose subject is not text', { sub: 7 }],
    ['whose subject is a kilobyte long', { sub: 'x'.repeat(1_000) }],
  ])('%s opens nothing', async (_, lie) => {
    vouch();
    provider.lie = lie;
    await refused();
  });

  test.each([true, 'none', 'HS256'] as const)('signed with %s and not by the provider opens nothing', async (forge) => {
    vouch();
    provider.forge = forge;
    await refused();
  });

  test('that is missing opens nothing, and userinfo is not asked instead', async () => {
    vouch();
    provider.answer = { id_token: undefined };
    await refused();
    expect(provider.asked).not.toContain('/userinfo');
  });

  test('cannot be submitted by a client: no route takes one', async () => {
    const idToken = { token: 'a.b.c', nonce: 'x', accessToken: 'y' };
    for (const [path, body] of [
      ['/sign-in/social', { provider: 'oidc', idToken }],
      ['/sign-in/oauth2', { providerId: 'oidc', idToken }],
      ['/link-social', { provider: 'oidc', idToken }],
    ] as const)
      expect((await new Visitor(gate.url).auth(path, body)).status).toBe(404);
    const visitor = new Visitor(gate.url);
    await visitor.auth('/sign-in/provider', { provider: 'oidc', idToken });
    expect(await personOf(visitor)).toBeNull();
  });
});

describe('a person’s identity', () => {
  test('is issuer and subject: the same subject of another issuer is another person', async () => {
    const email = vouch();
    const alice = new Visitor(gate.url);
    await through(alice);
    expect((await personOf(alice))?.email).toBe(email);
    const { sub } = provider.person;
    await gate.manage(({ signIn: { db } }) =>
      db
        .updateTable('provider_identities')
        .set({ issuer: 'https://before.example' })
        .where('subject', '=', sub)
        .execute(),
    );
    const mallory = vouch({ sub });
    const visitor = new Visitor(gate.url);
    await through(visitor);
    expect((await personOf(visitor))?.email).toBe(mallory);
  });

  test('cannot be set by another claim', async () => {
    vouch();
    const alice = new Visitor(gate.url);
    await through(alice);
    const { sub } = provider.person;
    const email = vouch();
    provider.lie = { id: sub, user_id: sub, oid: sub, uid: sub };
    const visitor = new Visitor(gate.url);
    await through(visitor);
    expect((await personOf(visitor))?.email).toBe(email);
  });

  test('is created once, even when the first sign-in runs several times at once', async () => {
    const email = vouch();
    const visitors = Array.from({ length: 4 }, () => new Visitor(gate.url));
    await Promise.all(visitors.map((visitor) => through(visitor)));
    for (const visitor of visitors) expect((await personOf(visitor))?.email).toBe(email);
    const rows = await gate.manage(({ signIn: { db } }) =>
      db.selectFrom('people').select('id').where('email', '=', email).execute(),
    );
    expect(rows).toHaveLength(1);
  });

  test('stores none of the provider’s tokens', async () => {
    vouch();
    await through(new Visitor(gate.url));
    const { sub } = provider.person;
    const rows = await gate.manage(async ({ signIn: { db } }) => [
      await db.selectFrom('credentials').selectAll().where('providerId', '<>', 'credential').execute(),
      await db.selectFrom('provider_identities').selectAll().where('subject', '=', sub).execute(),
    ]);
    expect(rows[0]).toEqual([]);
    expect(Object.keys(rows[1]?.[0] ?? {})).toEqual(['issuer', 'subject', 'person_id', 'created_at']);
  });

  test('is part of the export of one’s own data', async () => {
    vouch();
    const visitor = new Visitor(gate.url);
    await through(visitor);
    const { providers, sessions } = (await visitor.get('/me/export')).body;
    expect(providers).toMatchObject([{ issuer: provider.url, subject: provider.person.sub }]);
    expect(sessions).toMatchObject([{ address: '127.0.0.1' }]);
  });
});

describe('an address', () => {
  test.each<[string, unknown]>([
    ['two recipients', 'attacker@evil.org, boss@example.ac.jp'],
    ['a line break', 'a@campus.example\r\nBcc: b@evil.example'],
    ['a zero-width space', 'a\u200bb@campus.example'],
    ['a full-width @', 'a＠campus.example'],
    ['a display name', 'A <a@campus.example>'],
    ['100 kilobytes', `${'a'.repeat(100_000)}@campus.example`],
    ['a list', ['a@campus.example']],
    ['nothing', undefined],
  ])('with %s is refused', async (_, email) => {
    vouch();
    provider.lie = { email };
    await refused(gate, 'address');
  });

  test('is normalised like any other, and replaces an invalid name', async () => {
    vouch({ name: `x\u0000\u202e${'y'.repeat(100_000)}` });
    const { sub } = provider.person;
    provider.lie = { email: ` ${sub.toUpperCase()}@Campus.Example ` };
    const visitor = new Visitor(gate.url);
    await through(visitor);
    expect(await personOf(visitor)).toMatchObject({ email: `${sub}@campus.example`, name: sub });
  });

  test('unconfirmed by the provider blocks no one else, and does not reveal whether it is known', async () => {
    const victim = vouch({ email_verified: false });
    const [mallory, known] = [new Visitor(gate.url), new Visitor(gate.url)];
    await through(mallory);
    expect(await personOf(mallory)).toMatchObject({ email: '', emailVerified: false });
    // Its owner signs in by the provider, which has confirmed it by now.
    vouch({ email: victim });
    const owner = new Visitor(gate.url);
    await through(owner);
    expect(await personOf(owner)).toMatchObject({ email: victim, emailVerified: true });
    vouch({ email: victim, email_verified: false });
    const { headers } = await through(known);
    expect(headers.get('location')).toBe('/portal/');
    expect(await personOf(known)).toMatchObject({ email: '' });
    // A person without an address enters the one they apply with, and confirms it.
    const own = `own-${++people}@campus.example`;
    expect((await mallory.post('/applications', { name: 'M', email: own, purpose: 'x' })).body.confirm).toBe(true);
    const email = await mailbox.to(own, 'confirm');
    const code = /#(link_\w+)/.exec(email.text)?.[1];
    expect((await new Visitor(gate.url).post('/confirmations', { code })).status).toBe(204);
    expect(await personOf(mallory)).toMatchObject({ email: own, emailVerified: true });
  });

  test('unconfirmed by the provider does not cost its user their only way in: the password it would leave opens nothing', async () => {
    await another({}, async (other) => {
      const otherOperator = await operatorOf(other);
      vouch({ email_verified: false });
      const visitor = new Visitor(other.url);
      await through(visitor);
      const email = `later-${++people}@campus.example`;
      const { body: applied } = await visitor.post('/applications', { name: 'L', email, purpose: 'x' });
      expect(applied.status).toBe('approved');
      const link = () => otherOperator.post('/accounts/L/links', { purpose: 'password' });
      expect((await link()).status).toBe(409);
      await visitor.auth('/sign-out', {});
      await through(visitor);
      expect(await personOf(visitor)).toMatchObject({ email, emailVerified: false });
      // The operator passes on a link that confirms the address first; then a password is useful.
      const { url } = (await otherOperator.post(`/applications/${applied.id as string}/link`)).body;
      expect((await visitor.post('/confirmations', { code: codeOf(url) })).status).toBe(204);
      const code = codeOf((await link()).body.url);
      const password = 'now a good one';
      expect((await new Visitor(other.url).post('/password-resets/confirm', { code, password })).status).toBe(204);
      expect((await new Visitor(other.url).auth('/sign-in/email', { email, password })).status).toBe(200);
      await through(visitor);
      expect(await personOf(visitor)).toMatchObject({ email, emailVerified: true });
    });
  });

  test('confirmed by the provider goes to its owner, not to a person who only entered it', async () => {
    await another({}, async (other) => {
      const otherOperator = await operatorOf(other);
      await otherOperator.patch('/registration', { mode: 'approval' });
      const victim = vouch();
      const squatter = new Visitor(other.url);
      const asked = { name: 'S', email: victim, purpose: 'x', password: goodPassword };
      expect((await squatter.post('/applications', asked)).status).toBe(201);
      const owner = new Visitor(other.url);
      expect((await through(owner)).headers.get('location')).toBe('/portal/');
      expect(await personOf(owner)).toMatchObject({ email: victim, emailVerified: true });
      // The squatter's account stays, without the address.
      expect(await personOf(squatter)).not.toBeNull();
      const again = await new Visitor(other.url).auth('/sign-in/email', { email: victim, password: goodPassword });
      expect(again.status).toBe(401);
      expect((await squatter.get('/session')).body.application.email).toBe(victim);
      // Nor by a person who takes the placeholder that the other would get.
      const next = vouch();
      const other2 = new Visitor(other.url);
      await other2.post('/applications', { ...asked, email: next });
      const { id } = (await personOf(other2)) as unknown as { id: string };
      const blocker = { ...asked, email: `${id.toLowerCase()}@taken.invalid` };
      expect((await new Visitor(other.url).post('/applications', blocker)).status).toBe(400);
      expect((await through(new Visitor(other.url))).headers.get('location')).toBe('/portal/');
      const guess = { email: `${id.toLowerCase()}@taken.invalid`, password: goodPassword };
      expect((await new Visitor(other.url).auth('/sign-in/email', guess)).status).toBe(400);
      // The same for a person to whom an operator gives a set-up link.
      const mail = `invited-${++people}@example.org`;
      expect((await new Visitor(other.url).post('/applications', { ...asked, email: mail })).status).toBe(201);
      const code = await setUpCode(other, mail, 'member');
      const invited = new Visitor(other.url);
      const made = await invited.post('/setup', { code, name: 'I', email: mail, password: 'another good one' });
      expect(made.status).toBe(204);
      expect(await personOf(invited)).toMatchObject({ email: mail });
    });
  });

  test('without email_verified counts as confirmed only for the issuer in OIDC_CONFIRMED_ISSUER', async () => {
    vouch({ email_verified: undefined });
    const visitor = new Visitor(gate.url);
    await through(visitor);
    expect(await personOf(visitor)).toMatchObject({ emailVerified: false });
    await another({ OIDC_CONFIRMED_ISSUER: provider.url }, async (other) => {
      vouch({ email_verified: undefined });
      const silent = new Visitor(other.url);
      await through(silent);
      expect(await personOf(silent)).toMatchObject({ emailVerified: true });
      vouch({ email_verified: false });
      const denied = new Visitor(other.url);
      await through(denied);
      expect(await personOf(denied)).toMatchObject({ emailVerified: false });
    });
    await expect(openGate(fake.url, settings({ OIDC_CONFIRMED_ISSUER: 'https://other.example' }))).rejects.toThrow(
      /oidc_confirmed_issuer is not the same as oidc_issuer/,
    );
  });
});

describe('single sign-on', () => {
  const isFresh = async (visitor: Visitor): Promise<boolean> => (await visitor.get('/session')).body.person.fresh;

  test('is not a recent sign-in: actions that need one make the provider ask again', async () => {
    vouch();
    const longAgo = Math.floor(Date.now() / 1000) - 3_600;
    for (const document of [{}, { claims_parameter_supported: true }]) {
      await another({}, async (other) => {
        provider.document = document;
        provider.signedInAt = longAgo;
        const visitor = new Visitor(other.url);
        await through(visitor);
        expect(await isFresh(visitor)).toBe(false);
        expect((await visitor.auth('/passkey/generate-register-options')).body.code).toBe('sign_in_again');
        await visitor.auth('/sign-out', {});
        await through(visitor, { anew: true });
        expect(await isFresh(visitor)).toBe(true);
        expect((await visitor.auth('/passkey/generate-register-options')).status).toBe(200);
      });
    }
  });

  test.each<[string, unknown]>([
    ['an hour ago', Math.floor(Date.now() / 1000) - 3_600],
    ['never', undefined],
    ['at the beginning of 1970', 0],
  ])('whose provider reports %s makes no recent session, whatever was requested', async (_, auth_time) => {
    vouch();
    provider.lie = { auth_time };
    const visitor = new Visitor(gate.url);
    await through(visitor, { anew: true });
    expect(await isFresh(visitor)).toBe(false);
  });

  test('of a moment ago counts as recent', async () => {
    vouch();
    provider.lie = { auth_time: Math.floor(Date.now() / 1000) + 20 };
    const visitor = new Visitor(gate.url);
    await through(visitor);
    expect(await isFresh(visitor)).toBe(true);
  });
});

describe('the second step', () => {
  /** A person who signed in by the provider, has an account and a password, and enables the second step. */
  async function guarded(at: TestGate): Promise<{ sub: string; secret: string; email: string }> {
    const email = vouch();
    const { sub } = provider.person;
    const visitor = new Visitor(at.url);
    await through(visitor);
    await visitor.post('/applications', { name: sub, purpose: 'x', email });
    const { url } = (await (await operatorOf(at)).post(`/accounts/${email}/links`, { purpose: 'password' })).body;
    const code = url.slice(url.indexOf('#') + 1);
    await new Visitor(at.url).post('/password-resets/confirm', { code, password: goodPassword });
    await visitor.auth('/sign-in/email', { email, password: goodPassword });
    const { body } = await visitor.auth('/two-factor/enable', { password: goodPassword });
    const secret = new URL(body.totpURI).searchParams.get('secret') ?? '';
    expect((await visitor.auth('/two-factor/verify-totp', { code: totp(secret) })).status).toBe(200);
    return { sub, secret, email };
  }

  test('is required after a sign-in by the provider, of the person who signed in', async () => {
    await another({}, async (other) => {
      const { secret, email } = await guarded(other);
      // In a browser in which another person is signed in.
      const visitor = await memberOf(other, `other-${++people}@example.org`);
      const { headers } = await through(visitor);
      expect(headers.get('location')).toBe('/portal/sign-in?step=code&next=%2Fportal%2F');
      expect(await personOf(visitor)).toBeNull();
      expect((await visitor.auth('/two-factor/verify-totp', { code: '000000' })).status).toBe(401);
      expect((await visitor.auth('/two-factor/verify-totp', { code: nextTotp(secret) })).status).toBe(200);
      expect((await personOf(visitor))?.email).toBe(email);
    });
  });

  test('is skipped when the operator states that this provider has one', async () => {
    await another({ OIDC_TWO_FACTOR_ISSUER: provider.url }, async (other) => {
      const { email } = await guarded(other);
      const visitor = new Visitor(other.url);
      await through(visitor);
      expect((await personOf(visitor))?.email).toBe(email);
    });
  });
});

describe('a discovery document', () => {
  test.each<[string, Record<string, unknown>]>([
    ['names another issuer', { issuer: 'https://evil.example' }],
    ['names an issuer that is a template', { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' }],
    ['sends the page to a script', { authorization_endpoint: 'javascript:alert(1)' }],
    ['sends the page to an unencrypted URL', { authorization_endpoint: 'http://evil.example/authorize' }],
    ['sends the secret to an unencrypted URL', { token_endpoint: 'http://evil.example/token' }],
    ['has no authorization endpoint', { authorization_endpoint: undefined }],
    ['has no keys', { jwks_uri: undefined }],
    ['has its keys in a file', { jwks_uri: 'file:///etc/passwd' }],
  ])('that %s is rejected, and the next one is used', async (_, document) => {
    await another({}, async (other) => {
      provider.document = document;
      const refusal = await begin(new Visitor(other.url));
      expect([refusal.status, refusal.body.code]).toEqual([502, 'provider_failed']);
      expect(refusal.text).not.toContain('evil');
      provider.document = {};
      vouch();
      const visitor = new Visitor(other.url);
      await through(visitor);
      expect(await personOf(visitor)).not.toBeNull();
    });
  });

  test('decides how the client authenticates: Basic if it offers only that or says nothing', async () => {
    for (const [methods, shown] of [
      [['client_secret_basic'], 'basic'],
      [undefined, 'basic'],
      [['client_secret_post'], 'body'],
      [['client_secret_basic', 'client_secret_post'], 'body'],
    ] as const)
      await another({}, async (other) => {
        provider.document = { token_endpoint_auth_methods_supported: methods };
        vouch();
        const visitor = new Visitor(other.url);
        await through(visitor);
        expect(await personOf(visitor)).not.toBeNull();
        expect(provider.shown.by).toBe(shown);
      });
  });
});

test.each(['https://issuer.example?x=1', 'http://issuer.example', 'http://10.0.0.1/', 'ftp://x', 'javascript:1'])(
  'a gate does not start with the issuer %s',
  async (issuer) => {
    await expect(openGate(fake.url, settings({ OIDC_ISSUER: issuer }))).rejects.toThrow(/OIDC_ISSUER|oidc_issuer/i);
  },
);

describe('a provider that does not answer', () => {
  test('delays no one else: passwords, set-up and pages work while a sign-in waits for it', async () => {
    await another({ OIDC_SECONDS: '600' }, async (other) => {
      provider.silent = 'discovery';
      const waits = begin(new Visitor(other.url));
      const member = await memberOf(other, `waits-${++people}@example.org`);
      expect((await member.get('/me')).status).toBe(200);
      await operatorOf(other);
      expect((await new Visitor(other.url).get('/session')).body.signIn.providers).toHaveLength(1);
      // Only the one that waits asked for it.
      expect(provider.asked).toEqual(['/.well-known/openid-configuration']);
      provider.hangUp();
      expect((await waits).status).toBe(502);
    });
  });

  test.each(['discovery', 'token', 'keys'] as const)('at %s is abandoned after the timeout', async (place) => {
    await another({ OIDC_SECONDS: '1' }, async (other) => {
      vouch();
      provider.silent = place;
      const visitor = new Visitor(other.url);
      if (place === 'discovery') expect((await begin(visitor)).status).toBe(502);
      else expect((await through(visitor)).headers.get('location')).toBe('/portal/sign-in?error=provider');
      expect(await personOf(visitor)).toBeNull();
    });
  });

  test.each(['discovery', 'token', 'keys'] as const)(
    'with an endless answer at %s is cut off after some kilobytes',
    async (place) => {
      await another({ OIDC_SECONDS: '600' }, async (other) => {
        vouch();
        provider.shown.bytesSent = 0;
        provider.endless = place;
        const visitor = new Visitor(other.url);
        if (place === 'discovery') expect((await begin(visitor)).status).toBe(502);
        else expect((await through(visitor)).headers.get('location')).toBe('/portal/sign-in?error=provider');
        // The buffers of the two systems, and the limit.
        expect(provider.shown.bytesSent).toBeLessThan(32 * 1024 * 1024);
      });
    },
  );
});

test('abandoned sign-ins leave no row behind', async () => {
  const rows = (): Promise<unknown[]> =>
    gate.manage(({ signIn: { db } }) => db.selectFrom('verifications').selectAll().execute());
  const before = await rows();
  for (let i = 0; i < 50; i++)
    expect((await begin(new Visitor(gate.url), { next: `/portal/${'x'.repeat(200)}` })).status).toBe(200);
  expect(await rows()).toEqual(before);
});

test('a sign-in begun in one browser cannot be completed in another, nor twice', async () => {
  vouch();
  const visitor = new Visitor(gate.url);
  const { body } = await begin(visitor);
  const back = new URL((await fetch(body.url, { redirect: 'manual' })).headers.get('location') ?? '');
  const end = (who: Visitor): Promise<Reply> => who.ask('GET', back.pathname + back.search);
  const other = new Visitor(gate.url);
  await begin(other);
  expect((await end(other)).headers.get('location')).toBe('/portal/sign-in?error=provider');
  expect(await personOf(other)).toBeNull();
  const before = [...visitor.cookies];
  expect((await end(visitor)).headers.get('location')).toBe('/portal/');
  await visitor.auth('/sign-out', {});
  expect((await end(visitor)).headers.get('location')).toBe('/portal/sign-in?error=provider');
  for (const [name, value] of before) visitor.cookies.set(name, value);
  expect((await end(visitor)).headers.get('location')).toBe('/portal/sign-in?error=provider');
  expect(await personOf(visitor)).toBeNull();
  expect((await visitor.ask('GET', '/portal/auth/callback/other?code=x&state=y')).status).toBe(404);
});

test('signing out also signs out of the provider, when the operator wants that and the session came from it', async () => {
  const away = `${provider.url}/end`;
  provider.document = { end_session_endpoint: away };
  await another({ OIDC_SIGN_OUT: 'provider' }, async (other) => {
    vouch();
    const visitor = new Visitor(other.url);
    await through(visitor);
    const { body } = await visitor.auth('/sign-out', {});
    const url = new URL(body.url);
    expect(url.origin + url.pathname).toBe(away);
    expect(url.searchParams.get('client_id')).toBe('sekisho');
    expect(url.searchParams.get('post_logout_redirect_uri')).toBe(`${other.url}/portal/`);
    expect(await personOf(visitor)).toBeNull();
    const member = await memberOf(other, `stays-${++people}@example.org`);
    expect((await member.auth('/sign-out', {})).body).toEqual({ success: true });
    expect(await personOf(member)).toBeNull();
  });
  vouch();
  const visitor = new Visitor(gate.url);
  await through(visitor);
  expect((await visitor.auth('/sign-out', {})).body).toEqual({ success: true });
});

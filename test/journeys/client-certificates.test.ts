// Callers with a client certificate: as the key itself, as a second factor of a key, or required for every connection.
import { once } from 'node:events';
import { copyFileSync, readFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { changeKey, type NewKey, revokeKey, rotateKey } from '../../src/management/keys/keys.ts';
import {
  filesOf,
  type Made,
  makeAuthority,
  makeCertificate,
  makeEnding,
  makeRevocationList,
  renewCertificate,
} from '../certificates.ts';
import { type FakeOllama, onePieceUntilLeft, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, inTime, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { closedAfterEach } from '../opened.ts';

let fake: FakeOllama;
let place: string;
let servers: Made;
let clients: Made;
let shown: Made;
let alice: Made;
let bob: Made;
const keep = closedAfterEach();

beforeAll(async () => {
  fake = await startFakeOllama();
  place = temporaryDirectory();
  servers = makeAuthority(place, 'Servers');
  clients = makeAuthority(place, 'Clients');
  shown = makeCertificate(place, ['IP:127.0.0.1'], { authority: servers });
  alice = makeCertificate(place, ['DNS:alice.example'], { authority: clients, use: 'clientAuth' });
  bob = makeCertificate(place, ['DNS:bob.example'], { authority: clients, use: 'clientAuth' });
});
afterEach(() => void (fake.pace = undefined));
afterAll(() => fake.close());

async function open(environment: Record<string, string> = {}): Promise<TestGate> {
  const gate = await openGate(fake.url, {
    ...filesOf(shown),
    TLS_CLIENT_CA: clients.cert,
    ...environment,
  });
  return keep(gate);
}

const pem = ({ cert }: Made): string => readFileSync(cert, 'utf8');

interface Answer {
  readonly status: number;
  readonly code: unknown;
  readonly text: string;
}

function ask(gate: TestGate, who: Made | undefined, options: RequestOptions = {}, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port: gate.port,
        path: '/api/tags',
        ca: readFileSync(servers.cert),
        agent: false,
        ...(who ? { cert: readFileSync(who.cert), key: readFileSync(who.key) } : {}),
        ...options,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, code: response.headers['x-sekisho-error-code'], text }),
        );
        response.on('error', reject);
      },
    );
    call.on('error', reject).end(body);
  });
}

const withKey = (secret: string): RequestOptions => ({ headers: { 'x-api-key': secret } });
const certificateKey = (gate: TestGate, who: Made, more: Partial<NewKey> = {}) =>
  gate.key({ certificate: pem(who), ...more });

describe('a certificate that is a key', () => {
  test('grants what its key may do, and its calls are recorded on its account', async () => {
    const gate = await open();
    await certificateKey(gate, alice, { account: 'alice', models: ['gemma3:*'] });
    const body = '{"model":"gemma3:270m","messages":[{"role":"user","content":"hi"}]}';
    expect((await ask(gate, alice, { method: 'POST', path: '/api/chat' }, body)).status).toBe(200);
    const other = await ask(gate, alice, { method: 'POST', path: '/api/chat' }, body.replace('gemma3:270m', 'llama3'));
    expect(other.status).toBe(404);
    const [row] = await gate.ledger(2);
    const account = await gate.manage((store) => store.findAccount('alice'));
    expect(row).toMatchObject({ accountId: account?.id, outcome: 'completed' });
  });

  test('accepts only that certificate: another of the same authority, none, or one of another authority opens nothing', async () => {
    const gate = await open();
    await certificateKey(gate, alice);
    const stranger = makeCertificate(place, ['DNS:alice.example'], {
      authority: makeAuthority(place, 'Clients'),
      use: 'clientAuth',
    });
    for (const who of [bob, undefined, stranger])
      expect(await ask(gate, who), who?.cert ?? 'none').toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect((await ask(gate, alice)).status).toBe(200);
  });

  test('stays valid when it is renewed with the same private key', async () => {
    const gate = await open();
    await certificateKey(gate, alice);
    expect((await ask(gate, renewCertificate(place, alice, clients))).status).toBe(200);
  });

  test('ends on an open connection when its key is revoked or expires', async () => {
    const gate = await open();
    const { id } = await certificateKey(gate, alice);
    const other = await certificateKey(gate, bob);
    expect((await ask(gate, bob)).status).toBe(200);
    const call = request({
      host: '127.0.0.1',
      port: gate.port,
      path: '/api/chat',
      method: 'POST',
      ca: readFileSync(servers.cert),
      cert: readFileSync(alice.cert),
      key: readFileSync(alice.key),
    });
    const begun = once(call, 'response');
    const answer = new Promise<string>((resolve) => {
      call.on('response', (response) => {
        let text = '';
        response.on('data', (piece: Buffer) => (text += piece.toString()));
        response.on('close', () => resolve(text));
        response.on('error', () => undefined);
      });
      call.on('error', () => undefined);
    });
    fake.pace = onePieceUntilLeft;
    call.end('{"model":"gemma3:270m","messages":[{"role":"user","content":"hi"}]}');
    await begun;
    await gate.manage((store, author) => revokeKey(store, id, author));
    expect(await answer).toContain('revoked');
    expect(await ask(gate, alice)).toMatchObject({ status: 401, code: 'key_revoked' });
    await gate.manage((store, author) => changeKey(store, other.id, { expiresAt: author.at + 1 }, author));
    await eventually(async () => expect((await ask(gate, bob)).code).toBe('key_expired'));
  });

  test('ends on an open connection when the certificate expires', async () => {
    const gate = await open();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ending = await inTime(2_000, async (lifeMs) => {
      // A certificate ends with a second.
      const made = makeEnding(place, clients, new Date(Date.now() + lifeMs + 1_000));
      await certificateKey(gate, made);
      expect((await ask(gate, made, { agent })).status).toBe(200);
      return made;
    });
    await eventually(async () => expect((await ask(gate, ending, { agent })).status).toBe(401));
    agent.destroy();
  });

  test('gives way to another key on the same connection', async () => {
    const gate = await open();
    await certificateKey(gate, alice);
    const { secret } = await gate.key({ models: ['llama3*'] });
    const answer = await ask(gate, alice, withKey(secret));
    expect(answer.text).not.toContain('gemma3');
    expect(await ask(gate, alice, withKey(`${secret.slice(0, -1)}x`))).toMatchObject({ status: 401 });
    // A placeholder is not a key: the certificate identifies its caller.
    expect(await ask(gate, alice, withKey('EMPTY'))).toMatchObject({ status: 200 });
  });

  test.each([
    ['an Origin', { origin: 'https://evil.example' }],
    ['the browser header of a cross-site request', { 'sec-fetch-site': 'cross-site' }],
  ])('A6: grants nothing to a page of another site: a request with %s needs a key', async (_what, headers) => {
    const gate = await open();
    await certificateKey(gate, alice);
    expect(await ask(gate, alice, { headers })).toMatchObject({ status: 401 });
  });

  test('counts for nothing when only a proxy header claims it', async () => {
    const gate = await open();
    await certificateKey(gate, alice);
    const headers = { 'x-client-cert': pem(alice).replaceAll('\n', ''), 'x-forwarded-client-cert': 'Hash=1' };
    expect(await ask(gate, undefined, { headers })).toMatchObject({ status: 401 });
  });

  test('can be registered once, only as a certificate in PEM, and not beside a public key', async () => {
    const gate = await open();
    await certificateKey(gate, alice);
    await expect(certificateKey(gate, alice)).rejects.toThrow('already registered');
    await expect(gate.key({ certificate: readFileSync(alice.key, 'utf8') })).rejects.toThrow(
      'not a certificate in PEM',
    );
    await expect(gate.key({ certificate: pem(bob), publicKey: 'ssh-ed25519 AAAA' })).rejects.toThrow('not both');
  });
});

describe('a key bound to a certificate', () => {
  test('works with that certificate and with no other, on both planes', async () => {
    const gate = await open();
    const { secret } = await gate.key({
      boundCertificate: pem(alice),
      scopes: ['inference', 'metadata', 'management:read'],
    });
    const management = { path: '/management/v1/keys', ...withKey(secret) };
    expect((await ask(gate, alice, withKey(secret))).status).toBe(200);
    expect((await ask(gate, alice, management)).status).toBe(200);
    for (const who of [bob, undefined]) {
      expect(await ask(gate, who, withKey(secret))).toMatchObject({ status: 403, code: 'certificate_required' });
      const refused = await ask(gate, who, management);
      expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('client certificate')]);
    }
    // The certificate alone is not a key.
    expect(await ask(gate, alice)).toMatchObject({ status: 401 });
  });

  test('stays bound to it when it is rotated', async () => {
    const gate = await open();
    const { id } = await gate.key({ boundCertificate: pem(alice) });
    const { secret } = await gate.manage((store, author) => rotateKey(store, id, 0, author));
    const text = secret?.reveal() ?? '';
    expect(await ask(gate, bob, withKey(text))).toMatchObject({ code: 'certificate_required' });
    expect((await ask(gate, alice, withKey(text))).status).toBe(200);
  });

  test('never works on a gate without TLS', async () => {
    const gate = await openGate(fake.url);
    keep(gate);
    const { secret } = await gate.key({ boundCertificate: pem(alice) });
    const answer = await fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': secret } });
    expect([answer.status, answer.headers.get('x-sekisho-error-code')]).toEqual([403, 'certificate_required']);
  });
});

describe('TLS_CLIENT_CERT=required', () => {
  test('refuses every client without a certificate before it can send a request, on the pages too', async () => {
    const gate = await open({ TLS_CLIENT_CERT: 'required' });
    const { secret } = await gate.key();
    for (const path of ['/api/tags', '/portal/', '/healthz'])
      await expect(ask(gate, undefined, { path, ...withKey(secret) }), path).rejects.toThrow(
        /alert|ECONNRESET|EPIPE|hang up/,
      );
    expect((await ask(gate, bob, withKey(secret))).status).toBe(200);
  });
});

describe.each<[string, () => Record<string, string>]>([
  ['a certificate from files', () => ({ TLS_CERT: shown.cert, TLS_KEY: shown.key })],
  ['one of its own authority', () => ({ TLS: 'self-signed' })],
  // No authority answers there, so the gate shows its own certificate meanwhile.
  [
    'one of a public authority',
    () => ({
      ACME_DOMAINS: 'gate.example',
      ACME_EMAIL: 'a@gate.example',
      ACME_DIRECTORY: 'https://127.0.0.1:1/dir',
      HTTP_PORT: '0',
    }),
  ],
])('TLS_CLIENT_CRL of a gate with %s', (_, encryption) => {
  const openGateWith = async (list: string): Promise<TestGate> => {
    const gate = await openGate(fake.url, {
      TLS_CLIENT_CA: clients.cert,
      TLS_CLIENT_CRL: list,
      ...encryption(),
    });
    keep(gate);
    return gate;
  };
  const call = (gate: TestGate, who: Made, options: RequestOptions = {}): Promise<Answer> =>
    ask(gate, who, { rejectUnauthorized: false, ...options });

  test('refuses a revoked certificate, also when it is revoked while the gate runs', async () => {
    const list = join(place, 'list.pem');
    copyFileSync(makeRevocationList(place, clients, [bob]), list);
    const gate = await openGateWith(list);
    await certificateKey(gate, alice);
    await certificateKey(gate, bob);
    expect((await call(gate, alice)).status).toBe(200);
    expect((await call(gate, bob)).status).toBe(401);
    copyFileSync(makeRevocationList(place, clients, [alice, bob]), list);
    gate.reload();
    await eventually(async () => expect((await call(gate, alice)).status).toBe(401));
  });

  test('closes connections opened with a certificate revoked later, and lets their running requests finish', async () => {
    const list = join(place, 'list.pem');
    copyFileSync(makeRevocationList(place, clients, []), list);
    const gate = await openGateWith(list);
    await certificateKey(gate, bob);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect((await call(gate, bob, { agent })).status).toBe(200);
    expect((await call(gate, bob, { agent })).status).toBe(200);
    const { promise: listChanged, resolve: goOn } = Promise.withResolvers<void>();
    fake.pace = (index) => (index === 0 ? undefined : listChanged);
    const arrival = fake.arrival(({ url }) => url === '/api/chat');
    const body = '{"model":"gemma3:270m","messages":[{"role":"user","content":"x"}]}';
    const running = ask(
      gate,
      bob,
      {
        agent,
        rejectUnauthorized: false,
        path: '/api/chat',
        method: 'POST',
        headers: { 'content-length': body.length },
      },
      body,
    );
    await arrival;
    copyFileSync(makeRevocationList(place, clients, [bob]), list);
    gate.reload();
    await eventually(async () => expect((await call(gate, bob)).status).toBe(401));
    goOn();
    expect((await running).text).toContain('"done":true');
    await eventually(async () => expect((await call(gate, bob, { agent })).status).toBe(401));
    agent.destroy();
  });

  test('stays in force when the new file is not a valid list', async () => {
    const list = join(place, 'list.pem');
    copyFileSync(makeRevocationList(place, clients, [bob]), list);
    const gate = await openGateWith(list);
    await certificateKey(gate, alice);
    await certificateKey(gate, bob);
    copyFileSync(clients.key, list);
    gate.reload();
    await eventually(() =>
      expect(gate.log()).toMatch(/is not used; (what is there|the last of it|the last one) stays/),
    );
    expect((await call(gate, alice)).status).toBe(200);
    expect((await call(gate, bob)).status).toBe(401);
  });
});

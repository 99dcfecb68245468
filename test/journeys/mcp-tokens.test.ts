// An MCP server whose route trusts an authorization server: the SDK's client finds it and gets a token by itself; tokens that are wrong in
// any way, or for somebody unknown, are refused; keys keep working.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { generateSecret, SignJWT } from 'jose';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditEvent } from '../../src/domain/audit.ts';
import { newPersonId } from '../../src/domain/id.ts';
import { createAccount } from '../../src/management/accounts/accounts.ts';
import { changePlan, createPlan } from '../../src/management/plans/plans.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { documentedRoute } from '../services/documented-route.ts';
import { type RunningMcpServer, startMcpServer } from '../services/mcp-server.ts';
import { startTokenIssuer, type TokenIssuer } from '../services/token-issuer.ts';

let fake: FakeOllama;
let server: RunningMcpServer;
let issuer: TokenIssuer;
let other: TokenIssuer;
let gate: TestGate;
/** As callers name the gate, and so the resource. */
let url: string;
let accountId: string;

beforeAll(async () => {
  [fake, server, issuer, other] = await Promise.all([
    startFakeOllama(),
    startMcpServer(),
    startTokenIssuer(),
    startTokenIssuer(),
  ]);
  const routes = join(temporaryDirectory(), 'routes.json');
  const trusting = { issuer: issuer.url, subjects: ['program=program', 'auth0|a=b=reader', 'nowhere=not-there'] };
  const { path: _path, ...notes } = documentedRoute('team-notes', { upstreams: [server.url], mcp: trusting });
  writeFileSync(
    routes,
    JSON.stringify([
      { ...notes, path: '/team-notes', slots: 1 },
      { ...notes, name: 'hosted', hostName: 'notes.example.com' },
      { name: 'elsewhere', path: '/elsewhere', upstreams: [server.url], mcp: { issuer: other.url } },
      { name: 'keys', path: '/keys', upstreams: [server.url], mcp: {}, scope: 'route:notes' },
    ]),
  );
  gate = await openGate(fake.url, { ROUTES: routes });
  url = `http://localhost:${gate.port}`;
  const scopes = ['route:notes', 'route:notes-write'];
  await gate.manage(async (store, by) => {
    await createPlan(store, 'both', { scopes }, undefined, by);
    await createPlan(store, 'reading', { scopes: ['route:notes'] }, undefined, by);
    ({ id: accountId } = await createAccount(store, 'program', 'both', by));
    await createAccount(store, 'reader', 'reading', by);
  });
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([server.close(), issuer.close(), other.close(), fake.close()]);
});

const resource = (): string => `${url}/team-notes`;
const claims = () => ({ sub: 'program', aud: resource(), scope: 'route:notes route:notes-write openid' });

interface Answer {
  readonly status: number;
  readonly challenge: string | null;
  readonly body: {
    readonly error?: { readonly code: string | number; readonly data?: { readonly code: string } };
    readonly result?: { readonly tools?: { readonly name: string }[] };
  };
}

async function ask(headers: Readonly<Record<string, string>>, at = resource(), method = 'tools/list'): Promise<Answer> {
  const response = await fetch(at, {
    method: 'POST',
    headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      params: method === 'tools/call' ? { name: 'delete_x' } : {},
    }),
  });
  const text = await response.text();
  return {
    status: response.status,
    challenge: response.headers.get('www-authenticate'),
    body: JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text) as Answer['body'],
  };
}

const withToken = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });
const namesIn = ({ body }: Answer): unknown => body.result?.tools?.map(({ name }) => name);
const codeIn = ({ status, body }: Answer): unknown => [status, body.error?.data?.code ?? body.error?.code];

test('a client that knows only the address finds the issuer, gets a token for this server, and uses the tools of its account', async () => {
  const authProvider = new ClientCredentialsProvider({
    clientId: 'program',
    clientSecret: 'secret',
    expectedIssuer: issuer.url,
  });
  const client = new Client({ name: 'journey', version: '1.0.0' });
  await client.connect(new StreamableHTTPClientTransport(new URL(resource()), { authProvider }));
  // The scope that the first 401 asked for.
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['search', 'read_note']);
  expect(await client.callTool({ name: 'search', arguments: { text: 'tea' } })).toMatchObject({
    content: [{ text: 'search: tea' }],
  });
  await client.close();
  const token = authProvider.tokens()?.access_token ?? '';
  expect(token).toMatch(/^eyJ/);
  expect(JSON.stringify(server.asked)).not.toContain(token);
  await eventually(async () => {
    const rows = (await gate.ledger(0)).filter(({ cost }) => cost !== undefined);
    expect(rows).toMatchObject([{ accountId, cost: { unit: 'calls', units: 1 } }]);
    expect(rows[0]?.keyId).toMatch(/^key_token_[0-9a-f]{12}$/);
  });
});

test('the metadata stand where the resource says, for services with an issuer only', async () => {
  const at = `${url}/.well-known/oauth-protected-resource`;
  const response = await fetch(`${at}/team-notes`);
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
  expect(await response.json()).toEqual({
    resource: resource(),
    authorization_servers: [issuer.url],
    scopes_supported: ['route:notes', 'route:notes-write'],
    bearer_methods_supported: ['header'],
    resource_name: 'team-notes',
  });
  for (const [address, status] of [
    ['/keys', 404],
    ['', 404],
    ['/team-notes/x', 404],
    ['x', 404],
  ] as const)
    expect((await fetch(at + address)).status, address).toBe(status);
  expect((await fetch(`${at}/team-notes`, { method: 'POST' })).status).toBe(405);
});

test('without a credential a 401 says where the metadata are; a service without an issuer says nothing of them', async () => {
  expect(await ask({})).toMatchObject({
    status: 401,
    challenge: `Bearer resource_metadata="${url}/.well-known/oauth-protected-resource/team-notes", scope="route:notes"`,
  });
  expect((await ask({}, `${url}/keys`)).challenge).toBe('Bearer realm="sekisho"');
});

test('a token has the scopes that it says and the plan allows, and no others', async () => {
  const all = ['search', 'read_note', 'delete_note'];
  const asked = async (changes: object) =>
    namesIn(await ask(withToken(await issuer.token({ ...claims(), ...changes }))));
  expect(await asked({})).toEqual(all);
  expect(await asked({ scope: undefined, scp: ['route:notes', 'route:notes-write'] })).toEqual(all);
  expect(await asked({ scope: 'route:notes' })).toEqual(all.slice(0, 2));
  expect(await asked({ sub: 'auth0|a=b' })).toEqual(all.slice(0, 2));
  expect(await asked({ aud: ['https://else.example', resource()] })).toEqual(all);
  const lacking = await ask(withToken(await issuer.token({ ...claims(), scope: 'inference:chat route:other' })));
  expect(codeIn(lacking)).toEqual([403, 'missing_scope']);
  expect(lacking.challenge).toMatch(
    /^Bearer error="insufficient_scope", resource_metadata="[^"]+", scope="route:notes"$/,
  );
});

describe('a token is refused, and nothing of the call reaches the server', () => {
  const seconds = (): number => Math.floor(Date.now() / 1000);
  const secret = generateSecret('HS256');
  test.each<[string, () => Promise<string>]>([
    ['for another resource', () => issuer.token({ ...claims(), aud: `${url}/keys` })],
    ['for the gate', () => issuer.token({ ...claims(), aud: url })],
    ['for a longer address', () => issuer.token({ ...claims(), aud: `${resource()}/x` })],
    ['for nobody', () => issuer.token({ ...claims(), aud: undefined })],
    ['that has expired', () => issuer.token({ ...claims(), exp: seconds() - 60 })],
    ['without an end', () => issuer.token({ ...claims(), exp: undefined })],
    ['that is not valid yet', () => issuer.token({ ...claims(), nbf: seconds() + 60 })],
    ['without a subject', () => issuer.token({ ...claims(), sub: undefined })],
    ['of another issuer', () => other.token(claims())],
    ['of another issuer in this one’s name', () => other.token({ ...claims(), iss: issuer.url })],
    ['bound to a key of its holder', () => issuer.token({ ...claims(), cnf: { jkt: 'x' } })],
    ['of another type', () => issuer.token(claims(), { typ: 'logout+jwt' })],
    [
      'signed with a shared secret',
      async () =>
        new SignJWT({ ...claims(), iss: issuer.url, exp: seconds() + 60 })
          .setProtectedHeader({ alg: 'HS256', kid: 'k0' })
          .sign(await secret),
    ],
    [
      'not signed',
      async () => {
        const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
        return `${part({ alg: 'none' })}.${part({ ...claims(), iss: issuer.url, exp: seconds() + 60 })}.AA`;
      },
    ],
    ['changed', async () => (await issuer.token(claims())).replace(/\.[^.]+\./, '.eyJzdWIiOiJwcm9ncmFtIn0.')],
  ])('%s', async (_, make) => {
    const before = server.asked.length;
    const refused = await ask(withToken(await make()));
    expect(codeIn(refused)).toEqual([401, 'invalid_token']);
    expect(refused.challenge).toMatch(/^Bearer error="invalid_token", resource_metadata="/);
    expect(server.asked.length).toBe(before);
  });

  test('for somebody unknown: 403, also where the account that the operator named is missing', async () => {
    for (const sub of ['stranger', 'nowhere', 'Program'])
      expect(codeIn(await ask(withToken(await issuer.token({ ...claims(), sub }))))).toEqual([403, 'unknown_subject']);
  });

  test('beside a key, in another place, or at a service or route without an issuer', async () => {
    const { secret: key } = await gate.key({ scopes: ['route:notes'] });
    const token = await issuer.token(claims());
    expect(codeIn(await ask({ ...withToken(token), 'x-api-key': key }))).toEqual([400, 'conflicting_credentials']);
    expect(codeIn(await ask({ 'x-api-key': token }))).toEqual([401, 'invalid_api_key']);
    expect(codeIn(await ask(withToken(token), `${url}/keys`))).toEqual([401, 'invalid_api_key']);
    expect((await fetch(`${url}/api/tags`, { headers: withToken(token) })).status).toBe(401);
    expect(namesIn(await ask({ 'x-api-key': key }))).toEqual(['search', 'read_note']);
  });
});

test('somebody who signs in here by the same issuer needs no entry; a person without an account is nobody', async () => {
  const token = await issuer.token({ ...claims(), sub: 'of-the-portal' });
  const id = newPersonId();
  await gate.manage((store, { actor, at }) =>
    store.insertVouched(
      { id, name: 'P', email: 'p@example.org', emailVerified: true, language: null },
      { issuer: issuer.url, subject: 'of-the-portal' },
      auditEvent({ actor, at }, 'person.create', id, null, {}),
    ),
  );
  expect(codeIn(await ask(withToken(token)))).toEqual([403, 'unknown_subject']);
  await gate.manage(async (store, { actor, at }) => {
    const account = await store.findAccount('reader');
    await store.updatePerson(id, { accountId: account!.id }, auditEvent({ actor, at }, 'person.change', id, null, {}));
  });
  await eventually(async () => expect(namesIn(await ask(withToken(token)))).toEqual(['search', 'read_note']));
});

test('a change of the plan counts for the next call of the same token', async () => {
  const token = await issuer.token({ ...claims(), sub: 'auth0|a=b' });
  expect(namesIn(await ask(withToken(token)))).toEqual(['search', 'read_note']);
  await gate.manage(async (store, by) => {
    await changePlan(store, 'reading', { scopes: ['inference:chat'] }, by);
  });
  await eventually(async () => expect(codeIn(await ask(withToken(token)))).toEqual([403, 'missing_scope']));
});

test('a client that listens for changes takes no slot from calls, and is ended when its account loses the service', async () => {
  const token = await issuer.token(claims());
  const client = new Client({ name: 'journey', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: withToken(token) };
  await client.connect(new StreamableHTTPClientTransport(new URL(resource()), { requestInit }));
  const subscription = await client.listen({ toolsListChanged: true });
  expect(subscription.honoredFilter).toEqual({ toolsListChanged: true });
  expect((await client.listTools()).tools).toHaveLength(3);
  await gate.manage((store, by) => changePlan(store, 'both', { scopes: ['inference:chat'] }, by));
  expect(await subscription.closed).toBe('remote');
  await eventually(async () => {
    const codes = (await gate.ledger(0)).flatMap(({ outcome, code }) => (outcome === 'ended' ? [code] : []));
    expect(codes).toContain('missing_scope');
  });
  await client.close();
  await gate.manage((store, by) => changePlan(store, 'both', { scopes: ['route:notes', 'route:notes-write'] }, by));
  await eventually(async () => expect((await ask(withToken(token))).status).toBe(200));
});

test('a service with a host of its own is its own resource', async () => {
  const host = { host: `notes.example.com:${gate.port}` };
  const at = `http://127.0.0.1:${gate.port}`;
  const metadata = await request(`${at}/.well-known/oauth-protected-resource`, { headers: host });
  const described = (await metadata.body.json()) as { resource: string };
  expect(described.resource).toBe(`http://notes.example.com:${gate.port}/`);
  for (const aud of [described.resource, described.resource.slice(0, -1)]) {
    const headers = {
      ...host,
      ...withToken(await issuer.token({ ...claims(), aud })),
      'content-type': 'application/json',
    };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
    const answered = await request(at, {
      method: 'POST',
      headers: { ...headers, accept: 'application/json, text/event-stream' },
      body,
    });
    expect(answered.statusCode).toBe(200);
    await answered.body.dump();
  }
});

test('an issuer whose keys cannot be read is no reason to call a token wrong', async () => {
  other.isBroken = true;
  const refused = await ask(withToken(await other.token({ ...claims(), aud: `${url}/elsewhere` })), `${url}/elsewhere`);
  expect(codeIn(refused)).toEqual([503, 'identity_unavailable']);
});

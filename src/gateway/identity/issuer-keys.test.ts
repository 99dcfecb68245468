import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startTokenIssuer, type TokenIssuer } from '../../../test/services/token-issuer.ts';
import { IssuerKeys } from './issuer-keys.ts';

let issuer: TokenIssuer;
let nowMs = 0;
let keys: IssuerKeys;

beforeAll(async () => {
  issuer = await startTokenIssuer();
});
afterAll(() => issuer.close());
beforeEach(() => {
  nowMs = 1_000_000;
  keys = new IssuerKeys(() => nowMs);
  issuer.metadata = {};
  issuer.isBroken = false;
  issuer.asked.length = 0;
});

async function verify(token: string): Promise<string | undefined> {
  const { find } = await keys.of(issuer.url);
  return (await jwtVerify(token, find)).payload.sub;
}

test('keys are read once, and again when a token names one that is new, at most every ten seconds', async () => {
  const token = await issuer.token({ sub: 'a' });
  expect(await Promise.all([verify(token), verify(token)])).toEqual(['a', 'a']);
  expect(issuer.asked).toEqual(['/.well-known/oauth-authorization-server', '/keys']);
  await issuer.rotate();
  const next = await issuer.token({ sub: 'b' });
  await expect(verify(next)).rejects.toThrow('no applicable key');
  expect(issuer.asked.length).toBe(2);
  nowMs += 10_000;
  expect(await verify(next)).toBe('b');
  // The old key is gone.
  await expect(verify(token)).rejects.toThrow('no applicable key');
  expect(issuer.asked.length).toBe(4);
});

test('an issuer that fails is asked again after ten seconds, and not by every call', async () => {
  issuer.isBroken = true;
  const token = await issuer.token({ sub: 'a' });
  await expect(verify(token)).rejects.toThrow('status 500');
  await expect(verify(token)).rejects.toThrow('status 500');
  expect(issuer.asked.length).toBe(2);
  issuer.isBroken = false;
  nowMs += 10_000;
  expect(await verify(token)).toBe('a');
});

test.each<[string, () => Readonly<Record<string, unknown>>, string]>([
  ['of another issuer', () => ({ issuer: 'https://else.example' }), 'status 404'],
  ['without keys', () => ({ jwks_uri: undefined }), 'names no jwks_uri'],
  ['with keys that come unencrypted', () => ({ jwks_uri: 'http://192.0.2.1/keys' }), 'names no jwks_uri'],
  [
    'with keys that are none',
    () => ({ jwks_uri: `${issuer.url}/.well-known/oauth-authorization-server` }),
    'JSON Web Key Set',
  ],
])('metadata %s are not used', async (_, metadata, message) => {
  issuer.metadata = metadata();
  await expect(keys.of(issuer.url)).rejects.toThrow(message);
});

test('an answer that is too long or leads elsewhere is not read', async () => {
  const server = createServer((request, response) => {
    if (request.url?.includes('openid') === true) response.writeHead(302, { location: issuer.url }).end();
    else response.writeHead(200).end(Buffer.alloc(300_000, ' '));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await expect(keys.of(url)).rejects.toThrow();
  expect(issuer.asked).toEqual([]);
  await new Promise((resolve) => server.close(resolve));
});

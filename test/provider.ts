// An OpenID Connect provider on a loopback port: discovery, keys, authorization with PKCE, tokens. It identifies the person
// that a test names, and can lie in the ways of a malicious provider.
import { createHash, createHmac, createSign, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Vouched {
  readonly sub: string;
  readonly email: string;
  readonly email_verified?: boolean | undefined;
  readonly name: string;
}

type Place = 'discovery' | 'token' | 'keys';

export interface Provider {
  readonly url: string;
  /** The person of the next authorization. */
  person: Vouched;
  /** Changes to the claims of the next ID token. */
  lie: Readonly<Record<string, unknown>>;
  /** Signs with a key that the discovery document does not list, not at all, or with the client secret. */
  forge: false | true | 'none' | 'HS256';
  /** Changes to the discovery document. */
  document: Readonly<Record<string, unknown>>;
  /** The person's last sign-in at the provider: it then lets them through unless told not to. Seconds since 1970. */
  signedInAt: number | undefined;
  /** Changes to the token response. */
  answer: Readonly<Record<string, unknown>>;
  /** Accepts the connection and sends nothing more. */
  silent: Place | undefined;
  /** Answers with bytes that never end. */
  endless: Place | undefined;
  /** The requests so far, path by path. */
  readonly asked: string[];
  /** How the client last authenticated. */
  readonly shown: { by: 'basic' | 'body' | 'nothing'; bytesSent: number };
  /** Ends every open connection. */
  hangUp(): void;
  close(): Promise<void>;
}

const places: Readonly<Record<string, Place>> = {
  '/.well-known/openid-configuration': 'discovery',
  '/token': 'token',
  '/keys': 'keys',
};

export const clientSecret = 'the secret of the client: with + and %';

export async function startProvider(): Promise<Provider> {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const others = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const codes = new Map<
    string,
    { challenge: string; nonce: string | null; redirect: string; person: Vouched; at: number | undefined }
  >();
  const provider: Provider = {
    url: '',
    person: { sub: 'one', email: 'one@example.org', email_verified: true, name: 'One' },
    lie: {},
    forge: false,
    document: {},
    signedInAt: undefined,
    answer: {},
    silent: undefined,
    endless: undefined,
    asked: [],
    shown: { by: 'nothing', bytesSent: 0 },
    hangUp: () => server.closeAllConnections(),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  /** Core §3.1.2.1: asks again when it must, and returns auth_time when requested. */
  const authenticatedAt = (query: URLSearchParams): number | undefined => {
    const now = Math.floor(Date.now() / 1000);
    const [at, most] = [provider.signedInAt ?? now, query.get('max_age')];
    const anew = query.get('prompt') === 'login' || (most !== null && now - at >= Number(most));
    if (anew) provider.signedInAt = now;
    return most === null && query.get('claims')?.includes('auth_time') !== true ? undefined : anew ? now : at;
  };
  const sign = (claims: Record<string, unknown>): string => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const alg = typeof provider.forge === 'string' ? provider.forge : 'RS256';
    const text = `${part({ alg, typ: 'JWT', kid: 'k1' })}.${part(claims)}`;
    if (alg === 'none') return `${text}.`;
    if (alg === 'HS256') return `${text}.${createHmac('sha256', clientSecret).update(text).digest('base64url')}`;
    const { privateKey } = provider.forge === true ? others : keys;
    return `${text}.${createSign('sha256').update(text).sign(privateKey, 'base64url')}`;
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', provider.url);
    const json = (value: unknown, status = 200): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    const { origin } = new URL(provider.url);
    provider.asked.push(url.pathname);
    const place = places[url.pathname];
    if (place !== undefined && provider.silent === place) return;
    if (place !== undefined && provider.endless === place) {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(64 * 1024))) provider.shown.bytesSent += 64 * 1024;
      };
      response.on('drain', more);
      more();
      return;
    }
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return json({
          issuer: origin,
          authorization_endpoint: `${origin}/authorize`,
          token_endpoint: `${origin}/token`,
          jwks_uri: `${origin}/keys`,
          userinfo_endpoint: `${origin}/userinfo`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
          code_challenge_methods_supported: ['S256'],
          token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
          ...provider.document,
        });
      case '/keys':
        return json({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256', use: 'sig' }] });
      case '/authorize': {
        const code = randomBytes(12).toString('hex');
        const redirect = url.searchParams.get('redirect_uri') ?? '';
        codes.set(code, {
          challenge: url.searchParams.get('code_challenge') ?? '',
          nonce: url.searchParams.get('nonce'),
          redirect,
          person: provider.person,
          at: authenticatedAt(url.searchParams),
        });
        const back = new URL(redirect);
        back.searchParams.set('code', code);
        back.searchParams.set('state', url.searchParams.get('state') ?? '');
        back.searchParams.set('iss', origin);
        response.writeHead(302, { location: back.href }).end();
        return;
      }
      case '/token': {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          const form = new URLSearchParams(Buffer.concat(chunks).toString());
          const basic = request.headers.authorization?.startsWith('Basic ') === true;
          const secret = basic
            ? decodeURIComponent(
                (
                  Buffer.from(request.headers.authorization?.slice(6) ?? '', 'base64')
                    .toString()
                    .split(':')[1] ?? ''
                )
                  // RFC 6749 §2.3.1: form encoding, before Base64.
                  .replaceAll('+', ' '),
              )
            : form.get('client_secret');
          provider.shown.by = basic ? 'basic' : secret === null ? 'nothing' : 'body';
          if (secret !== clientSecret) return json({ error: 'invalid_client' }, 401);
          const code = form.get('code') ?? '';
          const found = codes.get(code);
          codes.delete(code);
          const verifier = createHash('sha256')
            .update(form.get('code_verifier') ?? '')
            .digest('base64url');
          if (!found || verifier !== found.challenge || form.get('redirect_uri') !== found.redirect)
            return json({ error: 'invalid_grant' }, 400);
          const now = Math.floor(Date.now() / 1000);
          const claims = {
            iss: origin,
            aud: 'sekisho',
            iat: now,
            exp: now + 300,
            nonce: found.nonce,
            ...found.person,
            auth_time: found.at,
          };
          return json({
            access_token: `at-${found.person.sub}`,
            token_type: 'Bearer',
            expires_in: 300,
            refresh_token: `rt-${found.person.sub}`,
            id_token: sign({ ...claims, ...provider.lie }),
            ...provider.answer,
          });
        });
        return;
      }
      case '/userinfo':
        return json(provider.person);
      default:
        return json({ error: 'not_found' }, 404);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  Object.assign(provider, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  return provider;
}

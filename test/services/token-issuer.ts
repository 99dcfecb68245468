// An authorization server on a loopback port: metadata (RFC 8414), keys, and a token endpoint for clients of their own (OAuth 2.1,
// client_credentials) that puts the resource it is asked for into the audience (RFC 8707).
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';

export interface TokenIssuer {
  readonly url: string;
  /** Paths that it was asked for. */
  readonly asked: string[];
  /** Changes to the metadata. */
  metadata: Readonly<Record<string, unknown>>;
  /** Answers every request with a 500. */
  isBroken: boolean;
  /** A new key signs from now on, and replaces the others in the key set. */
  rotate(): Promise<void>;
  /** Signs these claims; `undefined` leaves one out. */
  token(claims: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, string>>): Promise<string>;
  close(): Promise<void>;
}

export async function startTokenIssuer(): Promise<TokenIssuer> {
  let number = 0;
  let pair = await generateKeyPair('ES256');
  const server = createServer((request, response) => {
    void answer(request).then(([status, body]) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function answer(request: IncomingMessage): Promise<[number, unknown]> {
    const path = request.url ?? '';
    issuer.asked.push(path);
    if (issuer.isBroken) return [500, {}];
    switch (path) {
      case '/.well-known/oauth-authorization-server':
        return [200, { ...metadata, ...issuer.metadata }];
      case '/keys':
        return [200, { keys: [{ ...(await exportJWK(pair.publicKey)), kid: `k${number}`, alg: 'ES256' }] }];
      case '/token': {
        const asked = new URLSearchParams((await request.toArray()).join(''));
        const [client] = Buffer.from((request.headers.authorization ?? '').slice(6), 'base64')
          .toString()
          .split(':');
        const token = await issuer.token({ sub: client, aud: asked.get('resource'), scope: asked.get('scope') });
        return [200, { access_token: token, token_type: 'Bearer', expires_in: 300 }];
      }
      default:
        return [404, {}];
    }
  }

  const metadata = {
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    jwks_uri: `${url}/keys`,
    response_types_supported: ['code'],
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: ['client_secret_basic'],
    code_challenge_methods_supported: ['S256'],
  };
  const issuer: TokenIssuer = {
    url,
    asked: [],
    metadata: {},
    isBroken: false,
    rotate: async () => {
      number++;
      pair = await generateKeyPair('ES256');
    },
    token: (claims, header = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const all = { iss: url, iat: now, exp: now + 300, ...claims } as JWTPayload;
      return new SignJWT(all)
        .setProtectedHeader({ alg: 'ES256', kid: `k${number}`, typ: 'at+jwt', ...header })
        .sign(pair.privateKey);
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return issuer;
}

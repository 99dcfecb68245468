// An OpenID Connect provider, through openid-client. Discovered when first needed, and contacted with limits on time and size.
// Only an ID token counts that the provider has signed for this gateway, now, and for this sign-in.
import type * as openid from 'openid-client';

/** There is one at most. */
export const providerId = 'oidc';

export interface Provider {
  readonly id: typeof providerId;
  readonly name: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Signing in there replaces the second step here. */
  readonly passesSecondStep: boolean;
  /** An address counts as confirmed if the token does not tell. */
  readonly confirmsSilently: boolean;
  /** Signing out here also signs out there. */
  readonly signsOut: boolean;
  /** How long each answer may take. */
  readonly seconds: number;
}

/** What the return of a sign-in must match. */
export interface Begun {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

export type Claims = Readonly<Record<string, unknown>> & { readonly iss: string; readonly sub: string };

/** The provider is unreachable, slow, or sends an invalid answer. The cause is for the log. */
export class ProviderFailed extends Error {
  override name = 'ProviderFailed';
}

/** A discovery document, a key set or a token answer has a few kilobytes. */
const mostBytes = 256 * 1024;
/** Sign-ins that contact the provider at the same time; others are told to try again. */
const mostAtOnce = 16;
/** Providers change their endpoints now and then. */
const foundForMs = 3_600_000;

interface Found {
  readonly library: typeof openid;
  readonly config: openid.Configuration;
}

export class ProviderClient {
  readonly #provider: Provider;
  readonly #redirectUri: string;
  #found: Promise<Found> | undefined;
  #foundAtMs = 0;
  #talking = 0;

  constructor(provider: Provider, redirectUri: string) {
    this.#provider = provider;
    this.#redirectUri = redirectUri;
  }

  /**
   * Where the browser is sent, and what its return must match. `anew`: the provider has to authenticate the person again.
   * @throws ProviderFailed.
   */
  begin(anew: boolean): Promise<{ readonly url: string; readonly begun: Begun }> {
    return this.#talk(async ({ library, config }) => {
      const begun = {
        state: library.randomState(),
        nonce: library.randomNonce(),
        verifier: library.randomPKCECodeVerifier(),
      };
      const url = library.buildAuthorizationUrl(config, {
        redirect_uri: this.#redirectUri,
        scope: 'openid email profile',
        state: begun.state,
        nonce: begun.nonce,
        code_challenge: await library.calculatePKCECodeChallenge(begun.verifier),
        code_challenge_method: 'S256',
        // Core §3.1.2.1: with max_age, the token must have auth_time; some providers only support one of the two parameters.
        ...(anew ? { prompt: 'login', max_age: '0' } : {}),
        // Only signed claims count; a provider that would return a claim only from userinfo can be asked to include it (Core §5.5).
        ...(config.serverMetadata().claims_parameter_supported === true
          ? {
              claims: JSON.stringify({
                id_token: { email: null, email_verified: null, name: null, auth_time: { essential: true } },
              }),
            }
          : {}),
      });
      return { url: url.href, begun };
    });
  }

  /**
   * The claims of the ID token that ends a sign-in; `query`: the parameters with which the browser returned. @throws
   * ProviderFailed.
   */
  finish(query: string, { state, nonce, verifier }: Begun): Promise<Claims> {
    return this.#talk(async ({ library, config }) => {
      // Checks state and iss of the answer (RFC 9207); iss, aud, exp, iat, nonce and signature of the token, which must be there.
      const tokens = await library.authorizationCodeGrant(config, new URL(this.#redirectUri + query), {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (!claims) throw new Error('there is no ID token');
      // Core §3.1.3.7: a token for several audiences, or issued to another client, names that client here.
      if (claims['azp'] !== undefined && claims['azp'] !== this.#provider.clientId)
        throw new Error('the ID token was made for another client');
      return claims;
    });
  }

  /**
   * Requests the discovery document, and then a token with an invalid code: a provider that knows the client rejects the code,
   * otherwise it rejects the client (RFC 6749 §5.2). `found` is called in between. @throws ProviderFailed.
   */
  tryOut(found: () => void): Promise<void> {
    return this.#talk(async ({ library, config }) => {
      found();
      try {
        await library.genericGrantRequest(config, 'authorization_code', {
          code: 'sekisho-tries-the-client',
          redirect_uri: this.#redirectUri,
          code_verifier: library.randomPKCECodeVerifier(),
        });
      } catch (error) {
        const { error: said } = error as { error?: unknown };
        if (said === undefined || said === 'invalid_client' || said === 'unauthorized_client') throw error;
      }
    });
  }

  /** Where the browser is sent to sign out there, too (RP-Initiated Logout); undefined if the provider does not support it. */
  async signOutUrl(back: string): Promise<string | undefined> {
    try {
      return await this.#talk(({ library, config }) =>
        Promise.resolve(
          config.serverMetadata().end_session_endpoint === undefined
            ? undefined
            : library.buildEndSessionUrl(config, { post_logout_redirect_uri: back }).href,
        ),
      );
    } catch {
      // The session here has ended in any case.
      return undefined;
    }
  }

  async #talk<T>(work: (found: Found) => Promise<T>): Promise<T> {
    if (this.#talking >= mostAtOnce) throw new ProviderFailed('too many sign-ins wait for the provider');
    this.#talking++;
    try {
      return await work(await this.#find());
    } catch (error) {
      throw new ProviderFailed('the provider did not answer, or not as it must', { cause: error });
    } finally {
      this.#talking--;
    }
  }

  /** Concurrent sign-ins share one discovery request; a failed one is not remembered. */
  #find(): Promise<Found> {
    if (this.#found && performance.now() - this.#foundAtMs < foundForMs) return this.#found;
    this.#foundAtMs = performance.now();
    const looking = this.#discover().catch((error: unknown) => {
      if (this.#found === looking) this.#found = undefined;
      throw error;
    });
    this.#found = looking;
    return looking;
  }

  async #discover(): Promise<Found> {
    const { issuer, clientId, clientSecret, seconds } = this.#provider;
    // Loaded here, so that gateways without a provider do not load it.
    const library = await import('openid-client');
    const insecure = new URL(issuer).protocol === 'http:' ? [library.allowInsecureRequests] : [];
    const config = await library.discovery(
      new URL(issuer),
      clientId,
      {},
      // Decided when the document is known; no secret is sent before that.
      (server, client, body, headers) => {
        const methods = server.token_endpoint_auth_methods_supported;
        // Discovery §3: the default is Basic. If both are supported, the secret is sent in the body, as in earlier versions.
        const authenticate =
          methods?.includes('client_secret_post') === true
            ? library.ClientSecretPost(clientSecret)
            : library.ClientSecretBasic(clientSecret);
        return authenticate(server, client, body, headers);
      },
      {
        timeout: seconds,
        [library.customFetch]: bounded,
        execute: [...insecure, library.enableNonRepudiationChecks],
      },
    );
    const metadata = config.serverMetadata();
    // Discovery §4.3, without the library's exceptions for Entra issuers without a tenant.
    if (new URL(metadata.issuer).href !== new URL(issuer).href) throw new Error('the document names another issuer');
    requireEndpoints(metadata, insecure.length > 0);
    return { library, config };
  }
}

const endpoints = ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'end_session_endpoint'] as const;

/** Pages or secrets are sent to these, so they must be encrypted, or on this machine if the issuer is, too. */
function requireEndpoints(metadata: Readonly<Partial<Record<string, unknown>>>, local: boolean): void {
  for (const name of endpoints) {
    const value = metadata[name];
    if (value === undefined && name === 'end_session_endpoint') continue;
    const url = typeof value === 'string' ? URL.parse(value) : null;
    const loopback = url?.hostname === 'localhost' || url?.hostname === '[::1]' || url?.hostname.startsWith('127.');
    if (url?.protocol !== 'https:' && !(local && url?.protocol === 'http:' && loopback === true))
      throw new Error(`${name} of the discovery document is not an https address`);
  }
}

/** `fetch` with a limit on the size of the answer; the library limits the total time. */
const bounded = async (url: string, { body, signal, ...init }: openid.CustomFetchOptions): Promise<Response> => {
  const response = await fetch(url, { ...init, body: body ?? null, signal: signal ?? null });
  if (!response.body) return response;
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body as AsyncIterable<Uint8Array>) {
    size += piece.byteLength;
    if (size > mostBytes) throw new Error('the answer is too large');
    pieces.push(piece);
  }
  const { status, statusText, headers } = response;
  return new Response(Buffer.concat(pieces), { status, statusText, headers });
};

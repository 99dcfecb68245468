// Access tokens of an authorization server that an MCP server's route trusts (OAuth 2.1; MCP 2026-07-28, "Authorization"): JWTs whose
// signature, issuer, audience and time are right, for an account that the operator named or that a person with this identity has.
import { createHash } from 'node:crypto';
import { blankKey, digestOf } from '../../domain/api-key.ts';
import { GatewayError } from '../../domain/error.ts';
import type { KeyId } from '../../domain/id.ts';
import { type Principal, principalOf } from '../../domain/principal.ts';
import type { RouteScope } from '../../domain/scope.ts';
import type { SteadyMs, WallMs } from '../../domain/time.ts';
import type { ChangedAccounts } from '../../store/ports/change-feed.ts';
import type { Store } from '../../store/ports/store.ts';
import type { ResourceServer } from '../services/mcp/resource-server.ts';
import type { IssuerKeys } from './issuer-keys.ts';

const capacity = 10_000;
/** How far the clocks of the issuer and of the gate may be apart. */
const skewSeconds = 5;
/** None with a shared secret, and not "none" (RFC 8725 §3.1). */
const algorithms = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ');
/** Of an access token (RFC 9068 §2.1), or what issuers without that profile write. */
const types = new Set([undefined, 'jwt', 'at+jwt', 'application/at+jwt']);

/** What a verified token says, as far as the gate uses it. */
interface Verified {
  readonly digest: string;
  readonly subject: string;
  readonly scopes: readonly RouteScope[];
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

type TokenStore = Pick<Store, 'findOwner' | 'findPersonOfIdentity'>;

export class AccessTokens {
  readonly #store: TokenStore;
  readonly #issuers: Pick<IssuerKeys, 'of'>;
  readonly #now: () => WallMs;
  readonly #steady: () => SteadyMs;
  /** By resource and digest of the token. */
  readonly #known = new Map<string, Principal>();
  #epoch = 0;

  constructor(store: TokenStore, issuers: Pick<IssuerKeys, 'of'>, now: () => WallMs, steady: () => SteadyMs) {
    this.#store = store;
    this.#issuers = issuers;
    this.#now = now;
    this.#steady = steady;
  }

  /** The store has changed, for these accounts. */
  forget(accounts: ChangedAccounts = 'all'): void {
    for (const [name, { accountId }] of this.#known)
      if (accounts === 'all' || accounts.has(accountId)) this.#known.delete(name);
    this.#epoch++;
  }

  /** Whether the token was right a moment ago. */
  holds(text: string, { name }: ResourceServer): boolean {
    return this.#known.has(`${name} ${digestOf(text)}`);
  }

  /**
   * Undefined for a token that is not right. Rejects if the keys of the issuer or the store cannot be read, which is never the same as
   * a wrong token. @throws GatewayError `unknown_subject`.
   */
  async find(text: string, resource: ResourceServer): Promise<Principal | undefined> {
    const verified = await this.#verify(text, resource);
    return verified && this.#principalOf(verified, resource);
  }

  async #verify(text: string, { issuer, audiences, scopes }: ResourceServer): Promise<Verified | undefined> {
    const keys = await this.#issuers.of(issuer.url);
    const jose = await import('jose');
    try {
      const { payload, protectedHeader } = await jose.jwtVerify(text, (header, token) => keys.find(header, token), {
        algorithms,
        issuer: issuer.url,
        audience: [...audiences],
        requiredClaims: ['iss', 'aud', 'sub', 'exp'],
        clockTolerance: skewSeconds,
        currentDate: new Date(this.#now()),
      });
      // A token that is bound to a key of its holder (RFC 9449, RFC 8705) comes with a proof, which is not checked here.
      if (!types.has(protectedHeader.typ?.toLowerCase()) || payload['cnf'] !== undefined) return undefined;
      const { sub: subject = '', exp = 0 } = payload;
      if (subject === '') return undefined;
      const said = new Set(scopesIn(payload));
      return {
        digest: digestOf(text),
        subject,
        scopes: scopes.filter((scope) => said.has(scope)),
        expiresAt: (exp + skewSeconds) * 1000,
      };
    } catch (error) {
      if (error instanceof jose.errors.JOSEError) return undefined;
      throw error;
    }
  }

  #principalOf(verified: Verified, resource: ResourceServer): Principal | Promise<Principal | undefined> {
    return this.#known.get(`${resource.name} ${verified.digest}`) ?? this.#load(verified, resource);
  }

  async #load(verified: Verified, resource: ResourceServer): Promise<Principal | undefined> {
    const { issuer, name } = resource;
    const epoch = this.#epoch;
    const readAt = this.#steady();
    const named = issuer.subjects.find(({ subject }) => subject === verified.subject)?.account;
    const person =
      named === undefined
        ? await this.#store.findPersonOfIdentity({ issuer: issuer.url, subject: verified.subject })
        : undefined;
    const account = named ?? person?.accountId ?? undefined;
    const owner = account === undefined ? undefined : await this.#store.findOwner(account, this.#now());
    if (!owner || owner.account.closedAt !== null) throw new GatewayError('unknown_subject');
    const id = keyIdOf(issuer.url, verified.subject);
    const { digest, scopes, expiresAt } = verified;
    const key = { ...blankKey(id, owner.account.id, 0), name: 'access token', digest, scopes, expiresAt };
    const principal: Principal = {
      ...principalOf(key, owner.plan, owner.suspensions, readAt),
      again: () => this.#principalOf(verified, resource),
    };
    if (epoch === this.#epoch) {
      if (this.#known.size >= capacity) this.#known.delete(this.#known.keys().next().value as string);
      this.#known.set(`${name} ${digest}`, principal);
    }
    return principal;
  }
}

/** The ledger's name for the identity: all its tokens are one key. */
const keyIdOf = (issuer: string, subject: string): KeyId =>
  `key_token_${createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('hex')
    .slice(0, 12)}` as KeyId;

/** `scope` (RFC 9068 §2.2.3), or `scp` as Entra and Okta write it. */
function scopesIn(claims: Readonly<Record<string, unknown>>): readonly string[] {
  return [claims['scope'], claims['scp']]
    .flat()
    .filter((each) => typeof each === 'string')
    .flatMap((each) => each.split(' '));
}

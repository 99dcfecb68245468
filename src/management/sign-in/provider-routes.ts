// Signing in by a provider: there and back, and what becomes of somebody it vouches for. Who they are is issuer and subject together;
// the address is read like any other, and decides nothing about an account that is there.
import { z } from 'zod';
import { normalEmail } from '../../domain/application.ts';
import { auditEvent } from '../../domain/audit.ts';
import { newPersonId, type PersonId } from '../../domain/id.ts';
import { type Person, placeholderEmail } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Identity } from '../../store/ports/sign-in.ts';
import type { Store } from '../../store/ports/store.ts';
import { requireText } from '../fault.ts';
import { Problem } from '../http/problem.ts';
import type { CookieNames, OpenSession, OwnRoute, OwnRouteAnswer, OwnRouteRequest } from './own-route.ts';
import { type Claims, type Provider, ProviderClient, ProviderFailed } from './provider.ts';
import type { Seal } from './sealed.ts';

/** How long somebody may take at the provider. */
const journeySeconds = 600;
/** Longer than any session: it says where a session came from, and opens nothing. */
const originSeconds = 8 * 86_400;

export const providerBody = z.object({
  provider: z.string().max(40),
  /** A page of ours, with its filters. */
  next: z
    .string()
    .regex(/^\/portal\/[a-z0-9/_-]{0,200}(?:\?[\w.~%+&=:,*-]{0,1000})?$/i)
    .refine((path) => !path.includes('//'), 'must be a page of the portal')
    .default('/portal/'),
  /** The provider is to ask who they are, though it knows them. */
  anew: z.boolean().default(false),
});

/** What the sign-in page says in words. */
type Refusal = 'provider' | 'address' | 'taken' | 'closed';

export interface ProviderTools {
  readonly store: Pick<Store, 'findPersonOfIdentity' | 'insertVouched'>;
  readonly providers: readonly Provider[];
  /** Where sign-in stands, as browsers reach it. */
  readonly base: string;
  readonly seal: Seal;
  readonly cookies: CookieNames;
  readonly now: () => WallMs;
  /** May somebody whom a provider vouches for, and whom we do not know, come in to apply? */
  readonly admits: () => Promise<boolean>;
  readonly openSession: OpenSession;
  /** Asks for the second step of somebody who has passed the first. */
  readonly openChallenge: (id: PersonId) => Promise<readonly string[]>;
  readonly endSession: (token: string) => Promise<void>;
  /** The provider was asked; undefined: it answered. */
  readonly onProvider: (id: string, error?: unknown) => void;
  readonly onError: (message: string, cause: unknown) => void;
}

export function providerRoutes(tools: ProviderTools): Readonly<Record<string, OwnRoute>> {
  const { providers, base, seal, cookies } = tools;
  const clients = new Map(
    providers.map((provider) => [
      provider.id,
      { provider, client: new ProviderClient(provider, `${base}/callback/${provider.id}`) },
    ]),
  );
  const begin: OwnRoute = async ({ body }) => {
    const { provider: id, next, anew } = body as z.output<typeof providerBody>;
    const found = clients.get(id);
    if (!found) throw new Problem('not_found');
    try {
      const { url, begun } = await found.client.begin(anew);
      tools.onProvider(id);
      const sealed = await seal.close(`provider.${id}`, { ...begun, next }, journeySeconds);
      return { json: { url }, cookies: [cookies.line('provider', sealed, journeySeconds)] };
    } catch (error) {
      noteFailure(tools, id, error);
      throw new Problem('provider_failed');
    }
  };

  const signOut: OwnRoute = async ({ cookie, session }) => {
    const token = cookie('session_token');
    if (session && token !== undefined) await tools.endSession(token);
    const came = clients.get(cookie('by') ?? '');
    const url =
      session && came?.provider.signsOut === true
        ? await came.client.signOutUrl(new URL('/portal/', base).href)
        : undefined;
    return {
      json: { success: true, ...(url === undefined ? {} : { url }) },
      cookies: ['session_token', 'two_factor', 'by'].map((name) => cookies.end(name)),
    };
  };

  return {
    '/sign-in/provider': begin,
    '/sign-out': signOut,
    ...Object.fromEntries(
      [...clients].map(([id, found]): [string, OwnRoute] => [
        `/callback/${id}`,
        (asked) => comeBack(tools, found, asked),
      ]),
    ),
  };
}

interface ProviderAt {
  readonly provider: Provider;
  readonly client: ProviderClient;
}

function noteFailure({ onError, onProvider }: ProviderTools, id: string, error: unknown): void {
  const cause = error instanceof ProviderFailed ? error.cause : error;
  onProvider(id, cause);
  onError('a sign-in by the provider failed', cause);
}

/** Ends a sign-in that began at a provider: what the browser brings back, checked, and then a session or the second step. */
async function comeBack(
  tools: ProviderTools,
  { provider, client }: ProviderAt,
  { query, cookie, from }: OwnRouteRequest,
): Promise<OwnRouteAnswer> {
  const { cookies, seal } = tools;
  const ended = [cookies.end('provider')];
  const refuse = (why: Refusal): OwnRouteAnswer => ({ location: `/portal/sign-in?error=${why}`, cookies: ended });
  const begun = await seal.open(`provider.${provider.id}`, cookie('provider'));
  if (!begun) return refuse('provider');
  const { state = '', nonce = '', verifier = '', next = '/portal/' } = begun;
  let claims: Claims;
  try {
    claims = await client.finish(query, { state, nonce, verifier });
  } catch (error) {
    noteFailure(tools, provider.id, error);
    return refuse('provider');
  }
  const person = await personOf(tools, provider, claims);
  if (typeof person === 'string') return refuse(person);
  const identity: Identity = { issuer: claims.iss, subject: claims.sub };
  const still = async (): Promise<boolean> => (await tools.store.findPersonOfIdentity(identity))?.id === person.id;
  if (person.twoFactor && !provider.passesSecondStep) {
    const lines = await tools.openChallenge(person.id);
    // The browser has no cookie for a challenge that came too late.
    if (!(await still())) return refuse('provider');
    // A session of somebody else in this browser would be taken for the one that the code belongs to.
    return {
      location: `/portal/sign-in?step=code&next=${encodeURIComponent(next)}`,
      cookies: [...ended, cookies.end('session_token'), ...lines],
    };
  }
  const lines = await tools.openSession(person.id, from, still, provenAt(claims, tools.now()));
  return { location: next, cookies: [...ended, ...lines, cookies.line('by', provider.id, originSeconds)] };
}

/**
 * When somebody last showed the provider who they are. It may let them through for weeks without a word (single sign-on), so a
 * sign-in here is as old as that one; where the token does not say (Core §2: auth_time), as old as can be.
 */
function provenAt({ auth_time: said }: Claims, now: WallMs): WallMs {
  return typeof said === 'number' && said > 0 ? Math.min(said * 1000, now) : 0;
}

/** The person of this identity, known or new; or why they are not let in. */
async function personOf(tools: ProviderTools, provider: Provider, claims: Claims): Promise<Person | Refusal> {
  const { store, now } = tools;
  // Core §2: at most 255 ASCII characters.
  if (!/^[\x20-\x7e]{1,255}$/.test(claims.sub)) return 'provider';
  const identity: Identity = { issuer: claims.iss, subject: claims.sub };
  const known = await store.findPersonOfIdentity(identity);
  if (known) return known;
  const email = typeof claims['email'] === 'string' ? normalEmail(claims['email']) : undefined;
  if (email === undefined) return 'address';
  if (!(await tools.admits())) return 'closed';
  const said = claims['email_verified'];
  const emailVerified = said === true || (said === undefined && provider.confirmsSilently);
  const id = newPersonId();
  const person: Person = {
    id,
    name: nameOf(claims['name'], email),
    // An unconfirmed address may belong to another person: it is neither kept from them, nor said to be known here.
    email: emailVerified ? email : placeholderEmail(id),
    emailVerified,
    twoFactor: false,
    language: null,
    accountId: null,
  };
  const event = auditEvent({ actor: `provider:${provider.id}`, at: now() }, 'person.create', person.id, null, {
    email,
    ...identity,
  });
  if (await store.insertVouched(person, identity, event)) return person;
  // Two came back at once: the other one made the person, if it is the same.
  return (await store.findPersonOfIdentity(identity)) ?? 'taken';
}

/** What the provider calls them, if that can be a name; otherwise what stands before the @. */
function nameOf(said: unknown, email: string): string {
  const fallback = email.slice(0, email.indexOf('@'));
  if (typeof said !== 'string' || /[\p{C}\p{Zl}\p{Zp}]/u.test(said)) return fallback;
  try {
    return requireText('what_name', said, 200);
  } catch {
    return fallback;
  }
}

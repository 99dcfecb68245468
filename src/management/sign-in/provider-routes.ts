// Signing in with a provider: the redirect there and back, and what happens to the person it identifies. Issuer and subject
// together are the identity; the address is treated like any other and gives no access to an existing account.
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
import { type Claims, type Provider, ProviderClient, ProviderFailed, providerId } from './provider.ts';
import type { Seal } from './sealed.ts';

/** How long a person may take at the provider. */
const journeySeconds = 600;
/** Longer than any session. It tells where a session came from, and grants nothing. */
const originSeconds = 8 * 86_400;

export const providerBody = z.object({
  provider: z.string().max(40),
  /** A page of the portal, with its filters. */
  next: z
    .string()
    .regex(/^\/portal\/[a-z0-9/_-]{0,200}(?:\?[\w.~%+&=:,*-]{0,1000})?$/i)
    .refine((path) => !path.includes('//'), 'must be a page of the portal')
    .default('/portal/'),
  /** The provider has to authenticate the person again, even if they are signed in there. */
  anew: z.boolean().default(false),
});

/** Errors for which the sign-in page has a message. */
type Refusal = 'provider' | 'address' | 'taken' | 'closed';

export interface ProviderTools {
  readonly store: Pick<Store, 'findPersonOfIdentity' | 'insertVouched'>;
  /** The current ones; after a change it is another array. */
  readonly providers: () => readonly Provider[];
  /** The address of sign-in, as browsers reach it. */
  readonly base: string;
  readonly seal: Seal;
  readonly cookies: CookieNames;
  readonly now: () => WallMs;
  /** Whether a new person with an identity at a provider may sign in to apply. */
  readonly admits: () => Promise<boolean>;
  readonly openSession: OpenSession;
  /** Starts the second step of a person who has passed the first. */
  readonly openChallenge: (id: PersonId) => Promise<readonly string[]>;
  readonly endSession: (token: string) => Promise<void>;
  /** Called after the provider was contacted; undefined: it answered. */
  readonly onProvider: (id: string, error?: unknown) => void;
  readonly onError: (message: string, cause: unknown) => void;
}

export function providerRoutes(tools: ProviderTools): Readonly<Record<string, OwnRoute>> {
  const { base, seal, cookies } = tools;
  const clients = clientsOf(tools);
  const begin: OwnRoute = async ({ body }) => {
    const { provider: id, next, anew } = body as z.output<typeof providerBody>;
    const found = clients().get(id);
    if (!found) throw new Problem('not_found');
    try {
      const { url, begun } = await found.client.begin(anew);
      tools.onProvider(id);
      const { issuer } = found.provider;
      const sealed = await seal.close(`provider.${id}`, { ...begun, next, issuer }, journeySeconds);
      return { json: { url }, cookies: [cookies.line('provider', sealed, journeySeconds)] };
    } catch (error) {
      noteFailure(tools, id, error);
      throw new Problem('provider_failed');
    }
  };

  const signOut: OwnRoute = async ({ cookie, session }) => {
    const token = cookie('session_token');
    if (session && token !== undefined) await tools.endSession(token);
    const came = clients().get(cookie('by') ?? '');
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
    [`/callback/${providerId}`]: (asked) => {
      const found = clients().get(providerId);
      if (!found) throw new Problem('not_found');
      return comeBack(tools, found, asked);
    },
  };
}

/** The clients of the providers as they are now: one knows what its provider has said, so that it is kept until the list changes. */
function clientsOf({ providers, base }: ProviderTools): () => ReadonlyMap<string, ProviderAt> {
  let known: readonly Provider[] | undefined;
  let clients: ReadonlyMap<string, ProviderAt> = new Map();
  return () => {
    const now = providers();
    if (now !== known) {
      known = now;
      clients = new Map(
        now.map((provider) => [
          provider.id,
          { provider, client: new ProviderClient(provider, callbackAt(base, provider)) },
        ]),
      );
    }
    return clients;
  };
}

/** Where a provider sends people back. */
export const callbackAt = (base: string, { id }: Pick<Provider, 'id'>): string => `${base}/callback/${id}`;

interface ProviderAt {
  readonly provider: Provider;
  readonly client: ProviderClient;
}

function noteFailure({ onError, onProvider }: ProviderTools, id: string, error: unknown): void {
  const cause = error instanceof ProviderFailed ? error.cause : error;
  onProvider(id, cause);
  onError('a sign-in by the provider failed', cause);
}

/** Completes a sign-in at a provider: checks what the browser returns with, then opens a session or the second step. */
async function comeBack(
  tools: ProviderTools,
  { provider, client }: ProviderAt,
  { query, cookie, from }: OwnRouteRequest,
): Promise<OwnRouteAnswer> {
  const { cookies, seal } = tools;
  const ended = [cookies.end('provider')];
  const refuse = (why: Refusal): OwnRouteAnswer => ({ location: `/portal/sign-in?error=${why}`, cookies: ended });
  const begun = await seal.open(`provider.${provider.id}`, cookie('provider'));
  // It was begun at another provider, before the settings changed: its answer is nothing to this one.
  if (begun?.['issuer'] !== provider.issuer) return refuse('provider');
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
    // The challenge has expired, and the browser no longer has its cookie.
    if (!(await still())) return refuse('provider');
    // Another person's session in this browser could be mistaken for the one that the code belongs to.
    return {
      location: `/portal/sign-in?step=code&next=${encodeURIComponent(next)}`,
      cookies: [...ended, cookies.end('session_token'), ...lines],
    };
  }
  const lines = await tools.openSession(person.id, from, still, provenAt(claims, tools.now()));
  return { location: next, cookies: [...ended, ...lines, cookies.line('by', provider.id, originSeconds)] };
}

/**
 * When the person last authenticated at the provider. Single sign-on can let them through for weeks, so a sign-in here is as old as
 * that one; if the token does not tell (Core §2: auth_time), it counts as very old.
 */
function provenAt({ auth_time: said }: Claims, now: WallMs): WallMs {
  return typeof said === 'number' && said > 0 ? Math.min(said * 1000, now) : 0;
}

/** The person of this identity, known or new; or why they are refused. */
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
    // An unconfirmed address may belong to another person, so it is not reserved, and the answer does not tell whether it is known.
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
  // Of two concurrent sign-ins, the other one created the person, if the identity is the same.
  return (await store.findPersonOfIdentity(identity)) ?? 'taken';
}

/** The name at the provider, if it is a valid name; otherwise the part of the address before the @. */
function nameOf(said: unknown, email: string): string {
  const fallback = email.slice(0, email.indexOf('@'));
  if (typeof said !== 'string' || /[\p{C}\p{Zl}\p{Zp}]/u.test(said)) return fallback;
  try {
    return requireText('what_name', said, 200);
  } catch {
    return fallback;
  }
}

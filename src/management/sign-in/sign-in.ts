// Sign-in for people: password, TOTP and visits by better-auth over the gate's own database, passkeys and providers by routes of ours.
// This file sets the library up and is the only one that knows it; the rest of the management plane sees the interface.
// Not there on purpose: its sign-up, its reset and its e-mail routes (an application or an operator lets people in, our one-time
// links do the rest), its cookie cache (GHSA-xg6x-h9c9-2m83: a second factor passed over), its API keys (CVE-2025-61928).
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { type BetterAuthOptions, betterAuth } from 'better-auth';
import { createAuthEndpoint } from 'better-auth/api';
import { setSessionCookie } from 'better-auth/cookies';
import { twoFactor } from 'better-auth/plugins/two-factor';
import { z } from 'zod';
import { newPersonId, type PersonId, randomBase62 } from '../../domain/id.ts';
import { ageOf, type WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { Problem, toProblem } from '../http/problem.ts';
import { changePasswordRoute } from './change-password.ts';
import { CookieNames, type OpenVisit, type OwnRoute, type Visit } from './own-route.ts';
import { passkeyRoutes } from './passkeys.ts';
import { hashPassword, isPassword, passwordBounds } from './passwords.ts';
import type { Provider } from './provider.ts';
import { providerRoutes } from './provider-routes.ts';
import { Seal } from './sealed.ts';
import { endSecondStepRoute, type ProvesSecondStep } from './second-step.ts';

/** Where the routes of sign-in stand. */
export const signInPath = '/portal/auth';

/** A sign-in ends after a day without a visit, and after a week in any case. */
const idleSeconds = 24 * 3600;
export const longestMs = 7 * 24 * 3600 * 1000;
/** What is felt (deleting, management keys, roles) asks for a sign-in that is not older. */
const freshMs = 10 * 60_000;

/** Longer than the library accepts a code: its own 30 seconds, and one step before and after. */
const codeLifeMs = 5 * 60_000;
const challengeSeconds = 600;
const verifyTotp = '/two-factor/verify-totp';
const pairOf = (line: string): string => line.split(';', 1)[0] ?? '';

export interface SignInSettings {
  /** Where the portal is reached, without a path. */
  readonly publicUrl: URL;
  readonly secret: string;
  readonly providers: readonly Provider[];
  /** May somebody whom a provider vouches for, and whom we do not know, come in to apply? */
  readonly admits: () => Promise<boolean>;
  readonly now: () => WallMs;
  readonly onError: (message: string, cause: unknown) => void;
}

export interface SignIn {
  readonly providers: readonly Pick<Provider, 'id' | 'name'>[];
  readonly cookies: CookieNames;
  /** Routes that are ours, by path; every other one is the library's. */
  readonly own: Readonly<Record<string, OwnRoute>>;
  /** The library's own routes; the caller has seen to it that they may be asked. */
  handle(request: Request): Promise<Response>;
  /** Who visits with these cookies; undefined where nobody does. */
  visitOf(cookies: string): Promise<Visit | undefined>;
  readonly openVisit: OpenVisit;
}

/** For this process alone: somebody is let in by our own rules, and gets a visit whose right to it was shown otherwise. */
const doorPlugin = {
  id: 'door',
  endpoints: {
    openVisit: createAuthEndpoint(
      '/door/open',
      {
        method: 'POST',
        body: z.object({
          personId: z.string(),
          address: z.string(),
          userAgent: z.string(),
          provenAt: z.number().optional(),
        }),
        metadata: { SERVER_ONLY: true },
      },
      async (context) => {
        const { internalAdapter } = context.context;
        const user = await internalAdapter.findUserById(context.body.personId);
        if (!user) throw new Error('there is no such person');
        const { address: ipAddress, userAgent, provenAt } = context.body;
        const session = await internalAdapter.createSession(user.id, false, {
          ipAddress,
          userAgent,
          ...(provenAt === undefined ? {} : { provenAt: new Date(provenAt) }),
        });
        await setSessionCookie(context, { session, user });
        return context.json({});
      },
    ),
    /** As the library's own sign-in does where there is a second step; its routes take it from there. */
    openChallenge: createAuthEndpoint(
      '/door/challenge',
      { method: 'POST', body: z.object({ personId: z.string() }), metadata: { SERVER_ONLY: true } },
      async (context) => {
        const { internalAdapter, secret } = context.context;
        const cookie = context.context.createAuthCookie('two_factor', { maxAge: challengeSeconds });
        const identifier = `2fa-${randomBase62(24)}`;
        const expiresAt = new Date(Date.now() + challengeSeconds * 1000);
        await internalAdapter.createVerificationValue({ value: context.body.personId, identifier, expiresAt });
        const attempts = `2fa-attempts-${identifier}`;
        await internalAdapter.createVerificationValue({ value: '0', identifier: attempts, expiresAt });
        await context.setSignedCookie(cookie.name, identifier, secret, cookie.attributes);
        return context.json({});
      },
    ),
  },
} as const;

/** Calls of the library: it says "internal" of whatever the store throws, and tells its log alone what that was. */
const calls = new AsyncLocalStorage<{ cause?: unknown }>();

/**
 * Rejects with the cause; also where the library says that all is well and the store has failed: its sign-out tells its log that
 * the visit could not be ended, and the person that it was.
 */
function withCause<T>(work: () => Promise<T>): Promise<T> {
  const told: { cause?: unknown } = {};
  return calls.run(told, work).then(
    (done) => {
      if (told.cause !== undefined && toProblem(told.cause).code.startsWith('store_')) throw told.cause;
      return done;
    },
    (error: unknown) => {
      throw told.cause ?? error;
    },
  );
}

export function openSignIn(store: Store, settings: SignInSettings): SignIn {
  const { publicUrl, providers, now } = settings;
  const secure = publicUrl.protocol === 'https:';
  const installation = createHash('sha256').update(`sekisho installation ${settings.secret}`).digest('hex').slice(0, 8);
  const cookies = new CookieNames(installation, secure);
  const seal = new Seal(settings.secret, now);
  const options = {
    appName: 'Sekisho',
    baseURL: publicUrl.origin,
    basePath: signInPath,
    secret: settings.secret,
    trustedOrigins: [publicUrl.origin],
    database: store.signIn,
    telemetry: { enabled: false },
    // Its own page of errors is not among the routes; ours says what can be done.
    onAPIError: { errorURL: `${publicUrl.origin}/portal/sign-in` },
    logger: {
      level: 'error',
      log: (level, message, ...rest) => {
        const told = calls.getStore();
        if (told) told.cause ??= rest.find((each) => each instanceof Error);
        // What callers do wrong is answered, not logged; faults are.
        if (level === 'error' && !/origin|callback|state|password|credential|not found|invalid/i.test(message))
          settings.onError(
            message,
            rest.find((each) => each instanceof Error),
          );
      },
    },
    emailAndPassword: {
      enabled: true,
      disableSignUp: true,
      minPasswordLength: passwordBounds.least,
      maxPasswordLength: passwordBounds.most,
      password: { hash: hashPassword, verify: ({ hash, password }) => isPassword(password, hash) },
    },
    user: {
      modelName: 'people',
      additionalFields: {
        accountId: { type: 'string', required: false, input: false },
        language: { type: 'string', required: false, input: false },
      },
    },
    session: {
      modelName: 'sessions',
      expiresIn: idleSeconds,
      updateAge: 3600,
      cookieCache: { enabled: false },
      additionalFields: { provenAt: { type: 'date', required: false, input: false } },
    },
    account: { modelName: 'credentials' },
    verification: { modelName: 'verifications' },
    // A second line only: its own rules for guessing count addresses alone, and lock a whole office out for one of them.
    rateLimit: {
      enabled: true,
      window: 60,
      max: 600,
      storage: 'memory',
      customRules: {
        '/sign-in/*': { window: 60, max: 600 },
        '/two-factor/*': { window: 60, max: 600 },
      },
    },
    advanced: {
      cookiePrefix: cookies.prefix,
      // `__Host-` says all of what this would say, and more; the library would put `__Secure-` before it.
      useSecureCookies: false,
      defaultCookieAttributes: { secure, httpOnly: true, sameSite: 'lax', path: '/' },
      ipAddress: { ipAddressHeaders: ['x-sekisho-address'] },
      database: { generateId: ({ model }) => (model === 'user' ? newPersonId() : randomBase62(24)) },
      disableCSRFCheck: false,
      disableOriginCheck: false,
    },
    plugins: [
      twoFactor({
        issuer: 'Sekisho',
        schema: { twoFactor: { modelName: 'two_factors' } },
        backupCodeOptions: { amount: 10, length: 12, storeBackupCodes: 'encrypted' },
      }),
      doorPlugin,
    ],
  } satisfies BetterAuthOptions;
  const auth = betterAuth(options);
  const handled = (request: Request): Promise<Response> => withCause(() => auth.handler(request));
  const sessionIn = (header: string): ReturnType<typeof auth.api.getSession> => {
    const cookie = cookies.only(header, ['session_token']);
    if (cookie === '') return Promise.resolve(null);
    const headers = new Headers({ cookie });
    // A visit that is read is now and then written, so that it lasts; where the store takes nothing (a full disk, a writer that
    // holds it) it is read all the same, and whoever has to mend that can look.
    return withCause(() => auth.api.getSession({ headers })).catch(() =>
      withCause(() => auth.api.getSession({ headers, query: { disableRefresh: true } })),
    );
  };
  const openVisit: OpenVisit = async (id, from, still, provenAt) => {
    const body = { personId: id, ...from, ...(provenAt === undefined ? {} : { provenAt }) };
    const { headers } = await auth.api.openVisit({ body, returnHeaders: true });
    const lines = headers.getSetCookie();
    if (still === undefined || (await still())) return lines;
    const found = await sessionIn(lines.map(pairOf).join('; '));
    if (found) await (await auth.$context).internalAdapter.deleteSession(found.session.token);
    throw new Problem('unauthenticated');
  };
  /** The second step that a cookie is about. The library looks at its signature. */
  const challengeIn = async (header: string): Promise<{ identifier: string; personId: string } | undefined> => {
    const value = cookies.read(header, 'two_factor');
    if (value === undefined || value === '') return undefined;
    const identifier = value.slice(0, Math.max(0, value.search(/\.|%2e/i)));
    const row = await (await auth.$context).internalAdapter.findVerificationValue(identifier);
    return row ? { identifier, personId: row.value } : undefined;
  };
  /** Whom a sign-in can be for, and the password that they have as it begins. */
  const whoAsks = async (
    header: string,
    path: string,
    email: string | undefined,
  ): Promise<{ readonly id: PersonId; readonly password: string | null } | undefined> => {
    const id =
      path === '/sign-in/email'
        ? (await (await auth.$context).internalAdapter.findUserByEmail((email ?? '').toLowerCase()))?.user.id
        : ((await sessionIn(header))?.user.id ?? (await challengeIn(header))?.personId);
    return id === undefined ? undefined : { id: id as PersonId, password: await store.readPassword(id as PersonId) };
  };

  const handle: SignIn['handle'] = async (request) => {
    if (request.method !== 'POST') return handled(request);
    const path = new URL(request.url).pathname.slice(signInPath.length);
    const sent = (await request.clone().json()) as { email?: string; code?: string };
    const before = await whoAsks(request.headers.get('cookie') ?? '', path, sent.email);
    const answer = await handled(request);
    if (!answer.ok) return answer;
    const opened = cookies.only(answer.headers.getSetCookie().map(pairOf).join('; '), ['session_token', 'two_factor']);
    const challenge = await challengeIn(opened);
    const found = await sessionIn(opened);
    const whose = found?.user.id ?? challenge?.personId;
    if (whose === undefined && path !== verifyTotp) return answer;
    // Looked at once more after it is there: what makes a password new ends every visit and challenge that is there by then.
    const stands =
      whose === undefined || (whose === before?.id && (await store.readPassword(before.id)) === before.password);
    // A code works once, to sign in as to set up (RFC 6238 §5.2); whoever comes second with it, at the same moment too, gets nothing.
    const first =
      path !== verifyTotp ||
      (before !== undefined && (await store.claimOnce(`totp:${before.id}:${sent.code}`, now() + codeLifeMs)));
    if (stands && first) return answer;
    const { internalAdapter } = await auth.$context;
    if (found) await internalAdapter.deleteSession(found.session.token);
    if (challenge) await internalAdapter.deleteVerificationByIdentifier(challenge.identifier);
    return path === verifyTotp
      ? Response.json({ code: 'INVALID_CODE', message: 'Invalid code' }, { status: 401 })
      : Response.json({ code: 'INVALID_EMAIL_OR_PASSWORD', message: 'Invalid email or password' }, { status: 401 });
  };
  /** As the second step of a sign-in that leads to no visit. */
  const proves: ProvesSecondStep = async (personId, code, { address }) => {
    const opened = await auth.api.openChallenge({ body: { personId }, returnHeaders: true });
    const cookie = opened.headers.getSetCookie().map(pairOf).join('; ');
    const path = /^\d{6}$/.test(code) ? verifyTotp : '/two-factor/verify-backup-code';
    const answer = await handle(
      new Request(new URL(signInPath + path, publicUrl), {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: publicUrl.origin, 'x-sekisho-address': address, cookie },
        body: JSON.stringify({ code }),
      }),
    );
    const { internalAdapter } = await auth.$context;
    const challenge = await challengeIn(cookie);
    if (challenge) await internalAdapter.deleteVerificationByIdentifier(challenge.identifier);
    const found = await sessionIn(answer.headers.getSetCookie().map(pairOf).join('; '));
    if (found) await internalAdapter.deleteSession(found.session.token);
    return answer.ok && found?.user.id === personId;
  };

  return {
    providers: providers.map(({ id, name }) => ({ id, name })),
    cookies,
    own: {
      '/change-password': changePasswordRoute({ store, proves, openVisit }),
      '/two-factor/disable': endSecondStepRoute({ store, proves }),
      ...passkeyRoutes({ store, publicUrl, seal, cookies, now, openVisit }),
      ...providerRoutes({
        store,
        providers,
        base: publicUrl.origin + signInPath,
        seal,
        cookies,
        now,
        admits: settings.admits,
        openVisit,
        openChallenge: async (personId) => {
          const { headers } = await auth.api.openChallenge({ body: { personId }, returnHeaders: true });
          return headers.getSetCookie();
        },
        endVisit: async (token) => {
          const headers = new Headers({ cookie: `${cookies.prefix}.session_token=${token}` });
          await withCause(() => auth.api.signOut({ headers }));
        },
        onError: settings.onError,
      }),
    },
    handle,
    visitOf: async (header) => {
      const found = await sessionIn(header);
      if (!found) return undefined;
      const { user, session } = found;
      if (ageOf(session.createdAt.getTime(), now()) > longestMs) {
        await (await auth.$context).internalAdapter.deleteSession(session.token);
        return undefined;
      }
      const { provenAt } = session as { readonly provenAt?: Date | null };
      const proven = (provenAt ?? session.createdAt).getTime();
      return { id: session.id, personId: user.id as PersonId, fresh: ageOf(proven, now()) < freshMs };
    },
    openVisit,
  };
}

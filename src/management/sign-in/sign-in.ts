// Sign-in for people: password, TOTP and visits by better-auth over the gate's own database, passkeys and providers by routes of ours.
// This file sets the library up and is the only one that knows it; the rest of the management plane sees the interface.
// Not there on purpose: its sign-up, its reset and its e-mail routes (an application or an operator lets people in, our one-time
// links do the rest), its cookie cache (GHSA-xg6x-h9c9-2m83: a second factor passed over), its API keys (CVE-2025-61928).
import { createHash } from 'node:crypto';
import { type BetterAuthOptions, betterAuth } from 'better-auth';
import { createAuthEndpoint } from 'better-auth/api';
import { setSessionCookie } from 'better-auth/cookies';
import { twoFactor } from 'better-auth/plugins/two-factor';
import { z } from 'zod';
import { newPersonId, type PersonId, randomBase62 } from '../../domain/id.ts';
import { ageOf, type WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports.ts';
import { CookieNames, type OwnRoute, type Visit } from './own-route.ts';
import { passkeyRoutes } from './passkeys.ts';
import { hashPassword, isPassword, passwordBounds } from './passwords.ts';
import type { Provider } from './provider.ts';
import { providerRoutes } from './provider-routes.ts';
import { Seal } from './sealed.ts';

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
  /** Sets a password, given as its hash, and ends every visit of that person. */
  setPassword(id: PersonId, hash: string): Promise<void>;
  endVisits(id: PersonId): Promise<void>;
  /** Passkeys and second factor are gone. */
  forgetFactors(id: PersonId): Promise<void>;
  /** Lines for Set-Cookie that open a visit. */
  openVisit(id: PersonId, from: { readonly address: string; readonly userAgent: string }): Promise<readonly string[]>;
}

/** For this process alone: somebody is let in by our own rules, and gets a visit whose right to it was shown otherwise. */
const doorPlugin = {
  id: 'door',
  endpoints: {
    openVisit: createAuthEndpoint(
      '/door/open',
      {
        method: 'POST',
        body: z.object({ personId: z.string(), address: z.string(), userAgent: z.string() }),
        metadata: { SERVER_ONLY: true },
      },
      async (context) => {
        const { internalAdapter } = context.context;
        const user = await internalAdapter.findUserById(context.body.personId);
        if (!user) throw new Error('there is no such person');
        const { address: ipAddress, userAgent } = context.body;
        const session = await internalAdapter.createSession(user.id, false, { ipAddress, userAgent });
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
    session: { modelName: 'sessions', expiresIn: idleSeconds, updateAge: 3600, cookieCache: { enabled: false } },
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
        '/change-password': { window: 60, max: 600 },
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
  const openVisit: SignIn['openVisit'] = async (id, from) => {
    const { headers } = await auth.api.openVisit({ body: { personId: id, ...from }, returnHeaders: true });
    return headers.getSetCookie();
  };

  return {
    providers: providers.map(({ id, name }) => ({ id, name })),
    cookies,
    own: {
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
          await auth.api.signOut({ headers });
        },
        onError: settings.onError,
      }),
    },
    handle: async (request) => {
      if (new URL(request.url).pathname !== `${signInPath}/two-factor/verify-totp`) return auth.handler(request);
      const { code } = (await request.clone().json()) as { code: string };
      const answer = await auth.handler(request);
      if (!answer.ok) return answer;
      const { user } = (await answer.clone().json()) as { user: { id: string } };
      // A code works once, to sign in as to set up (RFC 6238 §5.2); whoever comes second with it, at the same moment too, gets nothing.
      if (await store.claimOnce(`totp:${user.id}:${code}`, now() + codeLifeMs)) return answer;
      const opened = cookies.only(answer.headers.getSetCookie().map(pairOf).join('; '), ['session_token']);
      const found = opened === '' ? null : await auth.api.getSession({ headers: new Headers({ cookie: opened }) });
      if (found) await (await auth.$context).internalAdapter.deleteSession(found.session.token);
      return Response.json({ code: 'INVALID_CODE', message: 'Invalid code' }, { status: 401 });
    },
    visitOf: async (header) => {
      const cookie = cookies.only(header, ['session_token']);
      if (cookie === '') return undefined;
      const found = await auth.api.getSession({ headers: new Headers({ cookie }) });
      if (!found) return undefined;
      const { user, session } = found;
      const age = ageOf(session.createdAt.getTime(), now());
      if (age > longestMs) {
        await (await auth.$context).internalAdapter.deleteSession(session.token);
        return undefined;
      }
      return { id: session.id, personId: user.id as PersonId, fresh: age < freshMs };
    },
    setPassword: async (id, hash) => {
      const { internalAdapter } = await auth.$context;
      const credentials = await internalAdapter.findAccounts(id);
      if (credentials.some(({ providerId }) => providerId === 'credential'))
        await internalAdapter.updatePassword(id, hash);
      else await internalAdapter.linkAccount({ userId: id, providerId: 'credential', accountId: id, password: hash });
      await internalAdapter.deleteUserSessions(id);
    },
    endVisits: async (id) => (await auth.$context).internalAdapter.deleteUserSessions(id),
    forgetFactors: async (id) => {
      const { adapter, internalAdapter } = await auth.$context;
      await store.deletePasskeys(id);
      await adapter.deleteMany({ model: 'twoFactor', where: [{ field: 'userId', value: id }] });
      await internalAdapter.updateUser(id, { twoFactorEnabled: false });
    },
    openVisit,
  };
}

// better-auth, configured on the gateway's own database. Only this file and sessions.ts know the library. Left out on purpose: its
// sign-up, reset and email routes (applications, operators and one-time links replace them), its cookie cache (GHSA-xg6x-h9c9-2m83:
// bypass of the second factor), and its API keys (CVE-2025-61928).
import { type BetterAuthOptions, betterAuth } from 'better-auth';
import { createAuthEndpoint } from 'better-auth/api';
import { setSessionCookie } from 'better-auth/cookies';
import { symmetricEncrypt } from 'better-auth/crypto';
import { getAdapter } from 'better-auth/db/adapter';
import { twoFactor } from 'better-auth/plugins/two-factor';
import { z } from 'zod';
import { newPersonId, randomBase62 } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { aheadBy, onClock } from './library-clock.ts';
import { noteCause } from './library-errors.ts';
import { type CookieNames, signInPath } from './own-route.ts';
import { hashPassword, isPassword, passwordBounds } from './passwords.ts';

/** A session ends after a day without use; sessions.ts ends it after a week in any case. */
const idleSeconds = 24 * 3600;
/** A use renews it at most this often, so that its age is known to that much. */
const renewSeconds = 300;
const challengeSeconds = 600;
const backupCodes = { amount: 10, length: 12, storeBackupCodes: 'encrypted' } as const;

export interface LibrarySettings {
  /** Where the portal is reached, without a path. */
  readonly publicUrl: URL;
  readonly secret: string;
  readonly cookies: CookieNames;
  /** The clock that stored dates are by. */
  readonly now: () => WallMs;
  readonly onError: (message: string, cause: unknown) => void;
}

/** Server-only endpoints that open a session, or a second step, for a person whom the gateway's own rules have admitted. */
const sekishoPlugin = {
  id: 'sekisho',
  endpoints: {
    openSession: createAuthEndpoint(
      '/sekisho/session',
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
    /** Like the library's own sign-in for a person with a second step; its routes continue from there. */
    openChallenge: createAuthEndpoint(
      '/sekisho/challenge',
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
    /** As the library's own route does, which asks for the password and not for a recent sign-in. */
    renewBackupCodes: createAuthEndpoint(
      '/sekisho/backup-codes',
      { method: 'POST', body: z.object({ personId: z.string() }), metadata: { SERVER_ONLY: true } },
      async (context) => {
        const { adapter, secretConfig } = context.context;
        const codes = Array.from({ length: backupCodes.amount }, () => {
          const code = randomBase62(backupCodes.length);
          return `${code.slice(0, 5)}-${code.slice(5)}`;
        });
        const encrypted = await symmetricEncrypt({ key: secretConfig, data: JSON.stringify(codes) });
        const where = [{ field: 'userId', value: context.body.personId }];
        const renewed = await adapter.updateMany({ model: 'twoFactor', where, update: { backupCodes: encrypted } });
        return context.json({ codes: renewed > 0 ? codes : null });
      },
    ),
  },
} as const;

/** Options that depend on no setting: tables, password and session rules, and the library's own limits. */
const fixedOptions = {
  appName: 'Sekisho',
  basePath: signInPath,
  telemetry: { enabled: false },
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
    updateAge: renewSeconds,
    cookieCache: { enabled: false },
    additionalFields: { provenAt: { type: 'date', required: false, input: false } },
  },
  account: { modelName: 'credentials' },
  verification: { modelName: 'verifications' },
  // Only a second line of defense: the library's own rules only count by address and would lock out a whole office for one guesser.
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
  plugins: [
    twoFactor({
      issuer: 'Sekisho',
      schema: { twoFactor: { modelName: 'two_factors' } },
      backupCodeOptions: backupCodes,
    }),
    sekishoPlugin,
  ],
} satisfies BetterAuthOptions;

const ids: NonNullable<NonNullable<BetterAuthOptions['advanced']>['database']> = {
  generateId: ({ model }) => (model === 'user' ? newPersonId() : randomBase62(24)),
};

export async function openLibrary(
  store: Pick<Store, 'signIn'>,
  { publicUrl, secret, cookies, now, onError }: LibrarySettings,
) {
  const adapter = await getAdapter({ ...fixedOptions, database: store.signIn, advanced: { database: ids } });
  return betterAuth({
    ...fixedOptions,
    baseURL: publicUrl.origin,
    secret,
    trustedOrigins: [publicUrl.origin],
    database: () => onClock(adapter, () => aheadBy(now)),
    // The library's error page is not routed; the gateway's own page tells what to do.
    onAPIError: { errorURL: `${publicUrl.origin}/portal/sign-in` },
    logger: {
      level: 'error',
      log: (level, message, ...rest) => {
        const cause = rest.find((each) => each instanceof Error);
        noteCause(cause);
        // Errors of callers are answered but not logged; internal errors are logged.
        if (level === 'error' && !/origin|callback|state|password|credential|not found|invalid/i.test(message))
          onError(message, cause);
      },
    },
    advanced: {
      cookiePrefix: cookies.prefix,
      // The prefix `__Host-` requires everything that this option would, and more; the library would add `__Secure-` in front.
      useSecureCookies: false,
      defaultCookieAttributes: {
        secure: publicUrl.protocol === 'https:',
        httpOnly: true,
        sameSite: 'lax',
        path: '/',
      },
      ipAddress: { ipAddressHeaders: ['x-sekisho-address'] },
      database: ids,
      disableCSRFCheck: false,
      disableOriginCheck: false,
    },
  });
}

export type Library = Awaited<ReturnType<typeof openLibrary>>;

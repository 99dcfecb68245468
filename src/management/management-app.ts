// The management plane put together: sign-in, mailer, pages and API in one router, and the emails that nobody asks for. Takes what
// the composition root has opened.
import { randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { type Request, Router } from 'express';
import type { AddressBlocks } from '../domain/address.ts';
import { newRequestId } from '../domain/id.ts';
import type { Introspection } from '../domain/introspection.ts';
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import { secretFrom } from '../secret-file.ts';
import type { Store } from '../store/ports/store.ts';
import { RefusedAttempts } from './audit/refused-attempts.ts';
import { endpoints } from './endpoints.ts';
import { addressOf, type FailureBudget } from './http/authenticate.ts';
import { Origins } from './http/origin.ts';
import { Paces } from './http/pace.ts';
import { Problem, sendProblem } from './http/problem.ts';
import { managementApi } from './http/router.ts';
import { SharedAnswers } from './http/send.ts';
import { noMailer } from './mail/mailer.ts';
import { Outbox } from './mail/outbox.ts';
import { openSmtpMailer } from './mail/smtp.ts';
import type { EncryptionNow } from './overview/encryption.ts';
import { linkCodes } from './people/link-codes.ts';
import type { OnboardingContext } from './people/onboarding.ts';
import { createLink } from './people/one-time-links.ts';
import { portalPages } from './portal/portal.ts';
import { authRoutes } from './sign-in/auth-routes.ts';
import { signInPath } from './sign-in/library.ts';
import type { Provider } from './sign-in/provider.ts';
import { openSignIn } from './sign-in/sign-in.ts';
import { SignInThrottle } from './sign-in/throttle.ts';

export interface ManagementAppSettings {
  readonly dataDir: string;
  /** Empty: pages answer under this machine's own names. */
  readonly publicUrl: string;
  /** Where links point. */
  readonly portal: URL;
  readonly gateName: string;
  /** Others reach it over a network that can read along. */
  readonly exposed: boolean;
  readonly smtpUrl: string;
  readonly mailFrom: string;
  readonly providers: readonly Provider[];
  readonly timeZone: string;
  /** Directory of the built pages. */
  readonly pages: string;
}

export interface ManagementAppTools {
  readonly store: Store;
  readonly introspection: Introspection;
  readonly failures: FailureBudget;
  readonly applications: FailureBudget;
  readonly trustedProxies: AddressBlocks;
  readonly now: () => WallMs;
  readonly nowMs: () => MonotonicMs;
  /** What the gate encrypts with; undefined where it does not. */
  readonly tls: { readonly names: () => readonly string[]; readonly authority: () => string | undefined } | undefined;
  /** How it is encrypted at this moment, whoever does it. */
  readonly encryption: () => EncryptionNow;
  readonly onChange: () => void;
  readonly onError: (message: string, cause: unknown, requestId?: string) => void;
}

export interface ManagementApp {
  readonly router: Router;
  /** A one-time link for the first operator; undefined where somebody operates the gate already. */
  setUpLink(): Promise<string | undefined>;
  readonly outbox: Outbox;
  /** Emails that have not left by then are given up. */
  stop(emailsMs: number): Promise<void>;
}

export function openManagementApp(settings: ManagementAppSettings, tools: ManagementAppTools): ManagementApp {
  const { store, now, nowMs, onError, trustedProxies } = tools;
  const { portal } = settings;
  const origins = new Origins(portal, settings.publicUrl !== '', tools.tls?.names);
  const mailer =
    settings.smtpUrl === ''
      ? noMailer
      : openSmtpMailer({
          smtpUrl: settings.smtpUrl,
          from: settings.mailFrom,
          gate: settings.gateName,
          nowMs,
          onError: (cause) => onError('an email could not be sent', cause),
        });
  // What cookies are signed with and codes of links come from: beside the database and not in it, so that a copy of the one opens
  // nothing.
  const secret = secretFrom(
    join(settings.dataDir, 'cookie.secret'),
    () => randomBytes(48).toString('base64url'),
    'then everybody signs in again, and second steps are set up anew.',
  );
  const codes = linkCodes(secret);
  const outbox = new Outbox({ store, mailer, portal, codes, now }, (error) =>
    onError('the outbox could not be looked at', error),
  );
  const signIn = openSignIn(store, {
    publicUrl: portal,
    secret,
    providers: settings.providers,
    admits: async () => (await store.readRegistration()).mode !== 'closed',
    now,
    onError,
  });
  const refused = new RefusedAttempts(store, now, (cause) => onError('refused tries could not be written down', cause));
  const context: OnboardingContext = { store, signIn, mailer, portal, codes, wake: () => void outbox.look() };
  const shared = new SharedAnswers(new Paces(nowMs), (asking) => addressOf(asking, { trustedProxies }));
  const api = managementApi({
    ...context,
    shared,
    endpoints,
    introspection: tools.introspection,
    timeZone: settings.timeZone,
    gateName: settings.gateName,
    encryption: {
      exposed: settings.exposed,
      authority: () => {
        const pem = tools.tls?.authority();
        return pem === undefined ? null : new X509Certificate(pem).fingerprint256;
      },
      now: tools.encryption,
    },
    now,
    nowMs,
    applications: tools.applications,
    refused: { flush: () => refused.flush() },
    authentication: {
      store,
      signIn,
      failures: tools.failures,
      trustedProxies,
      origins,
      now,
    },
    onChange: tools.onChange,
    onError: (error, id) => onError('a fault in the management API', error, id),
  });
  const router = Router({ caseSensitive: true, strict: true });
  if (tools.tls)
    router.use(['/management', '/portal'], (request, response, next) => {
      if ((request.socket as Partial<TLSSocket>).encrypted === true) next();
      else sendProblem(response, new Problem('tls_required'), newRequestId(now()));
    });
  router.use('/management/v1', (request, response, next) => {
    const address = addressOf(request, { trustedProxies });
    response.once('finish', () => refused.noteCall(address, request, response));
    next();
  });
  router.use(signInPath, (request, response, next) => {
    const address = addressOf(request, { trustedProxies });
    response.once('finish', () => refused.noteSignIn(address, request, response));
    next();
  });
  router.use('/management/v1', api);
  router.use('/portal', (request, response, next) => {
    if (tools.tls && tools.tls.authority() === undefined && isPublicName(request.hostname))
      response.set('strict-transport-security', `max-age=${twoYearsSeconds}`);
    response.set({
      'x-request-id': newRequestId(now()),
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    next();
  });
  router.use(
    signInPath,
    authRoutes({
      store,
      now,
      signIn,
      throttle: new SignInThrottle(nowMs),
      origins,
      publicUrl: portal,
      addressOf: (request: Request) => addressOf(request, { trustedProxies }),
      onError: (error, id) => onError('a fault in sign-in', error, id),
    }),
  );
  router.get(['/', '/portal'], (_request, response) => response.redirect(302, '/portal/'));
  router.get('/portal/authority.crt', (_request, response) => {
    const authority = tools.tls?.authority();
    if (authority === undefined)
      response.status(404).type('text/plain').send('This gate has no authority of its own.\n');
    // As bytes: a character set has no place on a certificate.
    else
      response
        .attachment('sekisho-authority.crt')
        .set({ 'content-type': 'application/x-x509-ca-cert' })
        .send(Buffer.from(authority));
  });
  router.use('/portal', portalPages(settings.pages, origins, shared));
  return {
    router,
    outbox,
    setUpLink: async () => {
      if ((await store.countAccounts('operator')) > 0) return undefined;
      const operator = await store.findAccount('operator');
      if (!operator) return undefined;
      return (await createLink(store, portal, 'setup', operator.id, { actor: 'gate', at: now() })).url;
    },
    stop: async (emailsMs) => {
      await refused.stop();
      await outbox.stop();
      await mailer.settle(emailsMs);
      await outbox.settle();
    },
  };
}

/** Mozilla's figure. */
const twoYearsSeconds = 63_072_000;

/** This machine and a local network may well have other servers under the same name, which do not encrypt. */
const isPublicName = (name: string): boolean => isIP(name) === 0 && name.includes('.') && !name.endsWith('.local');

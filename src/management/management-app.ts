// Assembles the management plane: sign-in, mail, the API and the pages. Takes what the composition root has opened; the order
// of the routes is in management-routes.ts.
import { X509Certificate } from 'node:crypto';
import type { Router } from 'express';
import { operatorName } from '../domain/account.ts';
import type { AddressBlocks } from '../domain/address.ts';
import type { KeyId } from '../domain/id.ts';
import type { Introspection } from '../domain/introspection.ts';
import type { RouteIntrospection } from '../domain/route-status.ts';
import type { ModelManagement } from '../domain/server-models.ts';
import type { ServerIntrospection } from '../domain/server-status.ts';
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import { cookieSecretIn } from '../secret-file.ts';
import type { LiveSettings } from '../settings/live.ts';
import type { FailureBudget } from '../store/ports/failure-budget.ts';
import type { SignInThrottle } from '../store/ports/sign-in-throttle.ts';
import type { Store } from '../store/ports/store.ts';
import { RefusedAttempts } from './audit/refused-attempts.ts';
import { endpoints } from './endpoints.ts';
import { addressOf } from './http/authenticate.ts';
import type { RequestContext } from './http/endpoint.ts';
import { Origins } from './http/origin.ts';
import { Paces } from './http/pace.ts';
import { managementApi } from './http/router.ts';
import { SharedAnswers } from './http/send.ts';
import { mailServerOf } from './mail/mail-server.ts';
import type { Mailer } from './mail/mailer.ts';
import { Outbox } from './mail/outbox.ts';
import { openSmtpMailer } from './mail/smtp.ts';
import { managementRoutes } from './management-routes.ts';
import { Connections } from './overview/connections.ts';
import type { EncryptionNow } from './overview/encryption.ts';
import { linkCodes } from './people/link-codes.ts';
import type { OnboardingContext } from './people/onboarding.ts';
import { createLink, createLinkBeside } from './people/one-time-links.ts';
import { portalPages } from './portal/portal.ts';
import type { RouteRules } from './routes/route-rules.ts';
import type { ServerRules } from './servers/server-rules.ts';
import { authRoutes } from './sign-in/auth-routes.ts';
import { signInPath } from './sign-in/own-route.ts';
import { providerId } from './sign-in/provider.ts';
import { providersOf } from './sign-in/providers.ts';
import { openSignIn, type SignIn } from './sign-in/sign-in.ts';

export interface ManagementAppSettings {
  readonly dataDir: string;
  /** Empty: pages answer under this machine's own names. */
  readonly publicUrl: string;
  /** Where links point. */
  readonly portal: URL;
  readonly live: LiveSettings;
  /** File with the keys that encrypt stored secrets; empty: none can be stored. */
  readonly serverSecretKey: string;
  /** Others reach it over an unencrypted network. */
  readonly exposed: boolean;
  readonly timeZone: string;
  /** Directory of the built pages. */
  readonly pages: string;
}

export interface ManagementAppTools {
  readonly store: Store;
  readonly introspection: Introspection;
  readonly servers: ServerIntrospection;
  readonly serverRules: ServerRules;
  readonly models: ModelManagement;
  /** The current published services, and the settings for added ones. */
  readonly routes: RouteIntrospection;
  readonly routeRules: () => RouteRules;
  readonly failures: FailureBudget;
  readonly applications: FailureBudget;
  readonly signIns: SignInThrottle;
  readonly trustedProxies: AddressBlocks;
  readonly now: () => WallMs;
  readonly nowMs: () => MonotonicMs;
  /** The certificates; undefined if the gateway does not encrypt. */
  readonly tls: { readonly names: () => readonly string[]; readonly authority: () => string | undefined } | undefined;
  /** The current encryption, by the gateway or by a proxy in front. */
  readonly encryption: () => EncryptionNow;
  /** Called when a call was made with a key. */
  readonly onKeyUse: (id: KeyId, at: WallMs) => void;
  readonly onChange: () => void;
  /** How many gateways the database has now, this one included. */
  readonly gates: () => Promise<number>;
  readonly onError: (message: string, cause: unknown, requestId?: string) => void;
}

export interface ManagementApp {
  readonly router: Router;
  /** A one-time link for the first operator; undefined if there is an operator. */
  setUpLink(): Promise<string | undefined>;
  readonly outbox: Outbox;
  /** Emails that were not sent by then are abandoned. */
  stop(emailsMs: number): Promise<void>;
}

export function openManagementApp(settings: ManagementAppSettings, tools: ManagementAppTools): ManagementApp {
  const { store, now, nowMs, onError, trustedProxies } = tools;
  const { portal, live } = settings;
  const origins = new Origins(portal, settings.publicUrl !== '', tools.tls?.names);
  const connections = new Connections(now);
  const mailer = mailerOf(live, tools, connections);
  const providers = live.deriveData(providersOf, () => connections.forget(`provider:${providerId}`));
  const secret = cookieSecretIn(settings.dataDir);
  const codes = linkCodes(secret);
  const outbox = new Outbox({ store, mailer, portal, codes, now }, (error) =>
    onError('the outbox could not be looked at', error),
  );
  const signIn = openSignIn(store, {
    publicUrl: portal,
    secret,
    providers: () => providers.now,
    admits: async () => (await store.readRegistration()).mode !== 'closed',
    now,
    onProvider: (id, error) => connections.note(`provider:${id}`, error),
    onError,
  });
  const refused = new RefusedAttempts(store, now, (cause) => onError('refused tries could not be written down', cause));
  const shared = new SharedAnswers(new Paces(nowMs), (request) => addressOf(request, { trustedProxies }));
  const context: OnboardingContext = { store, signIn, mailer, portal, codes, wake: () => void outbox.look() };
  const api = managementApi({
    ...context,
    shared,
    endpoints,
    ...dataPlaneOf(tools),
    timeZone: settings.timeZone,
    live,
    settingTools: { keyFile: settings.serverSecretKey, signInAt: portal.origin + signInPath },
    connections,
    encryption: encryptionOf(settings, tools),
    now,
    nowMs,
    applications: tools.applications,
    refused: { flush: () => refused.flush() },
    authentication: { store, signIn, failures: tools.failures, trustedProxies, origins, now },
    onKeyUse: tools.onKeyUse,
    onChange: tools.onChange,
    onError: (error, id) => onError('a fault in the management API', error, id),
  });
  const auth = authRoutesOf(signIn, origins, portal, tools);
  const pages = portalPages(settings.pages, origins, shared, live);
  return {
    router: managementRoutes({ api, auth, pages, refused, trustedProxies, now, authority: tools.tls?.authority }),
    outbox,
    setUpLink: () => setUpLink(tools, portal),
    stop: async (emailsMs) => {
      await refused.stop();
      await stopMail(mailer, outbox, emailsMs);
    },
  };
}

type DataPlane = Pick<
  ManagementAppTools,
  'introspection' | 'servers' | 'serverRules' | 'models' | 'routes' | 'routeRules'
>;

const dataPlaneOf = ({ introspection, servers, serverRules, models, routes, routeRules }: DataPlane): DataPlane => ({
  introspection,
  servers,
  serverRules,
  models,
  routes,
  routeRules,
});

async function stopMail(mailer: Mailer, outbox: Outbox, withinMs: number): Promise<void> {
  await outbox.stop();
  await mailer.settle(withinMs);
  await outbox.settle();
}

function authRoutesOf(
  signIn: SignIn,
  origins: Origins,
  publicUrl: URL,
  { store, now, signIns, onError, trustedProxies }: ManagementAppTools,
): ReturnType<typeof authRoutes> {
  return authRoutes({
    store,
    now,
    signIn,
    throttle: signIns,
    origins,
    publicUrl,
    addressOf: (request) => addressOf(request, { trustedProxies }),
    onError: (error, id) => onError('a fault in sign-in', error, id),
  });
}

function mailerOf(live: LiveSettings, { onError }: ManagementAppTools, connections: Connections): Mailer {
  const server = live.deriveData(mailServerOf, () => {
    connections.forget('mail');
    mailer.renew();
  });
  const mailer: Mailer = openSmtpMailer({
    server: () => server.now,
    onTry: (error) => connections.note('mail', error),
    onError: (cause) => onError('an email could not be sent', cause),
  });
  return mailer;
}

function encryptionOf(
  { exposed }: ManagementAppSettings,
  { tls, encryption }: ManagementAppTools,
): RequestContext['encryption'] {
  return {
    exposed,
    authority: () => {
      const pem = tls?.authority();
      return pem === undefined ? null : new X509Certificate(pem).fingerprint256;
    },
    now: encryption,
  };
}

/** Undefined if an operator exists. The links of several gateways that start together are all valid, as each shows its own. */
async function setUpLink(
  { store, now, gates }: Pick<ManagementAppTools, 'store' | 'now' | 'gates'>,
  portal: URL,
): Promise<string | undefined> {
  if ((await store.countAccounts('operator')) > 0) return undefined;
  const operator = await store.findAccount(operatorName);
  if (!operator) return undefined;
  const author = { actor: 'gate', at: now() };
  const count = await gates();
  const link = count > 1 ? await createLinkBeside(store, portal, 'setup', operator.id, author, count) : undefined;
  return (link ?? (await createLink(store, portal, 'setup', operator.id, author))).url;
}

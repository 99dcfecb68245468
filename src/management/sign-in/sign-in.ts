// Sign-in for people: passwords, TOTP and sessions by the library (library.ts); passkeys, providers, new passwords and removal
// of the second step by own routes. The rest of the management plane only sees the interface.
import { createHash } from 'node:crypto';
import type { PersonId } from '../../domain/id.ts';
import { onceItWorks } from '../../domain/once-it-works.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { changePasswordRoute } from './change-password.ts';
import type { Library } from './library.ts';
import { withCause } from './library-errors.ts';
import { CookieNames, type OpenSession, type OwnRoute, type Session, signInPath } from './own-route.ts';
import { passkeyRoutes } from './passkeys.ts';
import type { Provider } from './provider.ts';
import { providerRoutes } from './provider-routes.ts';
import { Seal } from './sealed.ts';
import { backupCodesRoute, type CheckSecondStep, endSecondStepRoute } from './second-step.ts';
import { sessionRoutes } from './session-routes.ts';
import { pairOf, Sessions } from './sessions.ts';

/** Longer than the library accepts a code: 30 seconds, and one step before and after. */
const codeLifeMs = 5 * 60_000;
const verifyTotp = '/two-factor/verify-totp';

export interface SignInSettings {
  /** Where the portal is reached, without a path. */
  readonly publicUrl: URL;
  readonly secret: string;
  /** The current ones. */
  readonly providers: () => readonly Provider[];
  /** Whether a new person with an identity at a provider may sign in to apply. */
  readonly admits: () => Promise<boolean>;
  readonly now: () => WallMs;
  /** Called after a provider was contacted; undefined: it answered. */
  readonly onProvider: (id: string, error?: unknown) => void;
  readonly onError: (message: string, cause: unknown) => void;
}

export interface SignIn {
  readonly providers: readonly Pick<Provider, 'id' | 'name'>[];
  readonly cookies: CookieNames;
  /** The gateway's own routes, by path; all others are the library's. */
  readonly own: Readonly<Record<string, OwnRoute>>;
  /** The library's own routes; the caller has checked that the request may reach them. */
  handle(request: Request): Promise<Response>;
  /** The session of these cookies; undefined without one. */
  sessionOf(cookies: string): Promise<Session | undefined>;
  readonly openSession: OpenSession;
}

export function openSignIn(store: Store, settings: SignInSettings): SignIn {
  const { publicUrl, secret, providers, now, onProvider, onError } = settings;
  const installation = createHash('sha256').update(`sekisho installation ${secret}`).digest('hex').slice(0, 8);
  const cookies = new CookieNames(installation, publicUrl.protocol === 'https:');
  const seal = new Seal(secret, now);
  // Loaded with the first sign-in or session: it takes 20 MB, and calls with keys never need it.
  const library = onceItWorks(async (): Promise<Library> => {
    const { openLibrary } = await import('./library.ts');
    return openLibrary(store, { publicUrl, secret, cookies, now, onError });
  });
  const sessions = new Sessions(library, cookies, now);
  const guarded = new GuardedLibrary(library, sessions, cookies, store, publicUrl, now);
  const { open: openSession } = sessions;
  return {
    get providers() {
      return providers().map(({ id, name }) => ({ id, name }));
    },
    cookies,
    own: {
      '/change-password': changePasswordRoute({ store, checkSecondStep: guarded.checkSecondStep, openSession }),
      '/two-factor/disable': endSecondStepRoute({ store, checkSecondStep: guarded.checkSecondStep }),
      '/two-factor/generate-backup-codes': backupCodesRoute({
        store,
        renewBackupCodes: async (personId) =>
          (await (await library()).api.renewBackupCodes({ body: { personId } })).codes,
      }),
      ...sessionRoutes({ store, now }),
      ...passkeyRoutes({ store, publicUrl, seal, cookies, now, openSession }),
      ...providerRoutes({
        store,
        providers,
        base: publicUrl.origin + signInPath,
        seal,
        cookies,
        now,
        admits: settings.admits,
        openSession,
        openChallenge: (personId) => sessions.openChallenge(personId),
        endSession: (token) => sessions.signOut(token),
        onProvider,
        onError,
      }),
    },
    handle: (request) => guarded.handle(request),
    sessionOf: (header) => sessions.of(header),
    openSession,
  };
}

/** The library's routes, with checks that it lacks: for a password that changes in the meantime, and a code that is sent twice. */
class GuardedLibrary {
  readonly #library: () => Promise<Library>;
  readonly #sessions: Sessions;
  readonly #cookies: CookieNames;
  readonly #store: Pick<Store, 'readPassword' | 'claimOnce'>;
  readonly #publicUrl: URL;
  readonly #now: () => WallMs;

  constructor(
    library: () => Promise<Library>,
    sessions: Sessions,
    cookies: CookieNames,
    store: Pick<Store, 'readPassword' | 'claimOnce'>,
    publicUrl: URL,
    now: () => WallMs,
  ) {
    this.#library = library;
    this.#sessions = sessions;
    this.#cookies = cookies;
    this.#store = store;
    this.#publicUrl = publicUrl;
    this.#now = now;
  }

  async handle(request: Request): Promise<Response> {
    if (request.method !== 'POST') return this.#ask(request);
    const path = new URL(request.url).pathname.slice(signInPath.length);
    const sent = (await request.clone().json()) as { email?: string; code?: string };
    const before = await this.#subjectOf(request.headers.get('cookie') ?? '', path, sent.email);
    const answer = await this.#ask(request);
    if (!answer.ok) return answer;
    const lines = answer.headers.getSetCookie().map(pairOf).join('; ');
    const opened = this.#cookies.only(lines, ['session_token', 'two_factor']);
    const challenge = await this.#sessions.findChallenge(opened);
    const found = await this.#sessions.find(opened);
    const personId = found?.user.id ?? challenge?.personId;
    if (personId === undefined && path !== verifyTotp) return answer;
    // Checked again now that the session exists, because a new password ends every session and challenge that exists at that time.
    const stands =
      personId === undefined ||
      (personId === before?.id && (await this.#store.readPassword(before.id)) === before.password);
    // A code works once, both for signing in and for setting up (RFC 6238 §5.2); of two concurrent requests, one fails.
    const first =
      path !== verifyTotp ||
      (before !== undefined &&
        (await this.#store.claimOnce(`totp:${before.id}:${sent.code}`, this.#now() + codeLifeMs)));
    if (stands && first) return answer;
    if (found) await this.#sessions.end(found.session.token);
    if (challenge) await this.#sessions.endChallenge(challenge);
    return path === verifyTotp
      ? Response.json({ code: 'INVALID_CODE', message: 'Invalid code' }, { status: 401 })
      : Response.json({ code: 'INVALID_EMAIL_OR_PASSWORD', message: 'Invalid email or password' }, { status: 401 });
  }

  /** Checks a code as the second step of a sign-in does, without a session at the end. */
  readonly checkSecondStep: CheckSecondStep = async (personId, code, { address }) => {
    const cookie = (await this.#sessions.openChallenge(personId)).map(pairOf).join('; ');
    const path = /^\d{6}$/.test(code) ? verifyTotp : '/two-factor/verify-backup-code';
    const { origin } = this.#publicUrl;
    const answer = await this.handle(
      new Request(new URL(signInPath + path, this.#publicUrl), {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin, 'x-sekisho-address': address, cookie },
        body: JSON.stringify({ code }),
      }),
    );
    const challenge = await this.#sessions.findChallenge(cookie);
    if (challenge) await this.#sessions.endChallenge(challenge);
    const found = await this.#sessions.find(answer.headers.getSetCookie().map(pairOf).join('; '));
    if (found) await this.#sessions.end(found.session.token);
    return answer.ok && found?.user.id === personId;
  };

  async #ask(request: Request): Promise<Response> {
    const { handler } = await this.#library();
    return withCause(() => handler(request));
  }

  /** The person whom a request can sign in, and their password at the start of the request. */
  async #subjectOf(
    header: string,
    path: string,
    email: string | undefined,
  ): Promise<{ readonly id: PersonId; readonly password: string | null } | undefined> {
    const id =
      path === '/sign-in/email'
        ? await this.#sessions.personWith(email ?? '')
        : ((await this.#sessions.find(header))?.user.id ?? (await this.#sessions.findChallenge(header))?.personId);
    return id === undefined
      ? undefined
      : { id: id as PersonId, password: await this.#store.readPassword(id as PersonId) };
  }
}

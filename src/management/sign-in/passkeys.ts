// Passkeys (WebAuthn Level 3): adding one, signing in with one, and the list of them. A passkey replaces both factors, so every
// ceremony requires user verification.
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';
import { randomBase62 } from '../../domain/id.ts';
import { say } from '../../domain/sentences.ts';
import { iso, type WallMs } from '../../domain/time.ts';
import type { StoredPasskey } from '../../store/ports/sign-in.ts';
import type { Store } from '../../store/ports/store.ts';
import { requireText } from '../fault.ts';
import { Problem } from '../http/problem.ts';
import type { CookieNames, OpenSession, OwnRoute, OwnRouteAnswer, OwnRouteRequest } from './own-route.ts';
import type { Seal } from './sealed.ts';
import type { Expected } from './webauthn.ts';

/** Loaded with the first ceremony: it takes 15 MB. */
const loadWebauthn = () => import('./webauthn.ts');

/** More than the number of devices that a person has. */
const mostPasskeys = 20;
const ceremonySeconds = 300;
const cookieName = 'passkey';

const base64url = z
  .string()
  .max(12_000)
  .regex(/^[A-Za-z0-9_-]+$/);
const credential = {
  // WebAuthn §5.1: a credential id has at most 1023 bytes.
  id: base64url.max(1_400),
  rawId: base64url.max(1_400),
  type: z.literal('public-key'),
};

/** The fields that a page may send; other fields of browsers (extensions, attachment) are ignored. */
export const passkeyBodies = {
  register: z.object({
    name: z.string().max(1_000).optional(),
    response: z.object({
      ...credential,
      response: z.object({
        clientDataJSON: base64url,
        attestationObject: base64url,
        transports: z
          .array(z.string().regex(/^[a-z-]{1,20}$/))
          .max(8)
          .optional(),
      }),
    }),
  }),
  signIn: z.object({
    response: z.object({
      ...credential,
      response: z.object({
        clientDataJSON: base64url,
        authenticatorData: base64url,
        signature: base64url,
        userHandle: z.string().max(200).nullish(),
      }),
    }),
  }),
  remove: z.object({ id: z.string().max(100) }),
  rename: z.object({ id: z.string().max(100), name: z.string().max(1_000) }),
} as const;

export interface PasskeyTools {
  readonly store: Pick<
    Store,
    | 'claimOnce'
    | 'findPasskey'
    | 'findPerson'
    | 'listPasskeys'
    | 'insertPasskey'
    | 'movePasskey'
    | 'renamePasskey'
    | 'deletePasskey'
  >;
  readonly publicUrl: URL;
  readonly seal: Seal;
  readonly cookies: CookieNames;
  readonly now: () => WallMs;
  readonly openSession: OpenSession;
}

export function passkeyRoutes(tools: PasskeyTools): Readonly<Record<string, OwnRoute>> {
  const ceremonies = new Ceremonies(tools);
  const { store } = tools;
  return {
    '/passkey/generate-register-options': (asked) => beginRegistration(asked, tools, ceremonies),
    '/passkey/verify-registration': (asked) => register(asked, tools, ceremonies),
    '/passkey/generate-authenticate-options': async () =>
      ceremonies.begin('passkey.sign-in', await (await loadWebauthn()).askToSignIn(tools.publicUrl.hostname)),
    '/passkey/verify-authentication': (asked) => signIn(asked, tools, ceremonies),

    '/passkey/list-user-passkeys': async ({ session }) => {
      if (!session) throw new Problem('unauthenticated');
      return { json: (await store.listPasskeys(session.personId)).map(shown) };
    },

    '/passkey/update-passkey': async ({ session, body }) => {
      if (!session) throw new Problem('unauthenticated');
      const { id, name } = body as z.output<typeof passkeyBodies.rename>;
      if (!(await store.renamePasskey(session.personId, id, nameOf(name)))) throw new Problem('not_found');
      return { json: { status: true } };
    },

    '/passkey/delete-passkey': async ({ session, body }) => {
      if (!session) throw new Problem('unauthenticated');
      const { id } = body as z.output<typeof passkeyBodies.remove>;
      if (!(await store.deletePasskey(session.personId, id, session.id))) throw new Problem('not_found');
      return { json: { status: true } };
    },
  };
}

/** Challenges of passkeys. Each goes to the page and, sealed, into a cookie; nothing is stored until it is answered. */
class Ceremonies {
  readonly #tools: Pick<PasskeyTools, 'store' | 'seal' | 'cookies' | 'now'>;

  constructor(tools: Pick<PasskeyTools, 'store' | 'seal' | 'cookies' | 'now'>) {
    this.#tools = tools;
  }

  async begin(purpose: string, options: { readonly challenge: string }, whose = ''): Promise<OwnRouteAnswer> {
    const { seal, cookies } = this.#tools;
    const sealed = await seal.close(purpose, { challenge: options.challenge, whose }, ceremonySeconds);
    return { json: options, cookies: [cookies.line(cookieName, sealed, ceremonySeconds)] };
  }

  /** @throws Problem if no ceremony of that kind has been started. */
  async challengeOf(purpose: string, asked: OwnRouteRequest): Promise<{ challenge: string; whose: string }> {
    const { challenge, whose } = (await this.#tools.seal.open(purpose, asked.cookie(cookieName))) ?? {};
    if (challenge === undefined || whose === undefined) throw new Problem('invalid', { said: say('passkey_late', {}) });
    return { challenge, whose };
  }

  /** A challenge is answered once (WebAuthn §13.4.3). @throws Problem. */
  async answer(challenge: string): Promise<void> {
    const { store, now } = this.#tools;
    if (!(await store.claimOnce(`passkey:${challenge}`, now() + 2 * ceremonySeconds * 1000)))
      throw new Problem('invalid', { said: say('passkey_twice', {}) });
  }

  /** The cookie of a ceremony that has ended. */
  get ended(): string {
    return this.#tools.cookies.end(cookieName);
  }
}

const expectedOf = ({ publicUrl }: PasskeyTools): Expected => ({
  expectedOrigin: publicUrl.origin,
  expectedRPID: publicUrl.hostname,
  requireUserVerification: true,
});

async function beginRegistration(
  asked: OwnRouteRequest,
  { store, publicUrl }: PasskeyTools,
  ceremonies: Ceremonies,
): Promise<OwnRouteAnswer> {
  const { personId } = requireFresh(asked);
  const person = await store.findPerson(personId);
  if (!person) throw new Problem('unauthenticated');
  const { askToRegister } = await loadWebauthn();
  const options = await askToRegister(publicUrl.hostname, person, await store.listPasskeys(person.id));
  return ceremonies.begin('passkey.register', options, person.id);
}

async function register(asked: OwnRouteRequest, tools: PasskeyTools, ceremonies: Ceremonies): Promise<OwnRouteAnswer> {
  const session = requireFresh(asked);
  const { name, response } = asked.body as z.output<typeof passkeyBodies.register>;
  const { challenge, whose } = await ceremonies.challengeOf('passkey.register', asked);
  if (whose !== session.personId) throw new Problem('forbidden');
  const { readRegistration } = await loadWebauthn();
  const passkey: StoredPasskey = {
    ...(await readRegistration({ ...response, clientExtensionResults: {} } as RegistrationResponseJSON, {
      ...expectedOf(tools),
      expectedChallenge: challenge,
    })),
    id: randomBase62(24),
    personId: session.personId,
    name: nameOf(name ?? 'Passkey'),
    transports: response.response.transports ?? [],
    createdAt: tools.now(),
    lastUsedAt: null,
  };
  await ceremonies.answer(challenge);
  switch (await tools.store.insertPasskey(passkey, session.id, mostPasskeys)) {
    case 'signed_out':
      throw new Problem('unauthenticated');
    case 'taken':
      throw new Problem('conflict', { said: say('passkey_there', {}) });
    case 'too_many':
      throw new Problem('conflict', { said: say('passkeys_full', { most: mostPasskeys }) });
    case 'added':
      return { json: shown(passkey), cookies: [ceremonies.ended] };
  }
}

async function signIn(asked: OwnRouteRequest, tools: PasskeyTools, ceremonies: Ceremonies): Promise<OwnRouteAnswer> {
  const { store, now, openSession } = tools;
  const { response } = asked.body as z.output<typeof passkeyBodies.signIn>;
  const { challenge } = await ceremonies.challengeOf('passkey.sign-in', asked);
  const { counterOf } = await loadWebauthn();
  const passkey = await store.findPasskey(response.id);
  const counter =
    passkey && (await counterOf(passkey, response as AuthenticationResponseJSON, expectedOf(tools), challenge));
  // The counter is compared and advanced in one statement, so of two answers with the same signature, only one succeeds.
  if (!passkey || counter === undefined || !(await store.movePasskey(passkey.id, passkey.counter, counter, now())))
    throw new Problem('unauthenticated', { said: say('passkey_unknown', {}) });
  await ceremonies.answer(challenge);
  const there = async (): Promise<boolean> => (await store.findPasskey(response.id))?.id === passkey.id;
  const lines = await openSession(passkey.personId, asked.from, there);
  return { json: { signedIn: true }, cookies: [...lines, ceremonies.ended] };
}

/** A passkey gives more access than the session that adds it, so an old session must not add one. @throws Problem. */
function requireFresh({ session }: OwnRouteRequest): NonNullable<OwnRouteRequest['session']> {
  if (!session) throw new Problem('unauthenticated');
  if (!session.fresh) throw new Problem('sign_in_again');
  return session;
}

/** @throws Fault. */
const nameOf = (text: string): string => requireText('what_name', text, 100);

function shown({ id, name, createdAt, lastUsedAt }: StoredPasskey): Record<string, unknown> {
  return { id, name, createdAt: iso(createdAt), lastUsedAt: iso(lastUsedAt) };
}

// Passes a sign-in request to the gateway's own route or to the library's, writes the audit event, and sends the answer.
import type { Request, Response } from 'express';
import { auditEvent } from '../../domain/audit.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { type OwnRouteAnswer, type Session, signInPath } from './own-route.ts';
import type { Route } from './route-list.ts';
import { longestMs } from './sessions.ts';
import type { SignIn } from './sign-in.ts';

/** The audit event of a successful request. */
const audited: Readonly<Record<string, string>> = {
  '/sign-in/email': 'person.sign-in',
  '/passkey/verify-authentication': 'person.sign-in',
  '/two-factor/verify-totp': 'person.sign-in',
  '/two-factor/verify-backup-code': 'person.sign-in',
  '/change-password': 'person.password',
  '/two-factor/enable': 'person.second-factor-begun',
  '/two-factor/disable': 'person.second-factor-off',
  '/two-factor/generate-backup-codes': 'person.backup-codes',
  '/revoke-session': 'person.session-ended',
  '/revoke-other-sessions': 'person.sessions-ended',
  '/passkey/verify-registration': 'person.passkey-added',
  '/passkey/update-passkey': 'person.passkey-renamed',
  '/passkey/delete-passkey': 'person.passkey-removed',
};

export interface ForwardTools {
  readonly store: Pick<Store, 'insertAudit' | 'findPerson'>;
  readonly now: () => WallMs;
  readonly signIn: SignIn;
  /** The base URL that the library assumes. */
  readonly publicUrl: URL;
}

/** A parsed request to a sign-in route. */
export interface SignInRequest {
  readonly path: string;
  readonly route: Route | undefined;
  readonly body: Readonly<Record<string, unknown>>;
  readonly address: string;
  /** The session of the cookie, if it is still valid; one that is older than a week has already been ended. */
  readonly session: Session | undefined;
}

/** Forwards the request to the gateway's own route or the library's, sends the answer, and returns its status. */
export async function forward(
  tools: ForwardTools,
  asking: SignInRequest,
  request: Request,
  response: Response,
): Promise<number> {
  const { path, body, session, address } = asking;
  const { signIn } = tools;
  const own = Object.hasOwn(signIn.own, path) ? signIn.own[path] : undefined;
  if (own) {
    const { cookie = '', 'user-agent': userAgent = '' } = request.headers;
    const answer = await own({
      body,
      query: new URL(request.url, tools.publicUrl).search,
      cookie: (name) => signIn.cookies.read(cookie, name),
      session,
      from: { address, userAgent: userAgent.slice(0, 500) },
    });
    return sendOwn(tools, asking, answer, response);
  }
  const answer = await askLibrary(tools, asking, request);
  const lines = answer.headers.getSetCookie().map((line) => signIn.cookies.lasting(line, longestMs / 1000));
  if (answer.status < 400) await writeDown(tools, asking, lines);
  response.status(answer.status);
  for (const name of ['content-type', 'location', 'retry-after', 'x-retry-after']) {
    const value = answer.headers.get(name);
    if (value !== null) response.set(name, value);
  }
  response.append('set-cookie', lines);
  response.send(Buffer.from(await answer.arrayBuffer()));
  return answer.status;
}

async function askLibrary(
  { signIn, store, publicUrl }: ForwardTools,
  asking: SignInRequest,
  request: Request,
): ReturnType<SignIn['handle']> {
  const { path, body, address, session } = asking;
  const headers = new Headers();
  for (const name of ['content-type', 'user-agent', 'accept'] as const) {
    const value = request.headers[name];
    if (value !== undefined) headers.set(name, value);
  }
  // A session may submit a code only while setting up the second step. Afterwards codes are for signing in, because the library
  // would let a session try codes without counting them.
  const signsIn =
    path.startsWith('/two-factor/verify-') &&
    !(session && path === '/two-factor/verify-totp' && (await store.findPerson(session.personId))?.twoFactor === false);
  // Only the cookies that the gateway uses, not others that the library would read.
  const cookie = signIn.cookies.only(
    request.headers.cookie ?? '',
    signsIn ? ['two_factor'] : ['session_token', 'two_factor'],
  );
  if (cookie !== '') headers.set('cookie', cookie);
  // Checked above against the name in the request; for the library, the gateway has only one name.
  headers.set('origin', publicUrl.origin);
  headers.set('x-sekisho-address', address);
  return signIn.handle(
    new Request(new URL(signInPath + path, publicUrl), {
      method: request.method,
      headers,
      ...(request.method === 'POST' ? { body: JSON.stringify(body) } : {}),
    }),
  );
}

async function sendOwn(
  tools: ForwardTools,
  asking: SignInRequest,
  answer: OwnRouteAnswer,
  response: Response,
): Promise<number> {
  const { json, status = 200, location, cookies = [] } = answer;
  if (status < 400) await writeDown(tools, asking, cookies);
  response.status(status).append('set-cookie', [...cookies]);
  if (location === undefined) response.json(json ?? {});
  else response.redirect(302, location);
  return response.statusCode;
}

/** Reads the person from the cookies of the answer; there are none yet if a second step follows. */
async function writeDown(
  { signIn, store, now }: ForwardTools,
  { path, address, session: before }: SignInRequest,
  lines: readonly string[],
): Promise<void> {
  const action = path.startsWith('/callback/') ? 'person.sign-in' : audited[path];
  if (action === undefined) return;
  const fresh = lines.map((line) => line.split(';', 1)[0] ?? '').filter((pair) => !pair.endsWith('='));
  const session =
    (fresh.length > 0 ? await signIn.sessionOf(fresh.join('; ')) : undefined) ??
    (action === 'person.sign-in' ? undefined : before);
  if (!session) return;
  const { personId } = session;
  const author = { actor: `person:${personId}`, at: now() };
  await store.insertAudit(auditEvent(author, action, personId, null, { address }));
}

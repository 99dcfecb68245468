// The routes of sign-in, as pages may reach them: a list of those that this gate uses and no other, only from our own pages, only
// small bodies, and guessing made slow before the library is asked.
import express, { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { networkOf } from '../../domain/address.ts';
import { normalEmail } from '../../domain/application.ts';
import { auditEvent } from '../../domain/audit.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { limitBody } from '../http/body-limit.ts';
import type { Origins } from '../http/origin.ts';
import { Problem, sendProblem, toProblem } from '../http/problem.ts';
import { requirePassword } from '../people/onboarding.ts';
import { changePasswordBody } from './change-password.ts';
import type { Answered, Visit } from './own-route.ts';
import { passkeyBodies } from './passkeys.ts';
import { providerBody } from './provider-routes.ts';
import { endSecondStepBody } from './second-step.ts';
import { type SignIn, signInPath } from './sign-in.ts';
import type { SignInThrottle } from './throttle.ts';

/** What is written into the audit log when it was done. */
const audited: Readonly<Record<string, string>> = {
  '/sign-in/email': 'person.sign-in',
  '/passkey/verify-authentication': 'person.sign-in',
  '/two-factor/verify-totp': 'person.sign-in',
  '/two-factor/verify-backup-code': 'person.sign-in',
  '/change-password': 'person.password',
  '/two-factor/enable': 'person.second-factor-begun',
  '/two-factor/disable': 'person.second-factor-off',
  '/passkey/verify-registration': 'person.passkey-added',
  '/passkey/delete-passkey': 'person.passkey-removed',
};

export interface DoorTools {
  readonly store: Pick<Store, 'insertAudit' | 'findPerson'>;
  readonly now: () => WallMs;
  readonly signIn: SignIn;
  readonly throttle: SignInThrottle;
  readonly origins: Origins;
  /** Where the library believes that it stands. */
  readonly publicUrl: URL;
  readonly addressOf: (request: Request) => string;
  readonly onError: (error: unknown, requestId: string) => void;
}

interface Route {
  /** `guess` is a POST that counts as one. */
  readonly how: 'GET' | 'POST' | 'guess';
  /**
   * Fields that a page may send; the library gets these and no other, written anew. Its own bodies have more (`trustDevice`,
   * `rememberMe`, `callbackURL`), and what we do not use must not be there to be used.
   */
  readonly body: z.ZodType;
}

const text = z.string().max(1_024);
const nothing = z.object({});
const get: Route = { how: 'GET', body: nothing };

/**
 * What a page may ask; every other route of the library is not there. None of these gives anything for a password alone to somebody
 * who has a second step: what shows its secret or makes backup codes anew (get-totp-uri, generate-backup-codes) is not among them.
 */
const routes: Readonly<Record<string, Route>> = {
  // One spelling, as people were stored; nobody signs in with what stands for no address.
  '/sign-in/email': {
    how: 'guess',
    body: z.object({
      email: text
        .transform((email) => normalEmail(email) ?? '')
        .refine((email) => email !== '', 'is no e-mail address'),
      password: text,
    }),
  },
  '/sign-in/provider': { how: 'POST', body: providerBody },
  '/sign-out': { how: 'POST', body: nothing },
  '/get-session': get,
  '/list-sessions': get,
  '/revoke-session': { how: 'POST', body: z.object({ token: text }) },
  '/revoke-other-sessions': { how: 'POST', body: nothing },
  '/change-password': { how: 'guess', body: changePasswordBody },
  '/two-factor/enable': { how: 'guess', body: z.object({ password: text }) },
  '/two-factor/disable': { how: 'guess', body: endSecondStepBody },
  '/two-factor/verify-totp': { how: 'guess', body: z.object({ code: z.string().regex(/^\d{6}$/) }) },
  '/two-factor/verify-backup-code': { how: 'guess', body: z.object({ code: z.string().max(100) }) },
  '/passkey/generate-register-options': get,
  '/passkey/verify-registration': { how: 'POST', body: passkeyBodies.register },
  '/passkey/generate-authenticate-options': get,
  '/passkey/verify-authentication': { how: 'POST', body: passkeyBodies.signIn },
  '/passkey/list-user-passkeys': get,
  '/passkey/delete-passkey': { how: 'POST', body: passkeyBodies.remove },
};
/** Where a provider sends somebody back: from its own site, by its own leave (state, nonce and PKCE). */
const callback = /^\/callback\/[a-z0-9-]{1,40}$/;

const bodyBytes = 16 * 1024;

export function doorRoutes(tools: DoorTools): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const crowd = new Crowd();
  const parse = express.text({ limit: bodyBytes, inflate: false, type: () => true });
  router.use((request, response, next) => {
    const path = request.path;
    const isCallback = callback.test(path) && request.method === 'GET' && Object.hasOwn(tools.signIn.own, path);
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (!route && !isCallback) throw new Problem('not_found');
    const method = route?.how === 'guess' ? 'POST' : route?.how;
    if (!isCallback && request.method !== method)
      throw new Problem('method_not_allowed', method === undefined ? {} : { allow: method });
    if (!tools.origins.knows(request)) throw new Problem('unknown_host');
    if (!isCallback && !tools.origins.isOurs(request)) throw new Problem('cross_site');
    if (request.method === 'POST' && !/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
      throw new Problem('unsupported_media_type');
    limitBody(request, response, bodyBytes);
    next();
  });
  router.use(parse, (request, response, next) => {
    ask(tools, crowd, request, response).catch(next);
  });
  router.use((error: unknown, _request: Request, response: Response, _next: express.NextFunction) => {
    const problem = toProblem(error);
    const id = response.getHeader('x-request-id') as string;
    if (problem.code === 'internal' || problem.code === 'store_unusable') tools.onError(error, id);
    if (response.headersSent) response.destroy();
    else sendProblem(response, problem, id);
  });
  return router;
}

/** Passwords that are looked at now, from everywhere and by network: each takes a moment of a core. */
class Crowd {
  readonly #from = new Map<string, number>();
  #all = 0;

  /** @throws Problem `busy`; otherwise `leave` must follow. */
  enter(network: string): void {
    const count = this.#from.get(network) ?? 0;
    if (this.#all >= 32 || count >= 8) throw new Problem('busy', { retryAfterSeconds: 2 });
    this.#all++;
    this.#from.set(network, count + 1);
  }

  leave(network: string): void {
    const count = (this.#from.get(network) ?? 1) - 1;
    this.#all--;
    if (count === 0) this.#from.delete(network);
    else this.#from.set(network, count);
  }
}

/** A request at the door, read once. */
interface Asking {
  readonly path: string;
  readonly route: Route | undefined;
  readonly body: Readonly<Record<string, unknown>>;
  readonly address: string;
  /** The visit whose cookie came along, if it goes on: one past its week has ended before anybody is asked. */
  readonly visit: Visit | undefined;
}

async function ask(tools: DoorTools, crowd: Crowd, request: Request, response: Response): Promise<void> {
  const { throttle, signIn } = tools;
  const { path } = request;
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  const asking: Asking = {
    path,
    route,
    body: route && request.method === 'POST' ? readBody(request.body, route.body) : {},
    address: tools.addressOf(request),
    visit: await signIn.visitOf(request.headers.cookie ?? ''),
  };
  if (route?.how !== 'guess') {
    await handOn(tools, asking, request, response);
    return;
  }
  // Before it counts as a guess: nothing was tried yet.
  if (path === '/change-password') await requireOwnPassword(tools, asking.visit, asking.body['newPassword']);
  const { address } = asking;
  const guess = whoIsGuessed(asking);
  const waitSeconds = throttle.waitSeconds(address, guess);
  if (waitSeconds > 0) throw new Problem('too_many_attempts', { retryAfterSeconds: waitSeconds });
  const network = networkOf(address);
  crowd.enter(network);
  try {
    // Counted before it is tried: fifty at once are fifty.
    throttle.failed(address, guess);
    const status = await handOn(tools, asking, request, response);
    if (status < 400) throttle.succeeded(address, guess);
    else throttle.answered(address, guess);
  } finally {
    crowd.leave(network);
  }
}

/** To whoever has the route, and back; gives the status. */
async function handOn(tools: DoorTools, asking: Asking, request: Request, response: Response): Promise<number> {
  const { path, body, visit, address } = asking;
  const { signIn } = tools;
  const own = Object.hasOwn(signIn.own, path) ? signIn.own[path] : undefined;
  if (own) {
    const { cookie = '', 'user-agent': userAgent = '' } = request.headers;
    const answer = await own({
      body,
      query: new URL(request.url, tools.publicUrl).search,
      cookie: (name) => signIn.cookies.read(cookie, name),
      visit,
      from: { address, userAgent: userAgent.slice(0, 500) },
    });
    return sendOwn(tools, asking, answer, response);
  }
  const answer = await askLibrary(tools, asking, request);
  const lines = answer.headers.getSetCookie();
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
  { signIn, store, publicUrl }: DoorTools,
  asking: Asking,
  request: Request,
): ReturnType<SignIn['handle']> {
  const { path, body, address, visit } = asking;
  const headers = new Headers();
  for (const name of ['content-type', 'user-agent', 'accept'] as const) {
    const value = request.headers[name];
    if (value !== undefined) headers.set(name, value);
  }
  // A code belongs to the visit only while the second step is set up there. Afterwards it is for signing in: the library would let a
  // visit try codes without counting them.
  const signsIn =
    path.startsWith('/two-factor/verify-') &&
    !(visit && path === '/two-factor/verify-totp' && (await store.findPerson(visit.personId))?.twoFactor === false);
  // The cookies that we use, and no other that the library would read.
  const cookie = signIn.cookies.only(
    request.headers.cookie ?? '',
    signsIn ? ['two_factor'] : ['session_token', 'two_factor'],
  );
  if (cookie !== '') headers.set('cookie', cookie);
  // Checked above against the name under which we were called; to the library we have one name.
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

async function sendOwn(tools: DoorTools, asking: Asking, answer: Answered, response: Response): Promise<number> {
  const { json, status = 200, location, cookies = [] } = answer;
  if (status < 400) await writeDown(tools, asking, cookies);
  response.status(status).append('set-cookie', [...cookies]);
  if (location === undefined) response.json(json ?? {});
  else response.redirect(302, location);
  return response.statusCode;
}

/** The library knows lengths alone. @throws Problem, Fault. */
async function requireOwnPassword({ store }: DoorTools, visit: Visit | undefined, password: unknown): Promise<void> {
  const person = visit && (await store.findPerson(visit.personId));
  if (!person) throw new Problem('unauthenticated');
  requirePassword(String(password), [person.name, person.email]);
}

/** Who it was stands in the cookies that they have now; nobody yet where a second step is to come. */
async function writeDown(
  { signIn, store, now }: DoorTools,
  { path, address, visit: before }: Asking,
  lines: readonly string[],
): Promise<void> {
  const action = path.startsWith('/callback/') ? 'person.sign-in' : audited[path];
  if (action === undefined) return;
  const fresh = lines.map((line) => line.split(';', 1)[0] ?? '').filter((pair) => !pair.endsWith('='));
  const visit =
    (fresh.length > 0 ? await signIn.visitOf(fresh.join('; ')) : undefined) ??
    (action === 'person.sign-in' ? undefined : before);
  if (!visit) return;
  const { personId } = visit;
  const author = { actor: `person:${personId}`, at: now() };
  await store.insertAudit(auditEvent(author, action, personId, null, { address }));
}

/** Whose password or code somebody tries: the mailbox, or the person of the visit. */
function whoIsGuessed({ path, body, visit }: Asking): string {
  if (path === '/sign-in/email') return normalEmail(String(body['email'])) ?? '';
  // The library bounds the tries of a challenge and of a person; this bounds the tries from one address.
  return visit?.personId ?? '';
}

/** @throws Problem. */
function readBody(sent: unknown, shape: z.ZodType): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(typeof sent === 'string' && sent !== '' ? sent : '{}');
  } catch {
    throw new Problem('not_json');
  }
  const read = shape.safeParse(value);
  if (read.success) return read.data as Readonly<Record<string, unknown>>;
  const errors = read.error.issues.map(({ path, message }) => ({ at: ['body', ...path].join('.'), detail: message }));
  throw new Problem('invalid', { detail: `${errors[0]?.at ?? 'body'}: ${errors[0]?.detail ?? 'not valid'}`, errors });
}

// The routes of sign-in, as pages may reach them: a list of those that this gate uses and no other, only from our own pages, only
// small bodies, and guessing made slow before the library is asked.
import express, { type Request, type Response, Router } from 'express';
import { networkOf } from '../../domain/address.ts';
import { normalEmail } from '../../domain/application.ts';
import { auditEvent } from '../../domain/audit.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports.ts';
import { limitBody } from '../api/body-limit.ts';
import { Problem, sendProblem, toProblem } from '../api/problem.ts';
import { type SignIn, signInPath } from '../sign-in/sign-in.ts';
import type { SignInThrottle } from '../sign-in/throttle.ts';
import type { Origins } from './origin.ts';

/** What is written into the audit log when it was done. */
const audited: Readonly<Record<string, string>> = {
  '/sign-in/email': 'person.sign-in',
  '/passkey/verify-authentication': 'person.sign-in',
  '/two-factor/verify-totp': 'person.sign-in',
  '/two-factor/verify-backup-code': 'person.sign-in',
  '/change-password': 'person.password',
  '/two-factor/enable': 'person.second-factor-begun',
  '/two-factor/disable': 'person.second-factor-off',
  '/two-factor/generate-backup-codes': 'person.backup-codes',
  '/passkey/verify-registration': 'person.passkey-added',
  '/passkey/delete-passkey': 'person.passkey-removed',
};

export interface DoorTools {
  readonly store: Pick<Store, 'insertAudit'>;
  readonly now: () => WallMs;
  readonly signIn: SignIn;
  readonly throttle: SignInThrottle;
  readonly origins: Origins;
  /** Where the library believes that it stands. */
  readonly publicUrl: URL;
  readonly addressOf: (request: Request) => string;
  readonly onError: (error: unknown, requestId: string) => void;
}

/** What a page may ask; `guess` counts as one. */
const routes: Readonly<Record<string, 'GET' | 'POST' | 'guess'>> = {
  '/sign-in/email': 'guess',
  '/sign-in/social': 'POST',
  '/sign-out': 'POST',
  '/get-session': 'GET',
  '/list-sessions': 'GET',
  '/revoke-session': 'POST',
  '/revoke-other-sessions': 'POST',
  '/change-password': 'guess',
  '/two-factor/enable': 'guess',
  '/two-factor/disable': 'guess',
  '/two-factor/get-totp-uri': 'guess',
  '/two-factor/generate-backup-codes': 'guess',
  '/two-factor/verify-totp': 'guess',
  '/two-factor/verify-backup-code': 'guess',
  '/passkey/generate-register-options': 'GET',
  '/passkey/verify-registration': 'POST',
  '/passkey/generate-authenticate-options': 'GET',
  '/passkey/verify-authentication': 'POST',
  '/passkey/list-user-passkeys': 'GET',
  '/passkey/delete-passkey': 'POST',
};
/** Where a provider sends somebody back: from its own site, by its own leave (state and PKCE). */
const callback = /^\/callback\/[a-z0-9-]{1,40}$/;

const bodyBytes = 16 * 1024;

export function doorRoutes(tools: DoorTools): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const crowd = new Crowd();
  const parse = express.text({ limit: bodyBytes, inflate: false, type: () => true });
  router.use((request, response, next) => {
    const path = request.path;
    const isCallback = callback.test(path) && request.method === 'GET';
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (!route && !isCallback) throw new Problem('not_found');
    const method = route === 'guess' ? 'POST' : route;
    if (!isCallback && request.method !== method)
      throw new Problem('method_not_allowed', method === undefined ? {} : { allow: method });
    if (!tools.origins.knows(request)) throw new Problem('unknown_host');
    if (!isCallback && !tools.origins.isOurs(request)) throw new Problem('cross_site');
    if (request.method === 'POST' && !/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
      throw new Problem('unsupported_media_type');
    response.locals['guess'] = route === 'guess';
    limitBody(request, response, bodyBytes);
    next();
  });
  router.use(parse, (request, response, next) => {
    ask(tools, crowd, request, response).catch(next);
  });
  router.use((error: unknown, _request: Request, response: Response, _next: express.NextFunction) => {
    const problem = toProblem(error);
    const id = response.getHeader('x-request-id') as string;
    if (problem.code === 'internal') tools.onError(error, id);
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

async function ask(tools: DoorTools, crowd: Crowd, request: Request, response: Response): Promise<void> {
  const address = tools.addressOf(request);
  const body = typeof request.body === 'string' && request.body !== '' ? request.body : undefined;
  if (response.locals['guess'] !== true) {
    await handOn(tools, address, body, request, response);
    return;
  }
  const { throttle, signIn } = tools;
  const guess = await whoIsGuessed(request, body, signIn);
  const waitSeconds = throttle.waitSeconds(address, guess);
  if (waitSeconds > 0) throw new Problem('too_many_attempts', { retryAfterSeconds: waitSeconds });
  const network = networkOf(address);
  crowd.enter(network);
  try {
    // Counted before it is tried: fifty at once are fifty.
    throttle.failed(address, guess);
    const status = await handOn(tools, address, body, request, response);
    if (status < 400) throttle.succeeded(address, guess);
    else throttle.answered(address, guess);
  } finally {
    crowd.leave(network);
  }
}

/** To the library and back; gives the status. */
async function handOn(
  tools: DoorTools,
  address: string,
  body: string | undefined,
  request: Request,
  response: Response,
): Promise<number> {
  const { signIn, publicUrl } = tools;
  const headers = new Headers();
  for (const name of ['cookie', 'content-type', 'user-agent', 'accept'] as const) {
    const value = request.headers[name];
    if (value !== undefined) headers.set(name, value);
  }
  // Checked above against the name under which we were called; to the library we have one name.
  headers.set('origin', publicUrl.origin);
  headers.set('x-sekisho-address', address);
  const answer = await signIn.handle(
    new Request(new URL(signInPath + request.url, publicUrl), {
      method: request.method,
      headers,
      ...(body === undefined ? {} : { body }),
    }),
  );
  const lines = answer.headers.getSetCookie();
  const action = request.path.startsWith('/callback/') ? 'person.sign-in' : audited[request.path];
  if (action !== undefined && answer.status < 400) await writeDown(tools, action, address, lines, request);
  response.status(answer.status);
  for (const name of ['content-type', 'location', 'retry-after', 'x-retry-after']) {
    const value = answer.headers.get(name);
    if (value !== null) response.set(name, value);
  }
  response.append('set-cookie', lines);
  response.send(Buffer.from(await answer.arrayBuffer()));
  return answer.status;
}

/** Who it was stands in the cookies that he has now; nobody yet where a second step is to come. */
async function writeDown(
  { signIn, store, now }: DoorTools,
  action: string,
  address: string,
  lines: readonly string[],
  request: Request,
): Promise<void> {
  const fresh = lines.map((line) => line.split(';', 1)[0] ?? '').filter((pair) => !pair.endsWith('='));
  const visit =
    (fresh.length > 0 ? await signIn.visitOf(fresh.join('; ')) : undefined) ??
    (action === 'person.sign-in' ? undefined : await signIn.visitOf(request.headers.cookie ?? ''));
  if (!visit) return;
  const { personId } = visit;
  const author = { actor: `person:${personId}`, at: now() };
  await store.insertAudit(auditEvent(author, action, personId, null, { address }));
}

/** Whose password or code somebody tries: the mailbox, or the visit or challenge that his cookies carry. */
async function whoIsGuessed(request: Request, body: string | undefined, signIn: SignIn): Promise<string> {
  if (request.path === '/sign-in/email') {
    const { email } = readJson(body);
    return (typeof email === 'string' ? normalEmail(email) : undefined) ?? '';
  }
  const cookies = request.headers.cookie ?? '';
  const visit = await signIn.visitOf(cookies);
  if (visit) return visit.personId;
  // The library bounds the tries of a challenge and of a person; this bounds the tries from one address.
  return '';
}

function readJson(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    throw new Problem('not_json');
  }
}

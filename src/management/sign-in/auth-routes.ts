// The sign-in routes for pages: only the routes that the gateway uses, only from its own pages, only with small bodies, and with
// guesses throttled before the library is called.
import express, { type Request, type Response, Router } from 'express';
import type { z } from 'zod';
import { networkOf } from '../../domain/address.ts';
import { normalEmail } from '../../domain/application.ts';
import type { SignInThrottle } from '../../store/ports/sign-in-throttle.ts';
import { limitBody } from '../http/body-limit.ts';
import type { Origins } from '../http/origin.ts';
import { Problem, problemHandler } from '../http/problem.ts';
import { readInput } from '../http/read-input.ts';
import { neverInView } from '../http/view.ts';
import { requirePassword } from '../people/onboarding.ts';
import { type ForwardTools, forward, type SignInRequest } from './forward.ts';
import { HashLimiter } from './hash-limiter.ts';
import type { Session } from './own-route.ts';
import { callback, routes } from './route-list.ts';

export interface AuthRouteTools extends ForwardTools {
  readonly throttle: SignInThrottle;
  readonly origins: Origins;
  readonly addressOf: (request: Request) => string;
  readonly onError: (error: unknown, requestId: string) => void;
}

const bodyBytes = 16 * 1024;

export function authRoutes(tools: AuthRouteTools): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const hashing = new HashLimiter();
  const parse = express.text({ limit: bodyBytes, inflate: false, type: () => true });
  // A session is the operator's own, and what is seen in a view is not.
  router.use(neverInView);
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
    ask(tools, hashing, request, response).catch(next);
  });
  router.use(problemHandler(tools.onError));
  return router;
}

/** The library only checks lengths. @throws Problem, Fault. */
async function requireOwnPassword(
  { store }: AuthRouteTools,
  session: Session | undefined,
  password: unknown,
): Promise<void> {
  const person = session && (await store.findPerson(session.personId));
  if (!person) throw new Problem('unauthenticated');
  requirePassword(String(password), [person.name, person.email]);
}

async function ask(tools: AuthRouteTools, hashing: HashLimiter, request: Request, response: Response): Promise<void> {
  const { throttle, signIn } = tools;
  const { path } = request;
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  const asking: SignInRequest = {
    path,
    route,
    body: route && request.method === 'POST' ? readBody(request.body, route.body) : {},
    address: tools.addressOf(request),
    session: await signIn.sessionOf(request.headers.cookie ?? ''),
  };
  if (route?.how !== 'guess') {
    await forward(tools, asking, request, response);
    return;
  }
  // Before it counts as a guess, because nothing was tried yet.
  if (path === '/change-password') await requireOwnPassword(tools, asking.session, asking.body['newPassword']);
  const { address } = asking;
  const guess = whoIsGuessed(asking);
  const place = await hashing.enter(networkOf(address));
  try {
    const retryAfterSeconds = await throttle.attempt(address, guess);
    if (retryAfterSeconds > 0) throw new Problem('too_many_attempts', { retryAfterSeconds });
    place.begin();
    const status = await forward(tools, asking, request, response);
    await (status < 400 ? throttle.succeeded(address, guess) : throttle.answered(address, guess));
  } finally {
    place.leave();
  }
}

/** Whose password or code is being tried: the mailbox, or the person of the session. */
function whoIsGuessed({ path, body, session }: SignInRequest): string {
  if (path === '/sign-in/email') return normalEmail(String(body['email'])) ?? '';
  // The library limits attempts per challenge and per person; this limits attempts per address.
  return session?.personId ?? '';
}

/** @throws Problem. */
function readBody(sent: unknown, schema: z.ZodType): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(typeof sent === 'string' && sent !== '' ? sent : '{}');
  } catch {
    throw new Problem('not_json');
  }
  return readInput(schema, value, 'body') as Readonly<Record<string, unknown>>;
}

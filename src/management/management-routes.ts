// The routes of the management plane, in order: the encryption check, the record of refused attempts, the API, sign-in, and the
// pages.
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type RequestHandler, Router } from 'express';
import type { AddressBlocks } from '../domain/address.ts';
import { newRequestId } from '../domain/id.ts';
import type { WallMs } from '../domain/time.ts';
import type { RefusedAttempts } from './audit/refused-attempts.ts';
import { addressOf } from './http/authenticate.ts';
import { Problem, sendProblem } from './http/problem.ts';
import { signInPath } from './sign-in/own-route.ts';

export interface ManagementParts {
  readonly api: Router;
  readonly auth: Router;
  readonly pages: Router;
  readonly refused: RefusedAttempts;
  readonly trustedProxies: AddressBlocks;
  readonly now: () => WallMs;
  /** PEM of the gateway's own authority, if it has one; undefined if the gateway does not encrypt. */
  readonly authority: (() => string | undefined) | undefined;
}

export function managementRoutes(parts: ManagementParts): Router {
  const { api, auth, pages, refused, trustedProxies, now, authority } = parts;
  const router = Router({ caseSensitive: true, strict: true });
  if (authority) router.use(['/management', '/portal'], requireEncryption(now));
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
  router.use('/portal', portalHeaders(parts));
  router.use(signInPath, auth);
  router.get(['/', '/portal'], (_request, response) => response.redirect(302, '/portal/'));
  router.get('/portal/authority.crt', sendAuthority(authority));
  router.use('/portal', pages);
  return router;
}

const requireEncryption =
  (now: () => WallMs): RequestHandler =>
  (request, response, next) => {
    if ((request.socket as Partial<TLSSocket>).encrypted === true) next();
    else sendProblem(response, new Problem('tls_required'), newRequestId(now()));
  };

/** Mozilla's recommendation. */
const twoYearsSeconds = 63_072_000;

/** HSTS is only sent for a public name with a public certificate, because this machine may run other servers without encryption. */
const isPublicName = (name: string): boolean => isIP(name) === 0 && name.includes('.') && !name.endsWith('.local');

const portalHeaders =
  ({ authority, now }: Pick<ManagementParts, 'authority' | 'now'>): RequestHandler =>
  (request, response, next) => {
    if (authority && authority() === undefined && isPublicName(request.hostname))
      response.set('strict-transport-security', `max-age=${twoYearsSeconds}`);
    response.set({
      'x-request-id': newRequestId(now()),
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    next();
  };

const sendAuthority =
  (authority: ManagementParts['authority']): RequestHandler =>
  (_request, response) => {
    const pem = authority?.();
    if (pem === undefined) {
      response.status(404).type('text/plain').send('This gateway has no authority of its own.\n');
      return;
    }
    // As bytes: text would get a character set, which certificates do not have.
    response
      .attachment('sekisho-authority.crt')
      .set({ 'content-type': 'application/x-x509-ca-cert' })
      .send(Buffer.from(pem));
  };

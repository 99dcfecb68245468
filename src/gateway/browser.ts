// Keeps browsers from running what a model server sends. The portal has the same origin as the data plane, so a model
// server's page, opened in a browser, could act as the signed-in user. Three independent defences: the data plane
// refuses navigations, answers have media types without scripts (answer-type.ts), and every answer has a policy under
// which a document has no origin and loads nothing.
import { GatewayError } from '../domain/error.ts';
import { asksForTicket } from './services/match-published.ts';
import type { Published } from './services/published.ts';
import type { Transported } from './transport.ts';
import { asksForWebSocket } from './websocket/handshake.ts';
import { isOriginOf } from './websocket/origin.ts';

declare class Mark {
  protected readonly fetched: true;
}
/** Proof that the request was made by a program or a script, not by opening a page. */
export interface Fetched extends Transported, Mark {}

/** Header lines of every answer of the data plane, as name, value, name, value. */
export const answerHeaders: readonly string[] = [
  'x-content-type-options',
  'nosniff',
  // `sandbox` gives a document an opaque origin and runs no script (CSP Level 3 §6.3.2).
  'content-security-policy',
  "sandbox; default-src 'none'; frame-ancestors 'none'",
  // Keeps an answer that was requested without CORS out of other sites' pages (Fetch §3.7).
  'cross-origin-resource-policy',
  'same-origin',
];

/**
 * Refuses what a browser requests to show or run: a page, a frame, a script, an image. Only `fetch` and similar calls
 * have no destination (Fetch Metadata §2.1). Browsers send these fields to trustworthy addresses only; over plain HTTP,
 * a navigation still sends `Upgrade-Insecure-Requests`. @throws GatewayError `no_pages_here`.
 */
export function refuseNavigation(transported: Transported): Fetched {
  const { headers } = transported.request;
  if (transported.published?.hasOwnHost) {
    refuseForeignPage(transported, transported.published);
    return transported as Fetched;
  }
  const destination = headers['sec-fetch-dest'];
  if (
    (destination !== undefined && destination !== 'empty' && destination !== 'websocket') ||
    headers['sec-fetch-mode'] === 'navigate' ||
    headers['upgrade-insecure-requests'] !== undefined
  )
    throw new GatewayError('no_pages_here');
  return transported as Fetched;
}

/**
 * A service with its own host has pages, and browsers repeat the key that its user has given for them, also when another
 * site's page asks (RFC 7617). So a request of another site's page must be a plain navigation, or come from an origin that
 * the route lists. @throws GatewayError `foreign_page`.
 */
function refuseForeignPage({ method, target, request }: Transported, published: Published): void {
  // These have a list of their own, whatever the page (websocket/origin.ts).
  if (asksForWebSocket(request) || asksForTicket(published, method, target)) return;
  const { origins } = published.cors;
  const { headers } = request;
  const { origin, host, 'sec-fetch-site': site, 'sec-fetch-mode': mode } = headers;
  if (origin !== undefined && origins.has(origin)) return;
  if (origin !== undefined && isOriginOf(origin, host)) return;
  const isForeign = site === undefined ? origin !== undefined : site === 'cross-site' || site === 'same-site';
  const isLink =
    (method === 'GET' || method === 'HEAD') && mode === 'navigate' && headers['sec-fetch-dest'] === 'document';
  if (isForeign && !isLink) throw new GatewayError('foreign_page');
}

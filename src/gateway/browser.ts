// Keeps browsers from running what a model server says. The portal lives on the same origin as the data plane, so a page of
// a model server's that a browser opened here could act as the person who is signed in. Three bars, each enough by itself:
// nothing of the data plane is opened as a page, answers have media types that hold no script (answer-type.ts), and every
// answer carries a policy under which a document has no origin and loads nothing.
import { GatewayError } from '../domain/error.ts';
import type { Transported } from './transport.ts';

declare class Mark {
  protected readonly fetched: true;
}
/** The request was made by a program, or by a script in a page, and not by opening a page. */
export interface Fetched extends Transported, Mark {}

/** Lines of every answer of the data plane, as name, value, name, value. */
export const answerHeaders: readonly string[] = [
  'x-content-type-options',
  'nosniff',
  // `sandbox` gives a document an origin of its own and runs no script (CSP Level 3, section 6.3.2).
  'content-security-policy',
  "sandbox; default-src 'none'; frame-ancestors 'none'",
  // Keeps an answer out of other sites' pages where it was asked for without CORS (Fetch, section 3.7).
  'cross-origin-resource-policy',
  'same-origin',
];

/**
 * Refuses what a browser asks for in order to show or run it: a page, a frame, a script, an image. Only `fetch` and its
 * like have no destination (Fetch Metadata, section 2.1). Browsers send these fields to trustworthy addresses alone; over
 * plain HTTP a navigation still says `Upgrade-Insecure-Requests`. @throws GatewayError `no_pages_here`.
 */
export function refuseNavigation(transported: Transported): Fetched {
  const { headers } = transported.request;
  const destination = headers['sec-fetch-dest'];
  if (
    (destination !== undefined && destination !== 'empty' && destination !== 'websocket') ||
    headers['sec-fetch-mode'] === 'navigate' ||
    headers['upgrade-insecure-requests'] !== undefined
  )
    throw new GatewayError('no_pages_here');
  return transported as Fetched;
}

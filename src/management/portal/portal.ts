// Serves the built files of the portal and its one page, with a content security policy that only allows the portal's own
// scripts and styles, with a new nonce for every answer.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type NextFunction, type Request, type Response, Router } from 'express';
import { type Logo, logoOf, logoTag } from '../../domain/logo.ts';
import type { LiveSettings } from '../../settings/live.ts';
import type { Origins } from '../http/origin.ts';
import type { SharedAnswers } from '../http/send.ts';
import { StaticFiles } from './static-files.ts';

const hourSeconds = 3600;

interface ServedLogo extends Logo {
  readonly etag: string;
}

function servedLogoOf(value: string): ServedLogo | undefined {
  const logo = logoOf(value);
  return logo && { ...logo, etag: `"${logoTag(value)}"` };
}

/** Opened by itself, an SVG is a document: it may load and run nothing, and has no origin (CSP 3, sandbox). */
function sendLogo({ type, bytes, etag }: ServedLogo, request: Request, response: Response): void {
  response.set({
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    'cache-control': 'no-cache',
    etag,
  });
  if (request.headers['if-none-match']?.includes(etag) === true) response.status(304).end();
  else response.type(type).send(bytes);
}

const policyWith = (nonce: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    // Inline styles that scripts set on elements; they contain no rules and load nothing.
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

/** `directory` contains index.html and assets/; without it, the gateway tells how to build it. */
export function portalPages(directory: string, origins: Origins, shared: SharedAnswers, live: LiveSettings): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const file = join(directory, 'index.html');
  const page = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  const files = page === undefined ? undefined : new StaticFiles(directory, shared);
  router.use((_request, response, next) => {
    response.set({
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
      'x-frame-options': 'DENY',
    });
    next();
  });
  const logo = live.derive((values) => servedLogoOf(values.logo));
  router.use((request: Request, response: Response, next: NextFunction) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.set('allow', 'GET, HEAD').status(405).json({ error: 'Pages are read.' });
      return;
    }
    if (request.path === '/logo') {
      if (logo.now) sendLogo(logo.now, request, response);
      else response.status(404).type('text/plain').send('There is no logo.\n');
      return;
    }
    // Names under assets/ change with their content.
    const cache = request.path.startsWith('/assets/')
      ? 'public, max-age=31536000, immutable'
      : `max-age=${hourSeconds}`;
    if (!files?.answer(request.path, cache, request, response)) next();
  });
  router.use((request: Request, response: Response) => {
    if (/\.[a-z0-9]{1,8}$/i.test(request.path)) {
      response.status(404).type('text/plain').send('There is no such file.\n');
      return;
    }
    if (!origins.knows(request)) {
      const sentence =
        'This gateway does not know itself by that name. Its operator sets PUBLIC_URL to the address of its pages.\n';
      response.status(421).type('text/plain').send(sentence);
      return;
    }
    if (page === undefined) {
      response.status(503).type('text/plain').send('The pages are not built. Run: npm run build:portal\n');
      return;
    }
    const nonce = randomBytes(16).toString('base64');
    response.set({ 'content-security-policy': policyWith(nonce), 'cache-control': 'no-store' });
    response.type('text/html').send(page.replace('@nonce@', nonce).replace('@accent@', live.now.accentColor));
  });
  return router;
}

// The listener: limits on what a connection may do, the shell for the few routes that are not the data plane, and an
// orderly end. Express carries the shell; a model request goes straight to the pipeline, because walking Express's
// router would cost it a third of its throughput for nothing (docs/decisions/0002).
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import express from 'express';
import { newRequestId } from './domain/id.ts';
import { type Gate, handle } from './gateway/pipeline.ts';
import { maxHeaders } from './gateway/receive.ts';

export interface ServerSettings {
  readonly headMs: number;
  readonly idleMs: number;
  readonly maxConnections: number;
}

export interface Health {
  /** The gate lives. */
  readonly live: () => boolean;
  /** Every part that is needed to answer, by name. */
  readonly ready: () => Promise<Record<string, boolean>>;
}

export function openServer(
  gate: Gate,
  health: Health,
  plane: express.RequestHandler,
  settings: ServerSettings,
): Server {
  const shell = openShell(health, plane);
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    if (isShell(request)) shell(request, response);
    else void handle(gate, request, response);
  };
  const server = createServer(
    {
      headersTimeout: settings.headMs,
      // The whole request may take long (blobs); the body of every other route has a time limit of its own.
      requestTimeout: 0,
      // Node enforces its limits only when it looks; its default is to look every 30 s.
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: settings.idleMs,
      maxHeaderSize: 16 * 1024,
      requireHostHeader: false,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      highWaterMark: 64 * 1024,
    },
    onRequest,
  );
  server.maxHeadersCount = maxHeaders;
  server.maxRequestsPerSocket = 100_000;
  server.maxConnections = settings.maxConnections;
  // Without this listener Node says "100 Continue" before anybody has asked who is calling.
  server.on('checkContinue', onRequest);
  server.on('connect', (_request, socket) => answerRaw(socket, 405));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => answerClientError(error, socket));
  return server;
}

/**
 * Stops listening, closes what is idle or never said a word, and resolves when the last connection is gone. Answers that
 * still run are not touched: whoever drains decides when they end.
 */
export function stopListening(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  return closed;
}

/** Everything that is not a model request; a browser at the front door is led to the pages. */
function isShell({ url = '', method, headers }: IncomingMessage): boolean {
  switch (url.charCodeAt(1)) {
    case 104:
      return url === '/healthz';
    case 114:
      return url === '/readyz';
    case 109:
      return url.startsWith('/management/');
    case 112:
      return url === '/portal' || url.startsWith('/portal/') || url.startsWith('/portal?');
    default:
      return url === '/' && method === 'GET' && (headers.accept ?? '').includes('text/html');
  }
}

function openShell(health: Health, plane: express.RequestHandler): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.enable('case sensitive routing').enable('strict routing');
  app.use(plane);
  app.use((_request, response, next) => {
    const id = newRequestId(Date.now());
    response.set({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store', 'x-request-id': id });
    next();
  });
  app.get(
    '/healthz',
    (_request, response) => void response.status(health.live() ? 200 : 503).json({ live: health.live() }),
  );
  app.get('/readyz', async (_request, response) => {
    const parts = await health.ready();
    response.status(Object.values(parts).every(Boolean) ? 200 : 503).json(parts);
  });
  app.use(
    (_request, response) =>
      void response.status(405).set('allow', 'GET, HEAD').json({ error: 'This route does not answer that method.' }),
  );
  app.use((_error: unknown, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
    if (!response.headersSent) response.status(500).json({ error: 'Something went wrong inside the gate.' });
    else response.destroy();
  });
  return app;
}

/** What Node's parser refused. Where an answer has begun on this socket, a second one must not be written into it. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  const begun = (socket as { _httpMessage?: { headersSent: boolean } })._httpMessage?.headersSent === true;
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  if (begun) {
    // What was said already may still be on its way; it goes out, and the cut end tells the rest.
    (socket as Socket).destroySoon();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 431
      : error.code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW'
        ? 413
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? 408
          : 400;
  answerRaw(socket, status);
}

function answerRaw(socket: Duplex, status: number): void {
  const body = JSON.stringify({ error: STATUS_CODES[status] });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `X-Request-Id: ${newRequestId(Date.now())}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

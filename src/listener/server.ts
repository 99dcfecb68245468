// The listener: limits on what a connection may do, the shell for the few routes that are not the data plane, and an
// orderly end. Express carries the shell; a model request goes straight to the pipeline, because walking Express's
// router would cost it a third of its throughput for nothing (docs/decisions/0002).
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerOptions,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import express from 'express';
import { newRequestId } from '../domain/id.ts';
import { reset } from '../gateway/answer/cut-off.ts';
import { isWhole } from '../gateway/answer/unread.ts';
import { answerHeaders } from '../gateway/browser.ts';
import { continueIfAsked } from '../gateway/payload/body.ts';
import { type Gate, handle } from '../gateway/pipeline.ts';
import { maxHeaders } from '../gateway/receive.ts';
import type { CallerSocket } from '../gateway/websocket/caller-socket.ts';
import { type Encryption, openSecure, ProtocolDetector } from '../tls/protocol-detection.ts';
import type { ConnectionLimiter } from './connection-limiter.ts';
import { type MayUpgrade, takeUpgrades, upgradesOf } from './upgrades.ts';

export interface ServerSettings {
  readonly headMs: number;
  readonly idleMs: number;
}

export interface Health {
  /** The gate lives. */
  readonly live: () => boolean;
  /** Every part that is needed to answer, by name; and whether new calls are refused for maintenance. */
  readonly ready: () => Promise<{ readonly parts: Record<string, boolean>; readonly maintenance: boolean }>;
}

/** What listens: one port, whatever is spoken there. */
export type Listener = Server & Pick<HttpServer, 'closeIdleConnections' | 'closeAllConnections'>;

/** What those get who come without encryption to a gate that encrypts. */
export interface Unencrypted {
  /** What an authority wants to read under /.well-known/acme-challenge/<token>; undefined where it asks for something else. */
  readonly answerTo: (token: string) => Promise<string | undefined>;
  /** Where a browser finds, encrypted, what it asked for without. */
  readonly pageFor: (request: IncomingMessage) => string;
}

/** What requests lead to. */
export interface Routes {
  readonly gate: Gate;
  readonly health: Health;
  /** The pages and the API beside them. */
  readonly plane: express.RequestHandler;
  /** Needed where the gate encrypts. */
  readonly unencrypted: Unencrypted | undefined;
}

export interface Servers {
  readonly listener: Listener;
  /** Plain HTTP, for a second port: words of refusal, ways to the pages, and what an authority wants to see. */
  readonly plain: HttpServer | undefined;
  /**
   * Says, once, where requests go. The pages have to know the port, so it is bound before they are made; the caller comes
   * from `listen` to here without giving the event loop a turn, and so before a first connection can be accepted.
   */
  serve(routes: Routes): void;
}

/** Servers that can listen, and have no routes yet. */
export function openServers(
  settings: ServerSettings,
  connections: ConnectionLimiter,
  encryption: Encryption | undefined,
): Servers {
  let mayUpgrade: MayUpgrade = () => false;
  const options = optionsOf(settings, (request) => mayUpgrade(request));
  const onConnection = (socket: Socket): void => connections.take(socket);
  if (!encryption) {
    const listener = limit(createServer(options)).on('connection', onConnection);
    return {
      listener,
      plain: undefined,
      serve: (routes) => {
        mayUpgrade = upgradesOf(routes.gate);
        route(listener, answering(routes, connections), connections);
      },
    };
  }
  const secure = limit(openSecure(options, encryption));
  const plain = limit(createServer(options));
  secure.prependListener('connection', (socket) => connections.shake(socket));
  secure.prependListener('secureConnection', (socket) => connections.follow(socket));
  // A client certificate that was accepted may have been revoked since.
  encryption.certificates.onTrust(() => connections.renew());
  const listener = new ProtocolDetector(secure, plain, encryption).on('connection', onConnection);
  plain.on('connection', onConnection);
  return {
    listener,
    plain,
    serve: (routes) => {
      const { unencrypted } = routes;
      const answer = answering(routes, connections);
      mayUpgrade = upgradesOf(routes.gate);
      route(secure, answer, connections);
      const answerPlain: Answer = (request, response, upgrade) => {
        const hasPages = !routes.gate.services.table.ownsHost(request.headers.host);
        if (!unencrypted || !answerUnencrypted(request, response, unencrypted, hasPages))
          answer(request, response, upgrade);
      };
      route(plain, answerPlain, connections);
    },
  };
}

type Answer = (request: IncomingMessage, response: ServerResponse, upgrade?: CallerSocket) => void;

function answering({ gate, health, plane }: Routes, connections: ConnectionLimiter): Answer {
  const shell = openShell(health, plane);
  return (request, response, upgrade) => {
    const { socket } = request;
    connections.inTurn(socket, () => {
      if (!isShell(request) || gate.services.table.ownsHost(request.headers.host))
        return handle(gate, request, response, upgrade);
      connections.mayGo(socket);
      response.setTimeout(unreadMs, () => response.destroy());
      // Bodies are small there, so 100 Continue is sent before authentication.
      continueIfAsked({ request }, response);
      shell(request, response);
      return new Promise((resolve) => response.once('close', () => resolve(false)));
    });
  };
}

function optionsOf(settings: ServerSettings, mayUpgrade: MayUpgrade): ServerOptions {
  return {
    // Node takes the connection of every other upgrade for that of a plain request, which it is.
    shouldUpgradeCallback: mayUpgrade,
    headersTimeout: settings.headMs,
    // The whole request may take long (blobs); the body of every other route has a time limit of its own.
    requestTimeout: 0,
    // Node enforces its limits only when it looks; its default is to look every 30 s. All whose time is over by then are
    // told in one go, and a crowd that came in one second must not hold everybody else up.
    connectionsCheckingInterval: 250,
    keepAliveTimeout: settings.idleMs,
    maxHeaderSize: 16 * 1024,
    requireHostHeader: false,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    highWaterMark: 64 * 1024,
  };
}

/** How long a page waits for a reader who takes nothing of it. */
const unreadMs = 60_000;

/** The limits that are the same for every server of ours. */
function limit<Any extends HttpServer>(server: Any): Any {
  server.maxHeadersCount = maxHeaders;
  server.maxRequestsPerSocket = 100_000;
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => answerRaw(socket, 405));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => answerClientError(error, socket));
  return server;
}

function route(server: HttpServer, answer: Answer, connections: ConnectionLimiter): void {
  const answerRequest = (request: IncomingMessage, response: ServerResponse): void => answer(request, response);
  server.on('request', answerRequest);
  // Without this listener Node says "100 Continue" before anybody has asked who is calling.
  server.on('checkContinue', answerRequest);
  takeUpgrades(
    server,
    connections,
    (request, upgrade) => answer(request, upgrade.response, upgrade),
    (socket) => answerRaw(socket, 400),
  );
}

const challengePath = '/.well-known/acme-challenge/';

/**
 * Without encryption: an authority's question is answered, and a browser that wants a page is led to it. Everything else
 * goes on and is refused where it gets to: a redirect would only make the caller send the key in plain text first.
 */
function answerUnencrypted(
  request: IncomingMessage,
  response: ServerResponse,
  { answerTo, pageFor }: Unencrypted,
  hasPages: boolean,
): boolean {
  const { url = '', method } = request;
  if (method !== 'GET' && method !== 'HEAD') return false;
  if (url.startsWith(challengePath)) {
    void answerTo(url.slice(challengePath.length)).then(
      (text) =>
        response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'application/octet-stream' }).end(text),
      () => response.writeHead(500).end(),
    );
    return true;
  }
  if (!hasPages || !isPage(request)) return false;
  response.writeHead(308, { location: pageFor(request), 'cache-control': 'no-store' }).end();
  return true;
}

const isPage = ({ url = '', headers }: IncomingMessage): boolean =>
  url === '/portal' || /^\/portal[/?]/.test(url)
    ? !url.startsWith('/portal/auth')
    : url === '/' && (headers.accept ?? '').includes('text/html');

/** @throws ListenFailed with a sentence for the operator who started the gate. */
export function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(new ListenFailed(portSentence(error, port, host)));
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

/** The port could not be had. */
export class ListenFailed extends Error {
  override readonly name = 'ListenFailed';
}

function portSentence(error: NodeJS.ErrnoException, port: number, host: string): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is taken. Stop the other program, or set PORT to a free one.`;
    case 'EACCES':
      return `Port ${port} needs more rights than this user has. Set PORT to 1024 or higher.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is not an address of this machine. Set HOST to one that is.`;
    default:
      return `The gate cannot listen on ${host}:${port}: ${error.message}.`;
  }
}

/**
 * Stops listening, closes what is idle or never said a word, and resolves when the last connection is gone. Answers that
 * still run are not touched: the caller, who drains, decides when they end.
 */
export function stopListening(server: Listener): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  return closed;
}

/** Did it come within that time? */
export async function within(ms: number, event: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const result = await Promise.race([event.then(() => true as const), late]);
  clearTimeout(timer);
  return result;
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
    // Maintenance is no failure: a balancer that left the gate out would keep the operator's sentence from callers, and
    // the pages and the management API from operators.
    const { parts, maintenance } = await health.ready();
    response.status(Object.values(parts).every(Boolean) ? 200 : 503).json({ ...parts, maintenance });
  });
  app.use(
    (_request, response) =>
      void response.status(405).set('allow', 'GET, HEAD').json({ error: 'This route does not accept that method.' }),
  );
  app.use((_error: unknown, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
    if (!response.headersSent) response.status(500).json({ error: 'An internal error occurred in the gateway.' });
    else response.destroy();
  });
  return app;
}

/** What Node's parser refused. Where an answer has begun on this socket, a second one must not be written into it. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  const said = (socket as { _httpMessage?: ServerResponse })._httpMessage;
  // A connection that never sent a byte gets no answer; there can be thousands of them at once.
  if (error.code === 'ECONNRESET' || !socket.writable || (socket as Socket).bytesRead === 0) {
    socket.destroy();
    return;
  }
  if (said?.headersSent === true) {
    // What was said already may still be on its way; it goes out, and the cut end tells the rest. Where a clean end of the
    // connection would be the end of the answer, it is reset.
    if (said.chunkedEncoding || isWhole(said)) (socket as Socket).destroySoon();
    else reset(socket as Socket);
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

/** How long a client that was told to close may keep its connection. */
const lingerMs = 2_000;

const answerLines = answerHeaders.map((text, at) => text + (at % 2 === 0 ? ': ' : '\r\n')).join('');

function answerRaw(socket: Duplex, status: number): void {
  // Of a CONNECT Node has let go entirely: an error there without a listener would end the process.
  socket.on('error', () => socket.destroy());
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer)).resume();
  const body = JSON.stringify({ error: STATUS_CODES[status] });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `X-Request-Id: ${newRequestId(Date.now())}\r\n` +
      answerLines +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

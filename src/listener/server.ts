// The listener: limits of connections, the routes outside the data plane, and an orderly shutdown. Express serves those routes;
// a model request goes directly to the pipeline, because Express's router would cost it a third of its throughput
// (docs/decisions/0002).
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerOptions,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import express from 'express';
import { newRequestId } from '../domain/id.ts';
import { reset } from '../gateway/answer/cut-off.ts';
import { isWhole } from '../gateway/answer/unread.ts';
import { answerHeaders } from '../gateway/browser.ts';
import { continueIfAsked } from '../gateway/payload/body.ts';
import { type Gate, handle } from '../gateway/pipeline.ts';
import { hasSoundHead, maxHeaders } from '../gateway/receive.ts';
import type { CallerSocket } from '../gateway/websocket/caller-socket.ts';
import { joinWrites } from '../one-write.ts';
import { type Encryption, openSecure, ProtocolDetector } from '../tls/protocol-detection.ts';
import type { ConnectionLimiter } from './connection-limiter.ts';
import { type MayUpgrade, takeUpgrades, upgradesOf } from './upgrades.ts';

export interface ServerSettings {
  readonly headMs: number;
  readonly idleMs: number;
}

export interface Health {
  /** The liveness of the gateway. */
  readonly live: () => boolean;
  /** The readiness of every part that is needed to answer, and whether new calls are refused for maintenance. */
  readonly ready: () => Promise<{ readonly parts: Record<string, boolean>; readonly maintenance: boolean }>;
}

/** A listener on one port, for any protocol. */
export type Listener = Server & Pick<HttpServer, 'closeIdleConnections' | 'closeAllConnections'>;

/** The answers to plain HTTP on a gateway that encrypts. */
export interface Unencrypted {
  /** The content of /.well-known/acme-challenge/<token> for an authority; undefined for unknown tokens. */
  readonly answerTo: (token: string) => Promise<string | undefined>;
  /** The https address of a page that was requested over plain HTTP. */
  readonly pageFor: (request: IncomingMessage) => string;
}

/** The handlers of requests. */
export interface Routes {
  readonly gate: Gate;
  readonly health: Health;
  /** The pages and the management API. */
  readonly plane: express.RequestHandler;
  /** Required if the gateway encrypts. */
  readonly unencrypted: Unencrypted | undefined;
}

export interface Servers {
  readonly listener: Listener;
  /** Plain HTTP on a second port: refusals, redirects to pages, and ACME challenges. */
  readonly plain: HttpServer | undefined;
  readonly connections: ConnectionLimiter;
  /**
   * Sets the handlers, once. The pages need to know the port, so it is bound before they are created. The caller gets from
   * `listen` to here without a turn of the event loop, so no connection can be accepted in between.
   */
  serve(routes: Routes): void;
}

/** Servers that can listen but have no routes yet. */
export function openServers(
  settings: ServerSettings,
  connections: ConnectionLimiter,
  encryption: Encryption | undefined,
): Servers {
  let mayUpgrade: MayUpgrade = () => false;
  const options = optionsOf(settings, (request) => mayUpgrade(request));
  const onConnection = (socket: Socket): void => connections.take(joinWrites(socket));
  if (!encryption) {
    const listener = limit(createServer(options)).on('connection', onConnection);
    return {
      listener,
      plain: undefined,
      connections,
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
  // An accepted client certificate may have been revoked in the meantime.
  encryption.certificates.onTrust(() => connections.renew());
  const listener = new ProtocolDetector(secure, plain, encryption).on('connection', onConnection);
  plain.on('connection', onConnection);
  return {
    listener,
    plain,
    connections,
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
    connections.inTurn(socket, response, () => {
      // Refused there as for any other route.
      if (!isShell(request) || gate.services.table.ownsHost(request.headers.host) || !hasSoundHead(request))
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
    // Node treats every other upgrade as a plain request, which it is.
    shouldUpgradeCallback: mayUpgrade,
    headersTimeout: settings.headMs,
    // A whole request can take long (blobs); the body of every other route has its own time limit.
    requestTimeout: 0,
    // Node enforces its limits periodically, by default every 30 s, and handles all expired connections at once. A shorter interval
    // prevents a large group of connections from blocking the event loop.
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

/** How long the answer of a page waits for a stalled reader. */
const unreadMs = 60_000;

/** The limits of every server. */
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
  // Without this listener, Node sends "100 Continue" before authentication.
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
 * Plain HTTP: ACME challenges are answered, and browsers that request a page are redirected. Other requests continue and are
 * refused, because a redirect would let callers keep sending keys unencrypted.
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

/** The port could not be bound. */
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
      return `The gateway cannot listen on ${host}:${port}: ${error.message}.`;
  }
}

/** More connections than wait at once on a system with the usual limits. */
const mostWaiting = 5_000;

/** Accepts the connections that the system has made so far; it resets those that wait when listening ends. */
export async function acceptWaiting(server: Listener): Promise<void> {
  let accepted = false;
  const onConnection = (): void => void (accepted = true);
  server.on('connection', onConnection);
  // Node accepts as few as one in a turn of the event loop, and none in the rest of the current one.
  for (let turn = 0; turn < 2 || (accepted && turn < mostWaiting); turn++) {
    accepted = false;
    await nextTurn();
  }
  server.off('connection', onConnection);
}

/** Accepts no more connections, and resolves when the last one is closed. The caller decides when they end. */
export function stopListening(server: Listener): Promise<void> {
  // The `close` of node:http would also cut connections on which a request is on its way.
  return new Promise((resolve) => void Server.prototype.close.call(server, () => resolve()));
}

/** Whether it settled within that time. */
export async function within(ms: number, event: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const result = await Promise.race([event.then(() => true as const), late]);
  clearTimeout(timer);
  return result;
}

/** Everything that is not a model request; browsers that open `/` are redirected to the pages. */
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
    // Maintenance is not a failure: a load balancer that removed the gateway would hide the operator's message from callers,
    // and the
    // pages and the management API from operators.
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

/** Handles requests that Node's parser refused. If an answer has started on this socket, no second one may be written. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  const said = (socket as { _httpMessage?: ServerResponse })._httpMessage;
  // A connection that never sent a byte gets no answer; there can be thousands of them.
  if (error.code === 'ECONNRESET' || !socket.writable || (socket as Socket).bytesRead === 0) {
    socket.destroy();
    return;
  }
  if (said?.headersSent === true) {
    // Bytes of the answer may still be buffered; they are sent before the connection is cut. If a clean close would mark the
    // end of the
    // answer, the connection is reset.
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

/** How long a client may keep its connection after it was told to close. */
const lingerMs = 2_000;

const answerLines = answerHeaders.map((text, at) => text + (at % 2 === 0 ? ': ' : '\r\n')).join('');

function answerRaw(socket: Duplex, status: number): void {
  // Node has detached the socket of a CONNECT; an error without a listener would end the process.
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

// The rows of the management API on Express: who calls, whether they may, whether what they sent is right, and then the
// use case. Every way out that is not the answer is a problem.
import { once } from 'node:events';
import express, { type NextFunction, type Request, type Response, Router } from 'express';
import type { z } from 'zod';
import { digestOf } from '../../domain/api-key.ts';
import { newRequestId } from '../../domain/id.ts';
import { isBound } from '../../domain/key-bounds.ts';
import {
  addressOf,
  anybody,
  authenticate,
  type Caller,
  type Entrance,
  refuseUnentitled,
  stillStands,
} from './authenticate.ts';
import { dropBody, limitBody } from './body-limit.ts';
import type { AnyCall, Call, Endpoint, RequestContext } from './endpoint.ts';
import { openApi } from './openapi.ts';
import { Paces } from './pace.ts';
import { languageOf, Problem, sendProblem, toProblem } from './problem.ts';
import { referencePage } from './reference.ts';
import { sendShared } from './send.ts';

export interface ApiTools extends RequestContext {
  readonly entrance: Entrance;
  readonly endpoints: readonly Endpoint[];
  /** Something was changed: what the data plane remembers may be old. */
  readonly onChange: () => void;
  readonly onError: (error: unknown, requestId: string) => void;
}

const bodyBytes = 256 * 1024;

export function managementApi(tools: ApiTools): Router {
  const router = Router({ caseSensitive: true, strict: true });
  let document: Buffer | undefined;
  let page: Buffer | undefined;
  router.use((_request, response, next) => {
    response.locals['id'] = newRequestId(tools.now());
    response.set({
      'x-request-id': response.locals['id'] as string,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
    });
    next();
  });
  router.get('/openapi.json', (request, response) => {
    document ??= Buffer.from(JSON.stringify(openApi(tools.endpoints)));
    sendShared(document, 'application/json; charset=utf-8', request, response);
  });
  router.get('/', (request, response) => {
    page ??= Buffer.from(referencePage(tools.endpoints));
    sendShared(page, 'text/html; charset=utf-8', request, response);
  });
  const pacing = new Paces(tools.nowMs);
  const parse = express.json({ limit: bodyBytes, strict: true, inflate: false, type: () => true });
  for (const row of tools.endpoints) {
    // Who calls is asked before a body is read.
    router[row.method](
      row.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      (request, response, next) => {
        enter(row, tools, pacing, request, response).then(() => next(), next);
      },
      ...(row.body ? [parse] : []),
      (request, response, next) => {
        answer(row, tools, request, response).catch(next);
      },
    );
  }
  for (const path of new Set(tools.endpoints.map((row) => row.path))) {
    const allow = tools.endpoints.filter((row) => row.path === path).map((row) => row.method.toUpperCase());
    router.all(path.replaceAll(/\{(\w+)\}/g, ':$1'), () => {
      throw new Problem('method_not_allowed', { allow: allow.join(', ') });
    });
  }
  router.use(() => {
    throw new Problem('not_found');
  });
  router.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    const problem = toProblem(error);
    const id = response.locals['id'] as string;
    if (problem.code === 'internal' || problem.code === 'store_unusable') tools.onError(error, id);
    if (response.headersSent) response.destroy();
    else sendProblem(response, problem, id);
  });
  return router;
}

/** Who calls, whether they may and not too often, and that a body will come in time. */
async function enter(
  row: Endpoint,
  tools: ApiTools,
  pacing: Paces,
  request: Request,
  response: Response,
): Promise<void> {
  // Before anything is waited for: whoever leaves meanwhile is not heard leaving afterwards.
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.locals['gone'] = gone.signal;
  const address = addressOf(request, tools.entrance);
  pacing.fromSource(row.pace, address);
  const caller = await authenticate(request, tools.entrance, row.needs);
  if (caller !== anybody) {
    const leave = pacing.enter(row.pace, caller.id);
    if (gone.signal.aborted) leave();
    else gone.signal.addEventListener('abort', leave);
  }
  response.locals['caller'] = caller;
  refuseUnentitled(caller, row.needs, row.fresh === 'always');
  const type = request.headers['content-type'];
  if (row.body && type !== undefined && !/^application\/json\b/i.test(type))
    throw new Problem('unsupported_media_type');
  if (row.body) limitBody(request, response, bodyBytes);
  else if (!request.complete) {
    // A body that nobody asked for has no meaning (RFC 9110 §9.3.1): waiting for it would let the caller choose when the answer
    // is made, after the right to it was looked at. What still comes of it is thrown away, and the connection ends; what
    // comes without end is not read as long as a stream of events may live.
    response.set('connection', 'close');
    dropBody(request, bodyBytes);
  }
}

interface Asked {
  readonly query: unknown;
  readonly body: unknown;
}

async function answer(row: Endpoint, tools: ApiTools, request: Request, response: Response): Promise<void> {
  const caller = response.locals['caller'] as Caller;
  const asked = {
    query: row.query ? read(row.query, request.query, 'query') : {},
    body: row.body ? read(row.body, request.body ?? {}, 'body') : undefined,
  };
  if (row.stream) {
    const stands = async (): Promise<boolean> => {
      try {
        refuseUnentitled(await stillStands(caller, request, tools.entrance, tools.store), row.needs);
        return true;
      } catch (error) {
        if (error instanceof Problem) return false;
        throw error;
      }
    };
    await sendStream(row.stream, callOf(tools, caller, asked, request, response), response, stands);
    return;
  }
  const { status, body } = row.atomic
    ? await tools.store.atomically((store) => carryOut(row, { ...tools, store }, caller, asked, request, response))
    : await carryOut(row, tools, caller, asked, request, response);
  if (row.method !== 'get') tools.onChange();
  if (body === undefined) response.status(204).end();
  else {
    if (row.creates && status === 200) response.set('idempotency-replayed', 'true');
    send(response, status, body);
  }
}

function callOf(tools: ApiTools, caller: Caller, asked: Asked, request: Request, response: Response): AnyCall {
  const call: Call<Record<string, string>, unknown, unknown> = {
    ...tools,
    ...asked,
    address: addressOf(request, tools.entrance),
    language: languageOf(request),
    caller,
    openVisit: async (id) => {
      const from = {
        address: addressOf(request, tools.entrance),
        userAgent: (request.headers['user-agent'] ?? '').slice(0, 500),
      };
      response.append('set-cookie', [...(await tools.signIn.openVisit(id, from))]);
    },
    author: {
      actor: caller.key ? `key:${caller.key.id}` : caller.person ? `person:${caller.person.id}` : 'anybody',
      at: tools.now(),
    },
    params: request.params as Record<string, string>,
  };
  return call as AnyCall;
}

/**
 * Does it, if the caller still may: the body has taken its time since the head was looked at, and `tools.store` is that of
 * the transaction in which it is done.
 */
async function carryOut(
  row: Endpoint,
  tools: ApiTools,
  before: Caller,
  asked: Asked,
  request: Request,
  response: Response,
): Promise<Done> {
  const caller = row.method === 'get' ? before : await stillStands(before, request, tools.entrance, tools.store);
  refuseUnentitled(caller, row.needs, row.fresh === 'always');
  const call = callOf(tools, caller, asked, request, response);
  if (typeof row.fresh === 'function' && !caller.fresh && (await row.fresh(call))) throw new Problem('sign_in_again');
  await refuseBound(row, call);
  const seen = request.headers['if-match'];
  if (row.creates) return createOnce(row, call, request.headers['idempotency-key'], seen);
  await refuseStale(row, call, seen);
  return { status: 200, body: await row.run(call) };
}

/** No authority grows through a key. @throws Problem `forbidden`. */
async function refuseBound({ boundKeys }: Endpoint, call: AnyCall): Promise<void> {
  const { key } = call.caller;
  if (!key || boundKeys === 'may' || !isBound(key)) return;
  if (typeof boundKeys === 'function' && (await boundKeys(call))) return;
  throw new Problem('forbidden', {
    detail:
      'A key that ends, or is bound to networks, models, a certificate or limits, lets nobody in, gives nobody more, and frees nobody.',
  });
}

/** How often a stream asks whether whoever reads it still may. */
const standingMs = 1_000;
/** How long a stream waits for somebody who does not read it. */
const readerMs = 30_000;

async function sendStream(
  { type, file, pieces }: NonNullable<Endpoint['stream']>,
  call: AnyCall,
  response: Response,
  stands: () => Promise<boolean>,
): Promise<void> {
  const lost = new AbortController();
  const gone = AbortSignal.any([response.locals['gone'] as AbortSignal, lost.signal]);
  response.status(200).set('content-type', `${type}; charset=utf-8`);
  if (file !== undefined) response.set('content-disposition', `attachment; filename="${file}"`);
  // A head alone was asked for (RFC 9110 §9.3.2): no text is made for it, and it ends though events never do.
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  // Whoever waits for events learns that they will come.
  if (type === 'text/event-stream') response.flushHeaders();
  const cut = (): void => {
    response.destroy();
  };
  const takeAway = (): void => {
    lost.abort();
    // Events end anywhere, for a reader who reads them; half a table must not look like a whole one.
    if (type === 'text/event-stream') {
      response.end();
      setTimeout(cut, standingMs).unref();
    } else cut();
  };
  // Beside the pieces and not between them: none may come for a while, and a reader may let one wait.
  const watch = setInterval(() => {
    stands().then((still) => {
      if (!still && !gone.aborted) takeAway();
    }, cut);
  }, standingMs);
  try {
    for await (const piece of pieces(call, gone)) {
      if (gone.aborted) return;
      if (response.write(piece)) continue;
      const patience = AbortSignal.timeout(readerMs);
      await once(response, 'drain', { signal: AbortSignal.any([gone, patience]) }).catch(() => undefined);
      if (patience.aborted && !gone.aborted) cut();
    }
  } finally {
    clearInterval(watch);
  }
  if (!gone.aborted) response.end();
}

function send(response: Response, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.set('etag', etagOf(body)).status(status).type('application/json').send(text);
}

/** The representation's own name: it changes when, and only when, what stands there does. */
export function etagOf(body: unknown): string {
  return `"${digestOf(JSON.stringify(body)).slice(0, 24)}"`;
}

/** If-Match (RFC 9110 §13.1.1): the change is made to what the caller has seen, or not at all. */
async function refuseStale(row: Endpoint, call: AnyCall, ifMatch: string | undefined): Promise<void> {
  if (ifMatch === undefined || ifMatch === '*' || !row.before) return;
  const current = etagOf(await row.before(call));
  if (!ifMatch.split(',').some((tag) => tag.trim() === current)) throw new Problem('precondition_failed');
}

interface Done {
  readonly status: 200 | 201;
  readonly body: unknown;
}

/**
 * With an Idempotency-Key a creation happens once, however often it is sent; a secret is shown the first time only. The
 * claim of the name and the creation are one transaction, so that neither is there without the other. 200: it was there
 * already.
 */
async function createOnce(
  row: Endpoint,
  call: AnyCall,
  name: string | string[] | undefined,
  seen: string | undefined,
): Promise<Done> {
  if (typeof name !== 'string' || !row.again || call.caller === anybody) {
    await refuseStale(row, call, seen);
    return { status: 201, body: await row.run(call) };
  }
  if (!/^[\x21-\x7e]{1,200}$/.test(name))
    throw new Problem('invalid', { detail: 'An Idempotency-Key has 1 to 200 printable characters without spaces.' });
  const { store, caller, author } = call;
  const keyId = caller.id;
  const digest = digestOf(`${row.name} ${JSON.stringify(call.params)} ${JSON.stringify(call.body)}`);
  const taken = await store.claimRepeatable({ keyId, name, digest, at: author.at, made: null });
  if (taken) {
    if (taken.digest !== digest) throw new Problem('repeat_differs');
    if (taken.made !== null) return { status: 200, body: await row.again(call, taken.made) };
  }
  // What was made already was made to what the caller had seen then.
  await refuseStale(row, call, seen);
  const made = await row.run(call);
  await store.finishRepeatable(keyId, name, row.madeAs(made));
  return { status: 201, body: made };
}

function read(shape: z.ZodType, value: unknown, where: string): unknown {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.map(({ path, message }) => ({ at: [where, ...path].join('.'), detail: message }));
  throw new Problem('invalid', { detail: `${errors[0]?.at ?? where}: ${errors[0]?.detail ?? 'not valid'}`, errors });
}

// Serves the endpoints of the management API on Express: identifies the caller, checks rights and input, and calls the use
// case. Every failure is answered with a problem.
import express, { type Request, type Response, Router } from 'express';
import { newRequestId } from '../../domain/id.ts';
import { addressOf, anybody, authenticate, type Caller, refuseUnentitled, stillStands } from './authenticate.ts';
import { dropBody, limitBody } from './body-limit.ts';
import { type ApiTools, callOf } from './call.ts';
import { accepts, type Coded, compressed, sendCoded, zip } from './coded.ts';
import { carryOut, codedTag, etagOf } from './decision.ts';
import type { Endpoint } from './endpoint.ts';
import { openApi } from './openapi.ts';
import { Paces } from './pace.ts';
import { Problem, problemHandler } from './problem.ts';
import { readInput } from './read-input.ts';
import { referencePage } from './reference.ts';
import type { SharedAnswers } from './send.ts';
import { sendStream } from './stream.ts';
import { onlyReadInView, refuseInView } from './view.ts';

const bodyBytes = 256 * 1024;

export function managementApi(tools: ApiTools): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.use((_request, response, next) => {
    response.set({
      'x-request-id': newRequestId(tools.now()),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
    });
    next();
  });
  router.use(onlyReadInView);
  serveDocuments(router, tools.endpoints, tools.shared);
  serveRows(router, tools);
  router.use(() => {
    throw new Problem('not_found');
  });
  router.use(problemHandler(tools.onError));
  return router;
}

/** The OpenAPI document and the reference page, each generated and compressed on the first request. */
function serveDocuments(router: Router, endpoints: readonly Endpoint[], shared: SharedAnswers): void {
  let document: Promise<Coded> | undefined;
  let page: Promise<Coded> | undefined;
  // An upgrade changes them: readers ask each time, and most get a 304.
  router.get('/openapi.json', (request, response, next) => {
    document ??= compressed('application/json; charset=utf-8', JSON.stringify(openApi(endpoints)));
    document.then((made) => sendCoded(made, 'no-cache', shared, request, response)).catch(next);
  });
  router.get('/', (request, response, next) => {
    page ??= compressed('text/html; charset=utf-8', referencePage(endpoints));
    page.then((made) => sendCoded(made, 'no-cache', shared, request, response)).catch(next);
  });
}

function serveRows(router: Router, tools: ApiTools): void {
  const { endpoints } = tools;
  const pacing = new Paces(tools.nowMs);
  const parse = express.json({ limit: bodyBytes, strict: true, inflate: false, type: () => true });
  const pathOf = ({ path }: Endpoint): string => path.replaceAll(/\{(\w+)\}/g, ':$1');
  for (const row of endpoints) {
    // The caller is authenticated before a body is read.
    router[row.method](
      pathOf(row),
      (request, response, next) => {
        enter(row, tools, pacing, request, response).then(() => next(), next);
      },
      ...(row.body ? [parse] : []),
      (request, response, next) => {
        answer(row, tools, request, response).catch(next);
      },
    );
  }
  for (const [path, rows] of Map.groupBy(endpoints, pathOf)) {
    const allow = rows.map(({ method }) => method.toUpperCase()).join(', ');
    router.all(path, () => {
      throw new Problem('method_not_allowed', { allow });
    });
  }
}

/** Identifies the caller, checks their right and their rate, and bounds how long the body may take. */
async function enter(
  row: Endpoint,
  tools: ApiTools,
  pacing: Paces,
  request: Request,
  response: Response,
): Promise<void> {
  // Registered before anything is awaited, because a caller who disconnects in the meantime causes no event later.
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.locals['gone'] = gone.signal;
  const address = addressOf(request, tools.authentication);
  pacing.fromSource(row.pace, address);
  refuseInView(request, row);
  const caller = await authenticate(request, tools.authentication, row.needs);
  if (caller.key) tools.onKeyUse(caller.key.id, tools.now());
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
    // A body for an endpoint that takes none has no meaning (RFC 9110 §9.3.1). Waiting for it would let the caller choose the
    // time of the
    // answer after their rights were checked. The rest of it is discarded, and the connection ends; an endless body is not read
    // for as long as a stream of events can last.
    response.set('connection', 'close');
    dropBody(request, bodyBytes);
  }
}

async function answer(row: Endpoint, tools: ApiTools, request: Request, response: Response): Promise<void> {
  const caller = response.locals['caller'] as Caller;
  const asked = {
    query: row.query ? readInput(row.query, request.query, 'query') : {},
    body: row.body ? readInput(row.body, request.body ?? {}, 'body') : undefined,
  };
  if (row.stream) {
    const stands = async (): Promise<boolean> => {
      try {
        refuseUnentitled(await stillStands(caller, request, tools.authentication, tools.store), row.needs);
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
    await send(request, response, status, body, row);
  }
}

/** Longer answers are compressed for readers that take it. */
const compressedFrom = 4_096;

async function send(
  request: Request,
  response: Response,
  status: number,
  body: unknown,
  { method, tag }: Endpoint,
): Promise<void> {
  const text = JSON.stringify(body);
  response.status(status).type('application/json').vary('accept-encoding');
  const etag = etagOf(tag ? tag(body) : body);
  // Only what is read: a secret is shown by what creates it, and must not tell its length by what is beside it.
  if (method === 'get' && text.length >= compressedFrom && accepts(request.headers['accept-encoding'], 'gzip')) {
    const bytes = await zip(text);
    response.set({ etag: codedTag(etag), 'content-encoding': 'gzip' }).send(bytes);
  } else response.set('etag', etag).send(text);
}

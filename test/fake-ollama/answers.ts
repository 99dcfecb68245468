// The default answers of fake-ollama: the route table, and what happens before a route is reached, in Ollama's order: the
// path decoded and cleaned, CORS, the Host header, the method, the body. Bodies are read as Go reads them.
import { networkInterfaces } from 'node:os';
import { messages } from './anthropic.ts';
import {
  type Call,
  cloudIsOff,
  fail,
  failEarly,
  familyOf,
  json,
  plain,
  type Route,
  reply,
  wrongField,
} from './call.ts';
import type { Headers } from './exchange.ts';
import type { FakeOllama, FakeRequest, Script } from './fake-ollama.ts';
import { GoJsonError, type GoObject, goStyleParse } from './go-json.ts';
import { copy, create, headBlob, me, postBlob, ps, pull, push, remove, show, signout, status, tags } from './models.ts';
import { chat, embed, embeddings, generate } from './native.ts';
import { chatCompletions, completions, transcriptions, v1Embeddings, v1Model, v1Models } from './openai.ts';
import { recorded } from './recordings.ts';
import { responses } from './responses.ts';

export { goStyleParse } from './go-json.ts';

const root: Route = (call) => reply(call, 200, { 'Content-Type': 'text/plain; charset=utf-8' }, 'Ollama is running');
const version: Route = (call) => reply(call, 200, json, recorded('version').chunks.join(''));
/** The real one asks ollama.com; its answer was not recorded. */
const fromCloud =
  (body: string, what: string): Route =>
  (call) =>
    call.fake.cloud.disabled ? fail(call, 403, cloudIsOff(`${what} is unavailable`)) : reply(call, 200, json, body);
const recommendations: Route = (call) => reply(call, 200, json, '{"recommendations":[]}');

const native = { model: 'string', name: 'string', stream: 'bool' };
const openai = { model: 'string', stream: 'bool', max_tokens: 'int' };
/** The type into which Go decodes a body, for its error texts. */
const bodies: Record<string, [goType: string, fields: Record<string, string>]> = {
  '/api/generate': ['api.GenerateRequest', { ...native, prompt: 'string' }],
  '/api/chat': ['api.ChatRequest', { ...native, messages: '[]api.Message' }],
  '/api/embed': ['api.EmbedRequest', native],
  '/api/embeddings': ['api.EmbeddingRequest', { ...native, prompt: 'string' }],
  '/api/show': ['api.ShowRequest', native],
  '/api/pull': ['api.PullRequest', native],
  '/api/push': ['api.PushRequest', native],
  '/api/create': ['api.CreateRequest', { ...native, from: 'string' }],
  '/api/copy': ['api.CopyRequest', { source: 'string', destination: 'string' }],
  '/api/delete': ['api.DeleteRequest', native],
  '/v1/chat/completions': ['openai.ChatCompletionRequest', { ...openai, messages: '[]openai.Message' }],
  '/v1/completions': ['openai.CompletionRequest', { ...openai, prompt: 'string' }],
  '/v1/embeddings': ['openai.EmbedRequest', { model: 'string' }],
  '/v1/responses': ['openai.ResponsesRequest', { model: 'string', stream: 'bool' }],
  '/v1/messages': ['anthropic.MessagesRequest', { ...openai, messages: '[]anthropic.MessageParam' }],
};

/** By path; methods in the order in which gin lists them in Allow. */
const routes: Record<string, Record<string, Route>> = {
  '/': { HEAD: root, GET: root },
  '/api/version': { HEAD: version, GET: version },
  '/api/status': { GET: status },
  '/api/tags': { HEAD: tags, GET: tags },
  '/api/ps': { GET: ps },
  '/api/show': { POST: show },
  '/api/generate': { POST: generate },
  '/api/chat': { POST: chat },
  '/api/embed': { POST: embed },
  '/api/embeddings': { POST: embeddings },
  '/api/pull': { POST: pull },
  '/api/push': { POST: push },
  '/api/create': { POST: create },
  '/api/copy': { POST: copy },
  '/api/delete': { DELETE: remove },
  '/api/blobs/*': { HEAD: headBlob, POST: postBlob },
  '/api/me': { POST: me },
  '/api/signout': { POST: signout },
  '/api/user/keys/*': { DELETE: signout },
  '/api/experimental/web_search': { POST: fromCloud('{"results":[]}', 'web search') },
  '/api/experimental/web_fetch': { POST: fromCloud('{"title":"","content":"","links":[]}', 'web fetch') },
  '/api/experimental/model-recommendations': { GET: recommendations },
  '/v1/chat/completions': { POST: chatCompletions },
  '/v1/completions': { POST: completions },
  '/v1/embeddings': { POST: v1Embeddings },
  '/v1/models': { GET: v1Models },
  '/v1/models/*': { GET: v1Model },
  '/v1/responses': { POST: responses },
  '/v1/messages': { POST: messages },
  '/v1/audio/transcriptions': { POST: transcriptions },
};

export const defaultAnswer: Script = async (request, answer, fake) => {
  const path = decode(request.url.split('?')[0] ?? '');
  const bare: Call = { request, answer, fake, path, body: {}, extra: {} };
  const clean = cleaned(path);
  if (clean !== path) return redirect(bare, 307, clean);

  const methods = methodsOf(path);
  const other = path.endsWith('/') ? path.slice(0, -1) : `${path}/`;
  if (!methods && path !== '/' && methodsOf(other)?.[request.method])
    return redirect(bare, request.method === 'GET' ? 301 : 307, other);
  const route = methods?.[request.method];
  const allow: Headers = methods && !route ? { Allow: Object.keys(methods).join(', ') } : {};

  const cors = corsOf(request);
  if (cors === 'refused') return reply(bare, 403, allow, '');
  if (cors !== undefined && request.method === 'OPTIONS')
    return reply(bare, 204, { ...allow, ...preflight(request) }, '');
  const hosted = hostIs(request, fake);
  if (hosted === 'foreign') return reply(bare, 403, { ...allow, ...cors }, '');
  // Only for a Host by name: with an IP address, OPTIONS is a method like any other.
  if (hosted === 'named' && request.method === 'OPTIONS') return reply(bare, 204, { ...allow, ...cors }, '');

  const open: Call = { ...bare, extra: cors ?? {} };
  if (!methods) return reply(open, 404, plain, '404 page not found');
  if (!route) return reply(open, 405, { ...allow, ...plain }, '405 method not allowed');
  const body = await readBody(open);
  if (body) return route({ ...open, body });
};

/** Undefined: it was refused, and the refusal has been sent. */
async function readBody(call: Call): Promise<GoObject | undefined> {
  const [goType, fields] = bodies[call.path] ?? [];
  if (goType === undefined || fields === undefined) return {};
  try {
    const body = goStyleParse((await call.request.body).toString('utf8'), goType);
    const wrong = wrongField(body, goType.replace(/^.*\./, ''), fields);
    if (wrong === undefined) return body;
    await failEarly(call, 400, wrong);
  } catch (error) {
    if (!(error instanceof GoJsonError)) throw error;
    const empty = error.message === 'EOF' && familyOf(call.path) === 'native';
    await failEarly(call, 400, empty ? 'missing request body' : error.message);
  }
  return undefined;
}

function methodsOf(path: string): Record<string, Route> | undefined {
  const exact = path.includes('*') ? undefined : routes[path];
  const parent = path.slice(0, path.lastIndexOf('/') + 1);
  return exact ?? (path.length > parent.length ? routes[`${parent}*`] : undefined);
}

/** Percent escapes are decoded before the path is matched: /api/%70ull is /api/pull. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function cleaned(path: string): string {
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') kept.pop();
    else if (part !== '' && part !== '.') kept.push(part);
  }
  return `/${kept.join('/')}${kept.length > 0 && path.endsWith('/') ? '/' : ''}`;
}

function redirect(call: Call, code: 301 | 307, to: string): Promise<void> {
  const { method } = call.request;
  if (method !== 'GET' && method !== 'HEAD') return reply(call, code, { Location: to }, '');
  const words = code === 301 ? 'Moved Permanently' : 'Temporary Redirect';
  return reply(
    call,
    code,
    { 'Content-Type': 'text/html; charset=utf-8', Location: to },
    method === 'HEAD' ? '' : `<a href="${to}">${words}</a>.\n\n`,
  );
}

/** Ollama's own list of origins; any other is refused even for a plain GET. */
function corsOf({ headers }: FakeRequest): Headers | 'refused' | undefined {
  const { origin, host } = headers;
  if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) return undefined;
  const known =
    /^https?:\/\/(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?$/.test(origin) ||
    /^(?:app|file|tauri|vscode-webview|vscode-file):\/\//.test(origin);
  return known ? { 'Access-Control-Allow-Origin': origin, Vary: 'Origin' } : 'refused';
}

function preflight({ headers }: FakeRequest): Headers {
  const stainless = [
    'Arch',
    'Async',
    'Custom-Poll-Interval',
    'Helper-Method',
    'Lang',
    'Os',
    'Package-Version',
    'Poll-Helper',
    'Retry-Count',
    'Runtime',
    'Runtime-Version',
    'Timeout',
  ];
  const allowed = ['Authorization', 'Content-Type', 'User-Agent', 'Accept', 'X-Requested-With', 'Openai-Beta'];
  return {
    'Access-Control-Allow-Headers': [...allowed, ...stainless.map((name) => `X-Stainless-${name}`)].join(','),
    'Access-Control-Allow-Methods': 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS',
    'Access-Control-Allow-Origin': headers['origin'] ?? '',
    'Access-Control-Max-Age': '43200',
    Vary: ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers'],
  };
}

/** On loopback, Ollama answers only to local IP addresses and to names that cannot be rebound. */
function hostIs({ headers }: FakeRequest, fake: FakeOllama): 'near' | 'named' | 'foreign' {
  if (!/^(?:127\.|::1$)/.test(fake.host)) return 'near';
  const host = (headers['host'] ?? '')
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  if (/^(?:127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)\d|^(?:0\.0\.0\.0|::1?)$/.test(host)) return 'near';
  if (own.some(({ address }) => address === host)) return 'near';
  return host === '' || host === 'localhost' || /\.(?:localhost|local|internal)$/.test(host) ? 'named' : 'foreign';
}

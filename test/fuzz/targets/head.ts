// The head of a request, as bytes: through Node's own parser, then to identification and to the headers that are forwarded.
// An identified caller has shown exactly one credential, and a second reader of the same bytes finds it too.

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { digestOf } from '../../../src/domain/api-key.ts';
import { GatewayError } from '../../../src/domain/error.ts';
import type { AccountId } from '../../../src/domain/id.ts';
import { unlimited } from '../../../src/domain/plan.ts';
import type { Principal } from '../../../src/domain/principal.ts';
import { tableOf } from '../../../src/domain/service-table.ts';
import { type Addressed, ask, refuseKeyInQuery } from '../../../src/gateway/ask.ts';
import type { Fetched } from '../../../src/gateway/browser.ts';
import type { Current } from '../../../src/gateway/catch-up.ts';
import { dialects } from '../../../src/gateway/dialects/dialects.ts';
import { identify } from '../../../src/gateway/identify.ts';
import { KeyCache } from '../../../src/gateway/identity/key-cache.ts';
import { dialectOf } from '../../../src/gateway/operation.ts';
import { type Received, receive } from '../../../src/gateway/receive.ts';
import { RecordFacts } from '../../../src/gateway/record-facts.ts';
import type { Published } from '../../../src/gateway/services/published.ts';
import { MemoryFailures } from '../../../src/store/memory/failure-budget.ts';
import { MemoryTickets } from '../../../src/store/memory/tickets.ts';
import type { Caller } from '../../../src/store/ports/keys.ts';
import { upstreamHeaders } from '../../../src/upstream/headers.ts';
import { cliKey, keyText, signatureFor, signedAt, staticWord, storedKey } from '../credentials.ts';
import { connectionOptions, mayGoOn } from '../crossing.ts';
import { type Target, verdict } from '../target.ts';

const [plain, inPath] = [keyText('000000000001'), keyText('000000000002')];
const cli = digestOf(cliKey);
const stored = [
  storedKey('000000000001'),
  storedKey('000000000002', { allowPath: true }),
  storedKey('000000000003', { kind: 'signature', digest: cli }),
];
const texts = new Set([plain, inPath, staticWord]);

/** The `User-Agent` of a caller whose address has used up its budget of wrong credentials. */
const guesser = 'guesser/1.0';

const server = createServer({ maxHeaderSize: 16 * 1024, requireHostHeader: false });
let answer: (request: IncomingMessage | undefined) => void = () => undefined;
server
  .on('request', (request) => answer(request))
  .on('checkContinue', (request) => answer(request))
  .on('checkExpectation', (request) => answer(request))
  .on('upgrade', () => answer(undefined))
  .on('connect', () => answer(undefined))
  .on('clientError', () => answer(undefined));

async function parse(bytes: Buffer): Promise<IncomingMessage | undefined> {
  const socket = new Duplex({ read: () => undefined, write: (_, __, done) => done() });
  const request = await new Promise<IncomingMessage | undefined>((resolve) => {
    answer = resolve;
    socket.once('close', () => resolve(undefined));
    server.emit('connection', socket);
    socket.push(bytes);
    socket.push(null);
  });
  socket.destroy();
  return request;
}

/** The header lines as a second reader parses them; lower-case names. */
function linesOf(bytes: Buffer): { name: string; value: string }[] {
  const head = bytes.toString('latin1').split('\r\n\r\n', 1)[0] as string;
  const lines = head.split(/\r?\n/).slice(1);
  return lines.map((line) => {
    const colon = line.indexOf(':');
    return { name: line.slice(0, colon).toLowerCase(), value: line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '') };
  });
}

/** The credentials in a header line, read as leniently as any server might. */
function shown(name: string, value: string): string {
  if (name !== 'authorization') return value.trim();
  const [scheme = '', rest = ''] = value.split(/[ \t]+(.*)/s);
  if (/^basic$/i.test(scheme))
    return Buffer.from(rest, 'base64')
      .toString('utf8')
      .replace(/^[^:]*:/, '');
  return /^(bearer|token)$/i.test(scheme) ? rest.trim() : value;
}

async function run(bytes: Buffer): Promise<void> {
  const request = await parse(Buffer.concat([bytes, Buffer.from('\r\n\r\n')]));
  if (!request) return;
  const { value: received } = verdict(() =>
    receive({ request, dialect: dialectOf('/'), cors: [], challenge: '' }, { table: tableOf<Published>([]) }),
  );
  if (!received) return;
  const lines = linesOf(bytes);
  checkCrossing(received, lines);
  const { value: asked } = verdict(() =>
    refuseKeyInQuery(
      ask(received as Fetched, { notes: new RecordFacts(), frames: dialectOf('/').frames, upgrade: undefined }),
    ),
  );
  if (!asked) return;
  for (const text of [plain, inPath]) assert.ok(!asked.target.query.includes(text), 'a key in the query was accepted');
  await checkCaller(asked, lines);
}

function checkCrossing(received: Received, lines: readonly { name: string; value: string }[]): void {
  const own = ['authorization', 'Bearer of-the-gate-itself'];
  const names = dialects.flatMap((dialect) => dialect.onward);
  const onward = upstreamHeaders(received.request.headers, '1.1 sekisho', own, undefined, [...new Set(names)]);
  const gone = connectionOptions(lines.filter(({ name }) => name === 'connection').map(({ value }) => value));
  assert.deepEqual(onward.slice(2, 4), own);
  for (let at = 0; at < onward.length; at += 2) {
    const [name, value] = [onward[at] as string, onward[at + 1] as string];
    assert.match(value, /^[^\r\n\0]*$/);
    if (name === 'via') assert.ok(value.endsWith('1.1 sekisho'));
    else if (at >= 4) {
      assert.ok(mayGoOn(name), `${name} was forwarded`);
      assert.ok(!gone.has(name), `${name} was forwarded although Connection names it`);
      const sent = lines.filter((line) => line.name === name).map((line) => line.value);
      assert.ok(value === sent[0] || value === sent.join(', '), `${name} came from elsewhere`);
    }
  }
}

async function checkCaller(asked: Addressed, lines: readonly { name: string; value: string }[]): Promise<void> {
  let reads = 0;
  const find = (is: (key: (typeof stored)[number]) => boolean): Promise<Caller | undefined> => {
    reads++;
    const key = stored.find(is);
    return Promise.resolve(key && { key, account: undefined as never, plan: unlimited, suspensions: [] });
  };
  const store = {
    findCaller: (id: string) => find((key) => key.id === id && key.kind === 'secret'),
    findCallerByDigest: (digest: string) => find((key) => key.digest === digest && key.kind === 'signature'),
  };
  const keyCache = new KeyCache(
    store,
    [digestOf(staticWord)],
    'acc_operator' as AccountId,
    () => 1,
    () => 1,
  );
  // Rare, because each refusal beyond the budget waits.
  const guessing = lines.some(({ name, value }) => name === 'user-agent' && value === guesser);
  const exchange = {
    at: signedAt * 1000,
    address: '192.0.2.1',
    notes: new RecordFacts(),
    challenge: '',
    scopeChallenge: undefined,
  };
  let principal: Principal | undefined;
  try {
    const throttle = new MemoryFailures(
      () => 10,
      () => 1,
    );
    const tickets = new MemoryTickets(() => 1);
    const tokens = { find: () => Promise.resolve(undefined), holds: () => false };
    if (guessing) for (let wrong = 0; wrong < 100; wrong++) throttle.note(exchange.address);
    ({ principal } = (
      await identify(asked as Current, exchange, { keyCache, tickets, tokens, throttle, signatureSkewMs: 60_000 })
    ).caller);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    assert.notEqual(error.code, 'identity_unavailable');
    for (const text of texts) assert.ok(!error.message.includes(text));
  }
  assert.ok(reads <= 1);
  if (guessing) assert.ok(reads === 0 || principal === undefined, 'an address beyond its budget had a key looked up');

  const credentials = lines.filter(({ name }) => ['authorization', 'x-api-key', 'api-key'].includes(name));
  const all = credentials.map(({ name, value }) => shown(name, value));
  if (asked.target.pathKey !== undefined) all.push(asked.target.pathKey);
  const cliLine = signatureFor(asked.received.method, asked.target.path);
  const meant = all.filter((text) => text.startsWith('sekisho_') || text === staticWord || text === cliLine);
  if (principal) {
    assert.equal(new Set(credentials.map(({ name }) => name)).size, credentials.length, 'a credential stood twice');
    assert.ok(meant.length > 0, 'a caller was identified without a credential');
    assert.deepEqual([...new Set(meant)], [principal.kind === 'signature' ? cliLine : meant[0]]);
    if (principal.kind === 'secret') assert.equal(digestOf(meant[0] as string), principal.digest);
    if (asked.target.pathKey === meant[0]) assert.ok(principal.allowPath);
  } else if (!guessing && all.length === 1 && credentials[0]?.name === 'x-api-key' && texts.has(all[0] as string))
    assert.ok(
      lines.some(({ name, value }) => name === 'sec-websocket-protocol' && value.includes('sekisho.ticket.')),
      'a valid key was refused, without a ticket beside it',
    );
}

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
const head = (first: string, ...lines: string[]): string => [`${first} HTTP/1.1`, 'Host: gate', ...lines].join('\r\n');

const signedLine = 'GET /api/tags?ts=1700000000';
const signature = signatureFor('GET', '/api/tags');

export const target: Target = {
  words: [
    ...(
      '\r\n|Authorization: |X-Api-Key: |Api-Key: |Token |Cookie: |Connection: |Via: 1.1 sekisho|Content-Type: |Host: x|Content-Length: 0|' +
      'Transfer-Encoding: chunked|Bearer |Basic |ollama|traceparent: x|User-Agent: |Accept: */*|X-Forwarded-For: |/k/|' +
      '?ts=1700000000|?key='
    ).split('|'),
    plain,
    inPath,
    staticWord,
    basic(`x:${plain}`),
    signature,
  ],
  seeds: () => [
    head('GET /api/tags', `x-api-key: ${plain}`, 'User-Agent: curl/8.0', 'Accept: */*', 'Connection: close, accept'),
    head(
      'GET /api/tags',
      `Authorization: Bearer ${plain}`,
      `X-API-Key: ${plain}`,
      'Cookie: a=b',
      'Origin: https://x.test',
    ),
    head('POST /v1/chat/completions', `Authorization: ${basic(`me:${plain}`)}`, 'Content-Type: application/json'),
    head(`GET /k/${inPath}/v1/models/m`, 'Authorization: Bearer ollama', 'traceparent: 00-1-2-01'),
    head(`GET /k/${plain}/api/tags`),
    head(signedLine, `Authorization: ${signature}`),
    head(signedLine, `Authorization: ${signature}`, `x-api-key: ${plain}`),
    // The same signature with a bit set that has no meaning.
    head(signedLine, `Authorization: ${signature.replace(/A==$/, 'B==')}`),
    head('GET /api/tags', `Authorization: Bearer ${staticWord}`, 'Via: 1.1 sekisho, 1.1 sekisho'),
    head('GET /api/tags', `Authorization: Bearer ${plain}`, `Authorization: Bearer ${inPath}`),
    head('GET /api/tags', `x-api-key: ${plain}`, `x-api-key: ${plain}`, 'Connection: x-api-key'),
    head('GET /api/tags', `x-api-key: ${plain}`, `User-Agent: ${guesser}`),
    head('GET /api/tags', 'x-api-key: wrong', `User-Agent: ${guesser}`),
    head('GET /api/tags', 'Sec-WebSocket-Protocol: chat, sekisho, sekisho.ticket.x'),
    head('GET /api/tags', 'Sec-WebSocket-Protocol: sekisho.ticket.x, sekisho.ticket.y'),
    head('GET /api/tags', 'Sec-WebSocket-Protocol: sekisho.ticket.x', `x-api-key: ${plain}`),
    head(`GET /api/tags?api_key=${plain}`),
    head(`GET /api/tags?a=b&x=${plain}`),
    head('POST /api/chat', 'Transfer-Encoding: chunked', 'Content-Length: 4'),
    head('POST /api/chat', 'Host: evil', 'Expect: 100-continue', '__proto__: x', 'constructor: y'),
    `GET /api/tags HTTP/1.0\r\nx-api-key: ${plain}`,
    `GET /api/tags HTTP/2.0\r\nHost: x`,
  ],
  run,
};

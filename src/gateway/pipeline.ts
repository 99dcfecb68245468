// The path of one model request, on one screen. Each stage takes what the one before it has proved, so that leaving a
// check out does not compile; cheap ones stand before dear ones; and whatever happens, the exchange is settled once.
//   received → operation → identify → permit → intent → authorize → shape → admit → route → relay (+ meter) → record
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressBlocks, clientAddress, plainAddress } from '../domain/address.ts';
import { toGatewayError } from '../domain/error.ts';
import { unlimited } from '../domain/plan.ts';
import type { WallMs } from '../domain/time.ts';
import type { UsageJournal } from '../store/ports.ts';
import type { Upstream, UpstreamPool } from '../upstream/pool.ts';
import type { AccountLines } from './account-line.ts';
import { admit } from './admit.ts';
import type { AuthThrottle } from './auth-throttle.ts';
import { authorizeIntent, type ModelRules } from './authorize.ts';
import type { BodyLimits } from './body.ts';
import { refuseNavigation } from './browser.ts';
import { type CorsPolicy, corsLines, preflightLines } from './cors.ts';
import type { Decisions } from './decide-again.ts';
import { type LimitRules, openBook, refuseSpent } from './enter.ts';
import { Exchange } from './exchange.ts';
import type { FairQueue } from './fair-queue.ts';
import { FailedIdentification, identify, refuseKeyInQuery, refuseUnencrypted } from './identify.ts';
import { readIntent } from './intent.ts';
import type { KeyRing } from './key-ring.ts';
import type { Ladder } from './ladder.ts';
import { answerLists, isMerged } from './merged-lists.ts';
import { dialectOf, matchOperation } from './operation.ts';
import { permit } from './permit.ts';
import { receive } from './receive.ts';
import { endTurn, type Recorder, settle } from './record.ts';
import { refuse } from './refuse.ts';
import { type RelaySettings, relay } from './relay.ts';
import type { ReplayGuard } from './replay.ts';
import { route } from './route.ts';
import type { Running } from './running.ts';
import { type ModelFacts, shape } from './shape.ts';
import { endWith, whenGone } from './unread.ts';
import { mustShow, type ShownBlobs, takeUpload } from './uploads.ts';

/** Everything the data plane works with; compose.ts puts it together. */
export interface Gate {
  readonly limits: BodyLimits;
  readonly relaySettings: RelaySettings;
  readonly cors: CorsPolicy;
  readonly trustedProxies: AddressBlocks;
  readonly modelRules: ModelRules;
  readonly shownBlobs: ShownBlobs;
  readonly modelFacts: ModelFacts;
  readonly signatureSkewMs: number;
  /** Where a suspended caller may turn. */
  readonly appealContact: string;
  readonly ring: KeyRing;
  readonly replays: ReplayGuard;
  readonly journal: UsageJournal;
  readonly pool: UpstreamPool;
  readonly running: Running;
  readonly recorder: Recorder;
  readonly throttle: AuthThrottle;
  readonly rules: LimitRules;
  readonly lines: AccountLines;
  readonly queue: FairQueue<Upstream>;
  readonly ladder: Ladder;
  /** Decides again what the caller may, as they are now. */
  readonly decisions: Decisions;
  /** When calls come, keys expire and signatures were made. */
  readonly wallNow: () => WallMs;
  /** Plain HTTP is refused. */
  readonly tlsOnly: boolean;
  draining: boolean;
}

/** Answers one request, and tells whether its caller was known. Never rejects. */
export async function handle(gate: Gate, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  const exchange = new Exchange(request, response, gate.wallNow(), gate.recorder.nowMs());
  try {
    prepare(exchange, gate);
    const received = receive(request);
    exchange.dialect = dialectOf(received.target.path);
    if (gate.tlsOnly) refuseUnencrypted(received);
    if (received.method === 'OPTIONS') {
      answerOptions(exchange, gate);
      return false;
    }
    refuseNavigation(received);
    if (received.target.path === '/' && (received.method === 'GET' || received.method === 'HEAD')) {
      answerRoot(exchange, gate);
      return false;
    }
    const asked = matchOperation(received.method, received.target, asksForWebSocket(request));
    exchange.operation = asked.operation;
    refuseKeyInQuery(received.target.query);

    const time = { now: exchange.at, skewMs: gate.signatureSkewMs };
    const caller = await identify(asked, received, gate.ring, time, gate.throttle, exchange.address);
    exchange.principal = caller.principal;
    const book = openBook(caller.principal, gate.rules);
    exchange.book = book instanceof Promise ? await book : book;
    const permitted = permit(caller, exchange, gate.appealContact);
    refuseSpent(permitted, exchange, gate.rules);

    const intent = await readIntent(permitted, exchange, gate.limits);
    exchange.streamed = intent.stream;
    exchange.model = intent.models[0]?.name?.canonical ?? null;
    gate.decisions.keep(exchange, intent);
    const again = gate.decisions.again(exchange);
    if (again) await again;
    gate.replays.claim(intent, exchange);
    const shaped = shape(authorizeIntent(intent, gate.modelRules), gate.modelFacts);

    const admitted = admit(shaped, exchange, gate);
    const routed = route(admitted instanceof Promise ? await admitted : admitted, gate.pool, exchange.slot?.server);
    const tools = { settings: gate.relaySettings, recorder: gate.recorder, running: gate.running };
    if (isMerged(routed, gate.pool)) await answerLists(routed, exchange, gate.pool, tools);
    else if (mustShow(routed)) await takeUpload(routed, exchange, tools, gate.shownBlobs);
    else await relay(routed, exchange, tools);
  } catch (thrown) {
    const error = toGatewayError(thrown);
    if (error instanceof FailedIdentification) noteFailure(error, gate);
    const outcome = error.code === 'client_closed' ? 'client_closed' : 'refused';
    settle(exchange, { outcome, status: error.status, error }, gate.recorder);
    refuse(exchange, error, gate.relaySettings);
  } finally {
    // As long as an answer waits for its reader, so does what was read of the call.
    if (exchange.heldBytes > 0) whenGone(exchange, () => gate.limits.budget.give(exchange.heldBytes, exchange.book));
    endTurn(exchange, gate.recorder.nowMs());
  }
  return exchange.principal !== undefined;
}

/** Whoever it was used this key's name; the ladder counts it on the key, if its account is one that is counted. */
function noteFailure({ principal }: FailedIdentification, { rules, ladder }: Gate): void {
  const book = principal.plan === unlimited ? undefined : rules.books.of(principal.accountId);
  if (book instanceof Promise)
    book.then(
      (opened) => ladder.noteFailure(principal, opened),
      () => undefined,
    );
  else if (book) ladder.noteFailure(principal, book);
}

/** Codex opens one on /v1/responses first, and falls back to a POST where the answer is 426 (RFC 9110, section 15.5.22). */
function asksForWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase().includes('websocket') === true;
}

/** Facts that even a refusal needs: in whose words to speak, and to whom. */
function prepare(exchange: Exchange, gate: Gate): void {
  const { headers, url = '', socket } = exchange.request;
  exchange.dialect = dialectOf(url);
  exchange.cors = corsLines(gate.cors, headers.origin);
  const forwarded = headers['x-forwarded-for'];
  exchange.address = clientAddress(
    plainAddress(socket.remoteAddress ?? ''),
    typeof forwarded === 'string' ? forwarded : undefined,
    gate.trustedProxies,
  );
}

/**
 * The Ollama CLI asks `HEAD <base>/` before it does anything else and gives up where that is refused, so it is answered
 * to everybody, under /k/<key>/ too, and says nothing about any key.
 */
function answerRoot(exchange: Exchange, gate: Gate): void {
  const { request, response } = exchange;
  const lines = [
    'content-type',
    'text/plain; charset=utf-8',
    'content-length',
    String(rootText.length),
    'x-request-id',
    exchange.id,
  ];
  response.writeHead(200, [...lines, ...gate.relaySettings.ownHeaders, ...exchange.cors]);
  endWith(exchange, request.method === 'HEAD' ? undefined : rootText, gate.relaySettings.readerStallMs);
  exchange.recorded = true;
}

const rootText = 'Sekisho is running\n';

/** A preflight, or the plain question what a route answers; neither needs a key, neither reaches a model server. */
function answerOptions(exchange: Exchange, gate: Gate): void {
  const { request, response } = exchange;
  const lines = ['x-request-id', exchange.id, ...gate.relaySettings.ownHeaders, ...exchange.cors];
  const admitted = exchange.cors.includes('access-control-allow-origin');
  if (admitted && request.headers['access-control-request-method'] !== undefined)
    lines.push(...preflightLines(gate.cors, request));
  else lines.push('allow', 'GET, HEAD, POST, DELETE, OPTIONS');
  response.writeHead(204, lines);
  endWith(exchange, undefined, gate.relaySettings.readerStallMs);
  exchange.recorded = true;
}

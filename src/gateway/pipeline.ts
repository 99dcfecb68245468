// The path of one model request, on one screen. Each stage takes the proof of the previous stage and returns its own,
// so omitting a check does not compile (test/house/pipeline.test.ts removes each line and runs the compiler). Cheap
// checks come before expensive ones, and the exchange is settled once, whatever happens.
//   received → transported → fetched → asked → addressed → identified → accounted → permitted → welcome → prechecked
//   → intended → confirmed → claimed → authorized → shaped → admitted → routed → settled
// A published service has the same stages; only the sending differs (services/).
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressBlocks, clientAddress, plainAddress } from '../domain/address.ts';
import { toGatewayError } from '../domain/error.ts';
import { unlimited } from '../domain/plan.ts';
import { isLater, type Soon } from '../domain/soon.ts';
import type { WallMs } from '../domain/time.ts';
import type { FailureBudget } from '../store/ports/failure-budget.ts';
import type { UsageJournal } from '../store/ports/journal.ts';
import type { TicketStore } from '../store/ports/tickets.ts';
import type { TurnQueue } from '../store/ports/turn-queue.ts';
import type { ColdLoads } from '../upstream/loads/cold-loads.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/server.ts';
import type { ActiveRequests } from './active-requests.ts';
import { type AdmitTools, type Admitted, admit, goesToRoute, type ServiceAdmitted } from './admit.ts';
import type { Announced } from './announced.ts';
import { type CorsPolicy, corsLines } from './answer/cors.ts';
import { answerMetadata, answerOptions, answerRoot, asksForOptions, asksForRoot } from './answer/open-answers.ts';
import { shape } from './apply-plan.ts';
import { ask, refuseKeyInQuery } from './ask.ts';
import { authorizeIntent } from './authorize.ts';
import { refuseNavigation } from './browser.ts';
import { type CatchUpTools, type Current, catchUp } from './catch-up.ts';
import { permit } from './check-access.ts';
import type { Confirmed, Decisions } from './decide-again.ts';
import { Exchange } from './exchange.ts';
import { relayOrFallBack } from './fall-back.ts';
import { FailedIdentification, type Identified, identify } from './identify.ts';
import type { AccessTokens } from './identity/access-tokens.ts';
import type { KeyCache } from './identity/key-cache.ts';
import type { Claimed, ReplayGuard } from './identity/replay-guard.ts';
import { readIntent } from './intent.ts';
import type { AccountLines } from './limits/account-line.ts';
import type { Ladder } from './limits/ladder.ts';
import { type MaintenanceSwitch, refuseMaintenance } from './maintenance.ts';
import { answerLists, isMerged } from './merged-lists.ts';
import { type Accounted, type LimitRules, openUsage } from './metering.ts';
import type { ModelRules } from './model-access.ts';
import type { ModelFacts } from './model-facts.ts';
import type { ModelNames } from './model-names.ts';
import { dialectOf } from './operation.ts';
import { type BodyLimits, type Released, releaseBody } from './payload/body.ts';
import { type Prechecked, refuseSpent } from './precheck.ts';
import { receive } from './receive.ts';
import { endTurn, type Recorder, type Settled, settle, type TurnEnded } from './record.ts';
import { recordFactsOf } from './record-facts.ts';
import { refuse } from './refuse.ts';
import type { RelaySettings, RelayTools } from './relay.ts';
import { route } from './route.ts';
import type { PublishedServices } from './services/published-services.ts';
import { relayPublished } from './services/service-call.ts';
import { isSpread, spread } from './spread/spread.ts';
import { refuseUnencrypted } from './transport.ts';
import { mustShow, type ShownBlobs, takeUpload } from './uploads.ts';
import { answerTicket, asksForTicket } from './websocket/answer-ticket.ts';
import type { CallerSocket } from './websocket/caller-socket.ts';
import type { OpenSockets } from './websocket/open-sockets.ts';
import { relaySocket } from './websocket/socket-call.ts';

/** Everything that the data plane needs; built by src/compose. */
export interface Gate {
  readonly limits: BodyLimits;
  readonly relaySettings: RelaySettings;
  readonly cors: CorsPolicy;
  readonly trustedProxies: AddressBlocks;
  readonly modelRules: ModelRules;
  readonly names: ModelNames;
  readonly shownBlobs: ShownBlobs;
  readonly modelFacts: ModelFacts;
  readonly signatureSkewMs: number;
  /** Whom a suspended caller may contact. */
  readonly appealContact: string;
  readonly keyCache: KeyCache;
  readonly replays: ReplayGuard;
  readonly journal: UsageJournal;
  readonly registry: UpstreamRegistry;
  readonly running: ActiveRequests;
  readonly recorder: Recorder;
  readonly throttle: FailureBudget;
  readonly rules: LimitRules;
  readonly lines: AccountLines;
  readonly queue: TurnQueue<Upstream>;
  readonly services: PublishedServices;
  readonly serviceTurns: AdmitTools['serviceTurns'];
  readonly reachOf: AdmitTools['reachOf'];
  readonly takes: AdmitTools['takes'];
  readonly assign: AdmitTools['assign'];
  readonly openSockets: OpenSockets;
  readonly tickets: TicketStore;
  readonly tokens: AccessTokens;
  /** Loads of models that are not in memory. */
  readonly loads: ColdLoads;
  readonly ladder: Ladder;
  /** Repeats the checks of a call for its caller's current state. */
  readonly decisions: Decisions;
  /** For the time of calls, the expiry of keys and the age of signatures. */
  readonly wallNow: () => WallMs;
  /** Plain HTTP is refused. */
  readonly tlsOnly: boolean;
  readonly gates: CatchUpTools['gates'];
  readonly catchUp: CatchUpTools['catchUp'];
  draining: boolean;
  maintenance: MaintenanceSwitch['maintenance'];
  readonly announced: Announced;
}

/** Answers one request, and returns whether its caller was identified. Never rejects. */
export async function handle(
  gate: Gate,
  request: IncomingMessage,
  response: ServerResponse,
  upgrade?: CallerSocket,
): Promise<boolean> {
  const exchange = openExchange(gate, request, response, upgrade);
  let settled: Settled;
  let left: Released & TurnEnded;
  try {
    const passed = await pass(exchange, gate);
    settled = 'call' in passed ? await carry(passed, exchange, gate) : passed;
  } catch (thrown) {
    settled = turnAway(thrown, exchange, gate);
  } finally {
    left = leave(exchange, gate);
  }
  return wasKnown(settled, left);
}

/** All checks before a request is sent to a model server; some requests need no key and are answered here. */
async function pass(exchange: Exchange, gate: Gate): Promise<Admitted | ServiceAdmitted | Settled> {
  const received = receive(exchange, gate.services);
  const transported = refuseUnencrypted(received, gate.tlsOnly);
  if (asksForOptions(transported))
    return answerOptions(exchange, transported.published?.cors ?? gate.cors, gate.relaySettings);
  const fetched = refuseNavigation(transported);
  if (asksForRoot(fetched)) return answerRoot(exchange, gate.relaySettings);
  if (fetched.described?.resource) return answerMetadata(fetched.described.resource, exchange, gate.relaySettings);
  const asked = ask(fetched, exchange);
  const addressed = refuseKeyInQuery(asked);

  const catching: Soon<Current> = catchUp(addressed, exchange, gate);
  const current = isLater(catching) ? await catching : catching;
  const identifying: Soon<Identified> = identify(current, exchange, gate);
  const identified = isLater(identifying) ? await identifying : identifying;
  const opening: Soon<Accounted> = openUsage(identified, exchange, gate.rules);
  const accounted = isLater(opening) ? await opening : opening;
  const permitted = permit(accounted, exchange, gate.appealContact);
  if (gate.announced.header !== undefined) exchange.lines.push('x-sekisho-announcement', gate.announced.header);
  const welcome = refuseMaintenance(permitted, gate, exchange.at);
  const prechecking: Soon<Prechecked> = refuseSpent(welcome, exchange.lines, gate.rules);
  const prechecked = isLater(prechecking) ? await prechecking : prechecking;

  const intended = await readIntent(prechecked, exchange, gate.limits, gate.names);
  const confirming: Soon<Confirmed> = gate.decisions.confirm(intended, exchange);
  const confirmed = isLater(confirming) ? await confirming : confirming;
  const claiming: Soon<Claimed> = gate.replays.claim(confirmed, exchange);
  const claimed = isLater(claiming) ? await claiming : claiming;
  if (asksForTicket(claimed)) return answerTicket(claimed, exchange, gate.tickets, toolsOf(gate));
  const authorized = authorizeIntent(claimed, gate.modelRules);
  const shaped = shape(authorized, gate.modelFacts);
  return admit(shaped, exchange, gate);
}

/** Sends the call to a model server or a published service, and its answer back. */
function carry(admitted: Admitted | ServiceAdmitted, exchange: Exchange, gate: Gate): Promise<Settled> {
  const tools = toolsOf(gate);
  if (goesToRoute(admitted)) {
    const own = { ...tools, proxies: gate.trustedProxies, openSockets: gate.openSockets };
    const { upgrade } = exchange;
    return upgrade ? relaySocket(admitted, upgrade, exchange, own) : relayPublished(admitted, exchange, own);
  }
  const routed = route(admitted, gate.registry, exchange.request.headers);
  if (isSpread(routed)) return spread(routed, exchange, tools);
  if (isMerged(routed, gate)) return answerLists(routed, exchange, gate, tools);
  if (mustShow(routed)) return takeUpload(routed, exchange, tools, gate.shownBlobs);
  return relayOrFallBack(routed, exchange, tools, gate);
}

const toolsOf = ({ relaySettings, recorder, running, limits }: Gate): RelayTools => ({
  settings: relaySettings,
  recorder,
  running,
  bodies: limits.budget,
});

/** Creates the exchange with the facts that even a refusal needs: the dialect and the address. */
function openExchange(
  gate: Gate,
  request: IncomingMessage,
  response: ServerResponse,
  upgrade: CallerSocket | undefined,
): Exchange {
  const { headers, url = '', socket } = request;
  const forwarded = headers['x-forwarded-for'];
  return new Exchange(request, response, {
    upgrade,
    at: gate.wallNow(),
    startedMs: gate.recorder.nowMs(),
    address: clientAddress(
      plainAddress(socket.remoteAddress ?? ''),
      typeof forwarded === 'string' ? forwarded : undefined,
      gate.trustedProxies,
    ),
    dialect: dialectOf(url),
    cors: corsLines(gate.cors, headers.origin),
  });
}

/** Records the refusal, then sends it. */
function turnAway(thrown: unknown, exchange: Exchange, gate: Gate): Settled {
  const error = toGatewayError(thrown);
  if (error instanceof FailedIdentification) noteFailure(error, gate);
  const outcome = error.code === 'client_closed' ? 'client_closed' : 'refused';
  const settled = settle(exchange, { outcome, status: error.status, error }, gate.recorder);
  return refuse(settled, error, gate.relaySettings);
}

/** The credential names this key, so the ladder counts the failure on the key, if its account has limits. */
function noteFailure({ principal }: FailedIdentification, { rules, ladder }: Gate): void {
  const usage = principal.plan === unlimited ? undefined : rules.accountUsages.of(principal.accountId);
  if (isLater(usage))
    usage.then(
      (opened) => ladder.noteFailure(principal, opened),
      () => undefined,
    );
  else if (usage) ladder.noteFailure(principal, usage);
}

/** Releases everything held for the exchange. */
function leave(exchange: Exchange, gate: Gate): Released & TurnEnded {
  const released = releaseBody(exchange, gate.limits.budget);
  return endTurn(released, gate.recorder.nowMs());
}

/** Requires an exchange that has its record and holds nothing. */
const wasKnown = (settled: Settled, _left: Released & TurnEnded): boolean =>
  recordFactsOf(settled).caller !== undefined;

// Assembles the data plane: everything that the path of a request uses, and what is checked again when the store has changed.
import { AddressBlocks } from '../domain/address.ts';
import { GatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import { ActiveRequests } from '../gateway/active-requests.ts';
import { Announced } from '../gateway/announced.ts';
import { corsPolicy } from '../gateway/answer/cors.ts';
import { Decisions } from '../gateway/decide-again.ts';
import { AccessTokens } from '../gateway/identity/access-tokens.ts';
import { IssuerKeys } from '../gateway/identity/issuer-keys.ts';
import { KeyCache } from '../gateway/identity/key-cache.ts';
import { ReplayGuard } from '../gateway/identity/replay-guard.ts';
import type { Intended } from '../gateway/intent.ts';
import { AccountLines } from '../gateway/limits/account-line.ts';
import { AccountUsages } from '../gateway/limits/account-usages.ts';
import { Ladder } from '../gateway/limits/ladder.ts';
import { SumsOfGates } from '../gateway/limits/sums-of-gates.ts';
import { LiveStats } from '../gateway/live-stats.ts';
import { mayServe } from '../gateway/may-serve.ts';
import type { ModelRules } from '../gateway/model-access.ts';
import { RegistryFacts } from '../gateway/model-facts.ts';
import { ModelNames } from '../gateway/model-names.ts';
import type { EndObserver } from '../gateway/observers.ts';
import { PaceObserver } from '../gateway/pace-observer.ts';
import type { BodyLimits } from '../gateway/payload/body.ts';
import { BodyBudget } from '../gateway/payload/body-budget.ts';
import type { Gate } from '../gateway/pipeline.ts';
import type { RelaySettings } from '../gateway/relay.ts';
import { relaySettingsOf } from '../gateway/relay-settings.ts';
import { RequestMetrics } from '../gateway/request-metrics.ts';
import { isPublished } from '../gateway/services/published.ts';
import type { PublishedServices } from '../gateway/services/published-services.ts';
import { ableOf, canServe } from '../gateway/translate/able.ts';
import { ShownBlobs } from '../gateway/uploads.ts';
import { OpenSockets } from '../gateway/websocket/open-sockets.ts';
import { keepRefusals } from '../jobs/refusal-memory.ts';
import type { StoredRoutes } from '../jobs/stored-routes.ts';
import type { StoredServers } from '../jobs/stored-servers.ts';
import { describeCause, type Log } from '../observe/log.ts';
import { type Config, staticDigests, tlsMode } from '../settings/config.ts';
import type { Derived, LiveSettings } from '../settings/live.ts';
import type { ChangeFeed } from '../store/ports/change-feed.ts';
import type { FailureBudget } from '../store/ports/failure-budget.ts';
import type { SignatureStore } from '../store/ports/signatures.ts';
import type { Store } from '../store/ports/store.ts';
import type { TicketStore } from '../store/ports/tickets.ts';
import type { SharedQueueSettings, TurnQueue } from '../store/ports/turn-queue.ts';
import type { Beats } from '../store/postgres/heartbeat.ts';
import { ColdLoads } from '../upstream/loads/cold-loads.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/server.ts';
import type { ServiceServer } from '../upstream/service-server.ts';
import type { Adapters } from './adapters.ts';
import type { GateClocks } from './clocks.ts';
import { type OpenModels, openModelPulls, openModelServers, openStoredServers } from './model-servers.ts';
import { slotsOf } from './model-slots.ts';
import { recorderOf } from './recorder.ts';
import { openServices, openStoredRoutes, serviceQueue } from './services.ts';
import type { Start } from './start.ts';
import type { Storage } from './storage.ts';

export interface DataPlane {
  readonly gate: Gate;
  /** Live figures for people. */
  readonly liveStats: LiveStats;
  readonly accountUsages: AccountUsages;
  /** The metrics; undefined without /metrics. */
  readonly requestMetrics: RequestMetrics | undefined;
  /** The model servers of the store. */
  readonly storedServers: StoredServers;
  /** The models on the servers, for operators. */
  readonly models: OpenModels['management'];
  /** See `OpenModels`. */
  readonly shownPulls: OpenModels['shown'];
  /** The published services of the routes file and of the store. */
  readonly storedRoutes: StoredRoutes;
}

/** What several parts of the plane share. */
interface Shared {
  readonly registry: UpstreamRegistry;
  readonly ladder: Ladder;
  readonly accountUsages: AccountUsages;
  readonly observers: readonly EndObserver[];
  readonly queue: TurnQueue<Upstream>;
  readonly send: Adapters['send'];
  readonly services: PublishedServices;
  readonly serviceQueue: TurnQueue<ServiceServer>;
  readonly throttle: FailureBudget;
  readonly signatures: SignatureStore;
  readonly tickets: TicketStore;
  readonly beats: Beats;
}

/** @throws StartFailed */
export async function openDataPlane(
  config: Config,
  log: Log,
  clocks: GateClocks,
  storage: Storage,
  start: Start,
  adapters: Adapters,
): Promise<DataPlane> {
  const registry = await start.step(
    'model servers',
    () => openModelServers(config, log),
    (opened) => opened.close(),
  );
  const ladder = openLadder(storage, clocks, log);
  start.closes(() => ladder.close());
  const liveStats = new LiveStats(clocks.nowMs);
  const accountUsages = await start.step('usage', async () => {
    start.closes(await keepRefusalsOf(liveStats, storage, clocks, log));
    return AccountUsages.open(storage.store, adapters.limits(clocks.calendar), clocks.clock, (usage, history) =>
      ladder.begin(usage, history),
    );
  });
  const services = openServices(config, storage.dataDir);
  start.closes(() => services.close());
  const requestMetrics = requestMetricsOf(config, registry, clocks);
  const gate = await start.step('data plane', () =>
    gateOf(config, log, clocks, storage, {
      registry,
      ladder,
      accountUsages,
      observers: [ladder, liveStats, new PaceObserver(clocks.nowMs), ...(requestMetrics ? [requestMetrics] : [])],
      queue: adapters.queue(queueSettings(config, registry), 'models'),
      send: adapters.send,
      services,
      serviceQueue: adapters.queue(serviceQueue(config, services), 'services'),
      throttle: adapters.failures('keys', () => config.live.now.authFailuresPerMinute, clocks.nowMs),
      signatures: adapters.signatures(2_000 * config.signatureSkewSeconds + 1_000, clocks.nowMs),
      tickets: adapters.tickets(clocks.nowMs),
      beats: adapters.beats,
    }),
  );
  const models = await openModelPulls(log, storage, gate);
  start.closes(() => models.stop());
  return {
    gate,
    models: models.management,
    shownPulls: models.shown,
    liveStats,
    accountUsages,
    requestMetrics,
    storedServers: openStoredServers(config, log, storage.store, gate),
    storedRoutes: openStoredRoutes(config, log, storage.store, gate),
  };
}

function requestMetricsOf(
  { metricsPort }: Config,
  registry: UpstreamRegistry,
  { nowMs }: GateClocks,
): RequestMetrics | undefined {
  if (metricsPort === 0) return undefined;
  return new RequestMetrics((model) => registry.all.some(({ models }) => models.names?.has(model) === true), nowMs);
}

function openLadder({ store, changes, gates }: Storage, { clock }: GateClocks, { logger }: Log): Ladder {
  return new Ladder({
    store,
    clocks: clock,
    sums: new SumsOfGates(store, gates),
    onStep: async ({ id, step, accountId, keyId, shadow, reason }) => {
      logger.warn({ id, step, account: accountId, key: keyId, shadow }, `a step of the ladder: ${reason}`);
      if (!shadow) await changes.announce();
    },
    onError: (error) => logger.error({ cause: describeCause(error) }, 'a step of the ladder could not be taken'),
  });
}

function relayingOf(live: LiveSettings): Derived<RelaySettings> {
  const answers = new BodyBudget(() => live.now.answerMemoryBytes);
  return live.derive((values) => relaySettingsOf(values, answers));
}

const bodyLimitsOf = ({ live }: Config): BodyLimits => ({
  get bodyBytes() {
    return live.now.bodyLimitBytes;
  },
  get bodyTimeoutMs() {
    return live.now.bodySeconds * 1000;
  },
  budget: new BodyBudget(() => live.now.bodyMemoryBytes),
});

function keyCacheOf(
  config: Config,
  { clock }: GateClocks,
  { store, operator, changes }: Storage,
  { lifeMs }: Beats,
): KeyCache {
  // Without heartbeats others give a gateway up after the same time.
  const graceMs = config.databaseUrl === '' ? 0 : lifeMs;
  return new KeyCache(store, staticDigests(config), operator.id, clock.wall, clock.steady, graceMs, () =>
    changes.isBlind(),
  );
}

function gateOf(config: Config, log: Log, clocks: GateClocks, storage: Storage, shared: Shared): Gate {
  const { clock, nowMs } = clocks;
  const { registry, ladder, accountUsages } = shared;
  const { live } = config;
  const relaying = relayingOf(live);
  const cors = live.derive(({ corsOrigins }) => corsPolicy(corsOrigins));
  const skewMs = config.signatureSkewSeconds * 1000;
  const keyCache = keyCacheOf(config, clocks, storage, shared.beats);
  const shownBlobs = new ShownBlobs();
  const modelRules = modelRulesOf(live, registry, shownBlobs);
  const facts = new RegistryFacts(registry, nowMs);
  const decisions = decisionsOf(live, keyCache, modelRules, clock.wall);
  return {
    limits: bodyLimitsOf(config),
    get relaySettings() {
      return relaying.now;
    },
    get cors() {
      return cors.now;
    },
    trustedProxies: new AddressBlocks(config.trustedProxies),
    modelRules,
    names: modelRules.names,
    shownBlobs,
    get modelFacts() {
      return facts.now;
    },
    signatureSkewMs: skewMs,
    keyCache,
    replays: new ReplayGuard(shared.signatures),
    journal: storage.ledger,
    registry,
    running: new ActiveRequests(decisions),
    recorder: recorderOf(log, clocks, storage, shared),
    throttle: shared.throttle,
    rules: { accountUsages, clocks: clock },
    lines: new AccountLines(() => live.now.queueSeconds * 1000),
    services: shared.services,
    ...turnsOf(shared),
    openSockets: new OpenSockets(),
    tickets: shared.tickets,
    tokens: new AccessTokens(storage.store, new IssuerKeys(nowMs), clock.wall, clock.steady),
    loads: new ColdLoads(() => live.now.firstByteSeconds * 1000, registry.loadTimes),
    ladder,
    decisions,
    get appealContact() {
      return live.now.appealContact;
    },
    wallNow: clock.wall,
    tlsOnly: tlsMode(config) !== 'off',
    gates: storage.gates,
    catchUp: catchUpOf(storage),
    draining: false,
    maintenance: null,
    announced: new Announced(),
  };
}

const catchUpOf =
  ({ gates, changes, store }: Storage): Gate['catchUp'] =>
  async () => {
    await gates.confirm();
    if (store.loss() !== undefined) throw new GatewayError('draining');
    // The database did not answer: another gate may have taken this one's place.
    if (gates.certainUntilMs < performance.now()) throw new GatewayError('identity_unavailable');
    await changes.look();
  };

const decisionsOf = (
  live: LiveSettings,
  keyCache: KeyCache,
  modelRules: ModelRules,
  wallNow: () => number,
): Decisions =>
  new Decisions({
    keyCache,
    modelRules,
    wallNow,
    get appealContact() {
      return live.now.appealContact;
    },
  });

function modelRulesOf(
  live: LiveSettings,
  registry: UpstreamRegistry,
  shownBlobs: ShownBlobs,
): ModelRules & Pick<Gate, 'names'> {
  const registryHosts = live.derive((values) => new Set(values.registryHosts));
  const isRemote = (name: string, caller: Principal): boolean => registry.isRemote(name, caller);
  const names = new ModelNames({
    isServed: (model, operation, caller) =>
      registry.reachableBy(caller).some((server) => canServe(server, model, operation, caller)),
    isRemote,
  });
  return {
    names,
    get registryHosts() {
      return registryHosts.now;
    },
    isRemote,
    reachesServer: (caller) => registry.servers.length === 0 || registry.reachableBy(caller).length > 0,
    hasShown: (account, digest) => shownBlobs.has(account, digest),
  };
}

/** How calls get their turns, at models and at published services. */
const turnsOf = ({
  registry,
  queue,
  serviceQueue: atServices,
}: Shared): Pick<Gate, 'queue' | 'reachOf' | 'takes' | 'assign' | 'serviceTurns'> => ({
  queue,
  reachOf: (call) => ableOf(registry.reachableBy(call.caller.principal), call),
  takes: mayServe,
  assign: (server, demand) => registry.assign(server, demand),
  serviceTurns: { queue: atServices, reachOf: reachOfSession, takes: () => true, assign: () => undefined },
});

/** A call of a session goes to the server that has the session. */
const reachOfSession = ({ mcp, operation }: Intended): readonly ServiceServer[] | undefined =>
  mcp?.session && isPublished(operation) ? operation.service.alone.get(mcp.session.server) : undefined;

function queueSettings({ live }: Config, registry: UpstreamRegistry): SharedQueueSettings<Upstream> {
  return {
    serversFor: (_, { demand, reach }, ahead) => registry.serving(demand, reach, ahead),
    slotsFor: slotsOf(live),
    get maxWaiting() {
      return live.now.queueLength;
    },
    get maxWaitMs() {
      return live.now.queueSeconds * 1000;
    },
    nameOf: ({ entry }) => entry.url.href,
    trialsOf: ({ health }) => health.trials,
    trials: { take: ({ health }) => health.take(), giveBack: ({ health }, hold) => health.giveBack(hold) },
  };
}

/** From now on, changes take effect: the rules are read again, and every running caller is checked again. */
export async function followChanges(
  changes: ChangeFeed,
  store: Store,
  { gate, storedServers, storedRoutes }: DataPlane,
  { logger }: Log,
): Promise<void> {
  await changes.subscribe({
    what: 'whether the gateway is under maintenance could not be read; it stays as it is',
    run: async () => void (gate.maintenance = await store.readMaintenance()),
  });
  await changes.subscribe({
    what: 'the announcements could not be read; they stay as they are',
    run: async () => gate.announced.set(await store.listAnnouncements(), gate.wallNow()),
  });
  // Before the callers, because their rights can depend on the meaning of a model name.
  await changes.subscribe({
    what: 'the model names could not be read; they stay as they are',
    isBasis: true,
    run: async () => gate.names.setNames(await store.listModelNames()),
  });
  await changes.subscribe({
    what: 'what is known of callers could not be forgotten',
    run: (staleMs, accounts) => {
      gate.keyCache.forget(staleMs, accounts);
      return Promise.resolve(gate.tokens.forget(accounts));
    },
  });
  await changes.subscribe({
    what: 'callers that run could not be asked after',
    run: (_, accounts) => gate.running.recheck(accounts),
  });
  await changes.subscribe({
    what: 'the rules could not be read; the last ones stay in force',
    run: async () => {
      const rules = await store.listRules();
      gate.ladder.setRules(rules);
      logger.debug({ rules: rules.filter((rule) => rule.enabled).map((rule) => rule.name) }, 'the rules in force');
    },
  });
  await changes.subscribe({
    what: 'the model servers could not be read; they stay as they are',
    run: () => storedServers.reconcile(),
  });
  await changes.subscribe({
    what: 'the routes could not be read; they stay as they are',
    run: () => storedRoutes.reconcile(),
  });
}

/** The overview knows them after a restart. */
const keepRefusalsOf = (stats: LiveStats, { store }: Storage, { clock }: GateClocks, { logger }: Log) =>
  keepRefusals({
    store,
    clock,
    stats,
    onError: (error) =>
      logger.error({ cause: describeCause(error) }, 'refusals of callers without an account could not be kept'),
  });

// The composition root: settings → store → ledger → upstreams → gate → listener. The only room, with cli.ts,
// that names an adapter.
import type { AddressInfo } from 'node:net';
import { uptime } from 'node:os';
import { join } from 'node:path';
import type { RequestHandler } from 'express';
import { operatorName } from '../domain/account.ts';
import { AddressBlocks } from '../domain/address.ts';
import { Calendar } from '../domain/calendar.ts';
import { parseModelName } from '../domain/model-name.ts';
import { unlimited } from '../domain/plan.ts';
import { SteadyClock } from '../domain/steady-clock.ts';
import type { MonotonicMs } from '../domain/time.ts';
import { accessLog } from '../gateway/access-log.ts';
import { Running } from '../gateway/active-requests.ts';
import { corsPolicy } from '../gateway/answer/cors.ts';
import { Comments } from '../gateway/answer/keep-alive-comments.ts';
import { answerHeaders } from '../gateway/browser.ts';
import { factsOf } from '../gateway/context-size.ts';
import { Decisions } from '../gateway/decide-again.ts';
import { AuthThrottle } from '../gateway/identity/auth-throttle.ts';
import { KeyRing } from '../gateway/identity/key-cache.ts';
import { ReplayGuard } from '../gateway/identity/replay-guard.ts';
import { openOutlook } from '../gateway/introspection.ts';
import { AccountLines } from '../gateway/limits/account-line.ts';
import { Books } from '../gateway/limits/account-usage.ts';
import { FairQueue } from '../gateway/limits/fair-queue.ts';
import { Ladder } from '../gateway/limits/ladder.ts';
import { Pulse } from '../gateway/live-stats.ts';
import type { ModelRules } from '../gateway/model-access.ts';
import { EndObservers } from '../gateway/observers.ts';
import { BodyBudget } from '../gateway/payload/body-budget.ts';
import type { Gate } from '../gateway/pipeline.ts';
import { Refusals } from '../gateway/refusal-rollup.ts';
import { relaySettingsOf } from '../gateway/relay-settings.ts';
import { Upkeep } from '../gateway/retention.ts';
import { ShownBlobs } from '../gateway/uploads.ts';
import { Connections, roomFor } from '../listener/connection-limiter.ts';
import { inOrder, listen, openServers, stopListening, within } from '../listener/server.ts';
import { openAccount } from '../management/accounts.ts';
import { openPlane } from '../management/management-app.ts';
import type { Notices } from '../management/notices.ts';
import type { Provider } from '../management/sign-in/provider.ts';
import { describeCause, type Log } from '../observe/log.ts';
import { watchLoop } from '../observe/loop-watch.ts';
import { type Config, isExposed, pageUrl, plainPort, staticDigests, tlsMode } from '../settings/config.ts';
import { Follower } from '../store/change-watcher.ts';
import { lockDirectory, openDirectory, whenFree } from '../store/data-directory.ts';
import { Ledger } from '../store/ledger.ts';
import type { Store } from '../store/ports.ts';
import { openSqlite } from '../store/sqlite.ts';
import { type PassFiles, readPass, refuseStray } from '../upstream/credentials.ts';
import { type Upstream, UpstreamPool } from '../upstream/pool.ts';
import { bothWays, encryptedOf, encryptionNow, keeperOf, oneWay } from './encryption.ts';

/** How often another process's changes are looked for; a revocation bites within this and a little. */
const watchIntervalMs = 250;
/** A write that waits for another process's holds up every stream; the ledger tries again later. */
const storePatienceMs = 200;

export interface OpenGate {
  readonly url: string;
  /** Looks at files that may have changed. */
  reload(): void;
  /** Every record of an ended exchange is in the store when this resolves. */
  settle(): Promise<void>;
  /** Calls that wait for their turn now. */
  waiting(): number;
  /** Resolves, with a sentence, when the gate cannot go on and has to be stopped. */
  readonly over: Promise<string>;
  /** A one-time link for the first operator, where there is none yet. */
  setUpLink(): Promise<string | undefined>;
  readonly notices: Notices;
  /** Drains, flushes, and leaves nothing open. */
  stop(): Promise<void>;
}

/** Brings the gate up. @throws StoreUnusable with a sentence for whoever started it. */
export async function serve(asked: Config, log: Log): Promise<OpenGate> {
  const config: Config = { ...asked, dataDir: openDirectory(asked.dataDir) };
  const lock = await lockDirectory(config.dataDir);
  const patiently = <T>(work: () => Promise<T>): Promise<T> =>
    whenFree(config.dataDir, work, (sentence) => log.logger.warn(sentence));
  const store = await patiently(() => openSqlite(config.dataDir, storePatienceMs, true));
  const nowMs = (): MonotonicMs => performance.now();
  const clock = new SteadyClock({ wallMs: () => Date.now(), monotonicMs: nowMs, uptimeMs: () => uptime() * 1000 });
  const calendar = new Calendar(config.timeZone);
  const ledger = await patiently(() =>
    Ledger.start(store, config.dataDir, (error) =>
      log.logger.error({ cause: describeCause(error) }, 'the ledger could not be written'),
    ),
  );
  const refusals = new Refusals(ledger, config.refusedRowsPerMinute, clock.steady);
  const operator = await patiently(() =>
    openAccount(store, operatorName, unlimited, { actor: 'gate', at: clock.wall() }),
  );
  const ring = new KeyRing(store, staticDigests(config), operator.id, clock.wall, clock.steady);
  const servers = config.upstream.map((address) => new URL(address));
  const passFiles: PassFiles = {
    ca: config.upstreamCa,
    cert: config.upstreamCert,
    key: config.upstreamKey,
    headers: config.upstreamHeaderFile,
  };
  refuseStray(servers, passFiles);
  const pool = new UpstreamPool(
    servers,
    {
      connectTimeoutMs: config.connectSeconds * 1000,
      probeIntervalMs: config.probeSeconds * 1000,
      passFor: (server) => readPass(server, passFiles),
      takesStreamOptions: ({ origin }) => !config.noStreamOptions.some((server) => new URL(server).origin === origin),
    },
    (upstream, up, reason) => {
      if (up) log.logger.info({ upstream: upstream.name }, 'the model server answers');
      else log.logger.warn({ upstream: upstream.name, reason }, 'no model server answers there; the gate keeps trying');
    },
  );
  const skewMs = config.signatureSkewSeconds * 1000;
  const ladder = new Ladder({
    store,
    clocks: clock,
    onStep: async ({ id, step, accountId, keyId, shadow, reason }) => {
      log.logger.warn({ id, step, account: accountId, key: keyId, shadow }, `a step of the ladder: ${reason}`);
      if (!shadow) await follower.look(true);
    },
    onError: (error) => log.logger.error({ cause: describeCause(error) }, 'a step of the ladder could not be taken'),
  });
  const books = await Books.open(store, calendar, clock, (book, history) => ladder.begin(book, history));
  const modelSlots = slotsOf(config.modelSlots);
  const lines = new AccountLines(config.queueSeconds * 1000);
  const queue = new FairQueue<Upstream>({
    serversFor: (model) => pool.serving(model),
    slotsFor: (model) => modelSlots.get(model) ?? config.slots,
    maxWaiting: config.queueLength,
    maxWaitMs: config.queueSeconds * 1000,
  });
  const pulse = new Pulse(nowMs);
  const shownBlobs = new ShownBlobs();
  const modelRules: ModelRules = {
    registryHosts: new Set(config.registryHosts),
    isRemote: (name) => pool.isRemote(name),
    hasShown: (account, digest) => shownBlobs.has(account, digest),
  };
  const decisions = new Decisions({ ring, modelRules, wallNow: clock.wall, appealContact: config.appealContact });
  const running = new Running(decisions);
  const gate: Gate = {
    limits: {
      bodyBytes: config.bodyLimitBytes,
      bodyTimeoutMs: config.bodySeconds * 1000,
      budget: new BodyBudget(config.bodyMemoryBytes),
    },
    relaySettings: relaySettingsOf(config),
    cors: corsPolicy(config.corsOrigins),
    trustedProxies: new AddressBlocks(config.trustedProxies),
    modelRules,
    shownBlobs,
    modelFacts: factsOf(pool.upstreams, nowMs),
    signatureSkewMs: skewMs,
    ring,
    replays: new ReplayGuard(2 * skewMs + 1_000, nowMs),
    journal: ledger,
    pool,
    running,
    recorder: {
      end: (record, begun) => refusals.end(record, begun),
      log: accessLog(log, nowMs),
      nowMs,
      observers: new EndObservers([ladder, pulse], nowMs, (observer, failures, error) =>
        log.logger.error({ observer, failures, cause: describeCause(error) }, 'an observer of ended exchanges failed'),
      ),
    },
    throttle: new AuthThrottle(config.authFailuresPerMinute, nowMs),
    rules: { books, calendar, clocks: clock },
    lines,
    queue,
    ladder,
    decisions,
    appealContact: config.appealContact,
    wallNow: clock.wall,
    tlsOnly: tlsMode(config) !== 'off',
    draining: false,
  };
  // The pages' address is known when the listener is; until then nobody can ask for them.
  const late: { router?: RequestHandler } = {};
  const open: { plain?: true; port?: number } = {};
  const keeper = await keeperOf(config, log, {
    store,
    now: clock.wall,
    nowMs,
    ways: () => (open.plain ? bothWays : oneWay),
  });
  const { listener, plain } = openServers(
    gate,
    { live: () => true, ready: () => readiness(gate, store) },
    (request, response, next) => (late.router ? late.router(request, response, next) : next()),
    {
      headMs: config.headSeconds * 1000,
      idleMs: config.idleSeconds * 1000,
    },
    new Connections(roomOf(config, log)),
    keeper && encryptedOf(config, keeper, () => open.port ?? config.port),
  );
  const follower = followStore(store, gate, log);
  await follower.start();
  await listen(listener, config.port, config.host);
  const { port } = listener.address() as AddressInfo;
  open.port = port;
  if (plain && plainPort(config) !== 0) {
    try {
      await listen(plain, plainPort(config), config.host);
      open.plain = true;
    } catch (error) {
      log.logger.warn({ reason: (error as Error).message }, 'nothing listens for plain HTTP; the gate goes on without');
    }
  }
  const url = pageUrl({ ...config, publicUrl: '', port });
  const plane = openPlane(
    {
      ...config,
      portal: config.publicUrl === '' ? url : new URL(config.publicUrl),
      exposed: isExposed(config),
      providers: providersOf(config),
      pages: join(import.meta.dirname, '../../portal/dist'),
    },
    {
      store,
      outlook: openOutlook(gate, pulse),
      failures: gate.throttle,
      applications: new AuthThrottle(config.applicationsPerMinute, nowMs),
      trustedProxies: gate.trustedProxies,
      now: clock.wall,
      nowMs,
      tls: keeper && {
        names: () => keeper.status().certificates.flatMap(({ names }) => names),
        authority: () => keeper.authority(),
      },
      encryption: () => encryptionNow(config, keeper),
      onChange: () => void follower.look(true),
      onError: (message, error, id) => log.logger.error({ id, cause: describeCause(error) }, message),
    },
  );
  late.router = plane.router;
  const watch = setInterval(() => void follower.look(), watchIntervalMs);
  const upkeep = new Upkeep({
    store,
    books,
    clock,
    isBehind: () => ledger.isBehind,
    retentionMs: config.retentionDays * 86_400_000,
    logger: log.logger,
  });
  const stalls = { readerMs: config.readerStallSeconds * 1000, uploadMs: config.transferSilenceSeconds * 1000 };
  let lostBefore: string | undefined;
  const over = Promise.withResolvers<string>();
  const comments = new Comments(config.sseCommentSeconds * 1000, answerHeaders);
  const sweep = setInterval(() => {
    running.sweep(nowMs(), stalls, comments);
    lines.sweep(nowMs());
    queue.sweep(nowMs());
    refusals.sweep();
    pulse.sample(running.exchanges());
    const lost = lock.look();
    if (lost !== undefined && lost !== lostBefore) log.logger.warn(lost);
    lostBefore = lost;
    const loss = store.loss();
    if (loss !== undefined) over.resolve(loss);
  }, watchIntervalMs);
  const unwatch = watchLoop((heldMs) =>
    log.logger.warn({ heldMs }, 'the process was held up, and every stream with it'),
  );
  void pool.start();
  keeper?.start();

  return {
    url: url.origin,
    over: over.promise,
    setUpLink: () => patiently(() => plane.setUpLink()),
    notices: plane.notices,
    reload: () => {
      keeper?.reload();
      try {
        pool.renew();
      } catch (error) {
        log.logger.error(
          { reason: (error as Error).message },
          'files of a model server cannot be used; nothing changed',
        );
      }
    },
    settle: () => {
      refusals.flush();
      return ledger.settle();
    },
    waiting: () => queue.snapshot().reduce((sum, lane) => sum + lane.waiting, lines.waiting),
    stop: async () => {
      const mustEndMs = nowMs() + config.drainSeconds * 1000;
      gate.draining = true;
      running.endWaiting('draining');
      const closed = stopListening(listener);
      const drained = await within(config.drainSeconds * 1000, running.whenIdle());
      if (!drained) {
        running.endAll('draining');
        await within(2_500, running.whenIdle());
      }
      listener.closeIdleConnections();
      // Last frames are written; whoever still does not read them is cut.
      if (!(await within(2_500, closed))) listener.closeAllConnections();
      clearInterval(watch);
      clearInterval(sweep);
      unwatch();
      await inOrder(
        () => upkeep.stop(),
        () => plane.stop(Math.max(0, mustEndMs - nowMs())),
        () => keeper?.stop(),
        () => pool.close(),
        () => refusals.flush(),
        () => ledger.close(),
        () => store.close(),
        () => lock.release(),
      );
    },
  };
}

async function readiness(gate: Gate, store: Store): Promise<Record<string, boolean>> {
  const answers = await store.ping().then(
    () => true,
    () => false,
  );
  return { accepting: !gate.draining, store: answers, upstream: gate.pool.anyUp };
}

/** What is asked again when something was written: the rules in force, and whether every caller who is here may still be. */
function followStore(store: Store, gate: Gate, { logger }: Log): Follower {
  return new Follower({
    version: () => store.version(),
    work: [
      {
        what: 'callers that run could not be asked after',
        run: () => {
          gate.ring.forget();
          return gate.running.recheck();
        },
      },
      {
        what: 'the rules could not be read; the last ones stay in force',
        run: async () => {
          const rules = await store.listRules();
          gate.ladder.setRules(rules);
          logger.debug({ rules: rules.filter((rule) => rule.enabled).map((rule) => rule.name) }, 'the rules in force');
        },
      },
    ],
    onFailure: (what, error) => logger.error({ cause: describeCause(error) }, `${what}; the gate keeps trying`),
    onRecovery: (what) => logger.info(`over: ${what}`),
  });
}

/** Connections at once: no more than the system has descriptors for. */
function roomOf({ maxConnections }: Config, { logger }: Log): number {
  const room = roomFor(maxConnections);
  if (room < maxConnections)
    logger.warn({ room }, 'max_connections is more than there are descriptors for (ulimit -n)');
  return room;
}

/** `gemma3:4b=8` by the name under which the queue knows the model. */
function slotsOf(list: readonly string[]): ReadonlyMap<string, number> {
  return new Map(
    list.map((entry) => {
      const [model = '', slots] = entry.split('=');
      return [parseModelName(model)?.canonical ?? model, Number(slots)];
    }),
  );
}

function providersOf(config: Config): Provider[] {
  const { oidcIssuer: issuer, oidcClientId, oidcClientSecret, oidcName } = config;
  if (issuer === '') return [];
  return [
    {
      id: 'oidc',
      name: oidcName === '' ? new URL(issuer).hostname : oidcName,
      issuer,
      clientId: oidcClientId,
      clientSecret: oidcClientSecret,
      passesSecondStep: config.oidcTwoFactorIssuer === issuer,
      confirmsSilently: config.oidcConfirmedIssuer === issuer,
      signsOut: config.oidcSignOut === 'provider',
      seconds: config.oidcSeconds,
    },
  ];
}

// The composition root: settings → storage → data plane → certificates → listener → management plane → jobs. Besides run-command.ts,
// only this room names adapters. Each part gets the parts before it; this file defines the order.
import { maintenanceAt } from '../domain/maintenance.ts';
import type { Health } from '../listener/server.ts';
import type { Outbox } from '../management/mail/outbox.ts';
import type { ManagementApp } from '../management/management-app.ts';
import { describeCause, type Log } from '../observe/log.ts';
import { type Config, pageUrl } from '../settings/config.ts';
import type { GateCertificates } from '../tls/certificate-manager.ts';
import type { ServerLoad } from '../upstream/loads/cold-loads.ts';
import { type Adapters, inMemory } from './adapters.ts';
import { type GateClocks, openClocks } from './clocks.ts';
import { type DataPlane, followChanges, openDataPlane } from './data-plane.ts';
import { bothWays, gateCertificatesOf, oneWay, unencryptedOf } from './encryption.ts';
import { startJobs } from './jobs.ts';
import { closeListener, openListener, openPlainPort } from './listening.ts';
import { followSettings } from './live-settings.ts';
import { openManagementPlane } from './management-plane.ts';
import { openMetrics } from './metrics.ts';
import { type ServerControl, serverControl } from './model-servers.ts';
import { publishFromFile, reloadRoutes } from './services.ts';
import { Deadline, drain } from './shutdown.ts';
import { Start, type StartStep } from './start.ts';
import { openStorage, type Storage } from './storage.ts';

export interface OpenGate {
  readonly url: string;
  /** Reloads files that may have changed. */
  reload(): void;
  /** Resolves when every record of an ended exchange is in the store. */
  settle(): Promise<void>;
  /** The number of calls that wait for their turn. */
  waiting(): number;
  /** Loads of models for which calls wait. */
  loads(): readonly ServerLoad[];
  /** Resolves with a sentence when the gateway cannot continue and has to be stopped. */
  readonly over: Promise<string>;
  /** A one-time link for the first operator, if there is no operator yet. */
  setUpLink(): Promise<string | undefined>;
  readonly outbox: Outbox;
  readonly servers: ServerControl;
  /** Drains, flushes, and closes everything. */
  stop(): Promise<void>;
}

/**
 * Starts the gateway. If a step fails, everything before it is closed again. `before` is called before each step, and can fail
 * the step by throwing; `signal` makes the start fail. @throws StartFailed
 */
export async function serve(
  config: Config,
  log: Log,
  before: (step: StartStep) => void = () => undefined,
  adapters: Adapters = inMemory,
  signal: AbortSignal = new AbortController().signal,
): Promise<OpenGate> {
  const start = new Start(before, signal);
  try {
    return await open(config, log, start, adapters);
  } catch (error) {
    await start.close().catch((cause: unknown) => {
      log.logger.error({ cause: describeCause(cause) }, 'not everything that the start had opened could be closed');
    });
    throw error;
  }
}

async function open(asked: Config, log: Log, start: Start, adapters: Adapters): Promise<OpenGate> {
  const clocks = openClocks(asked);
  const storage = await openStorage(asked, log, clocks, start, adapters);
  const config: Config = { ...asked, dataDir: storage.dataDir };
  await start.step('settings', () => followSettings(config, storage, log));
  const chosen = await start.step('redis', () => sharedAdapters(config, log, clocks, storage, start, adapters));
  const data = await openDataPlane(config, log, clocks, storage, start, chosen);
  const { gate } = data;
  const certificates = await start.step(
    'certificates',
    () => gateCertificatesOf(config, log, { store: storage.store, now: clocks.clock.wall, nowMs: clocks.nowMs }),
    (opened) => opened?.stop(),
  );
  await start.step('rules', () => followChanges(storage.changes, storage.store, data, log));

  const listening = await start.step('port', () => openListener(config, log, certificates), closeListener);
  const { servers, port } = listening;
  const url = pageUrl({ ...config, publicUrl: '', port });
  const deadline = new Deadline(clocks.nowMs);
  const plane = await start.step(
    'management plane',
    () => openManagementPlane(config, log, { clocks, storage, data, adapters: chosen, certificates, url, port }),
    (opened) => opened.stop(deadline.leftMs),
  );
  await start.step('services', () => publishFromFile(data.storedRoutes, config, port));
  gate.services.onLate((server) => gate.running.endOn(server));
  gate.services.onGone((published) => gate.running.endWaitingFor(published));
  await start.step('routes', () =>
    servers.serve({
      gate,
      health: healthOf(data, storage),
      plane: plane.router,
      unencrypted: certificates && unencryptedOf(config, certificates, port),
    }),
  );
  const hasPlain = await start.step('plain port', () => openPlainPort(config, servers, log));

  await start.step(
    'metrics',
    () => openMetrics(config, { clocks, storage, data, certificates }),
    (opened) => opened?.stop(),
  );

  const over = Promise.withResolvers<string>();
  await start.step('jobs', () =>
    startJobs(config, log, { clocks, storage, data, adapters: chosen }, start, over.resolve),
  );
  await start.step('renewal', () => certificates?.start(hasPlain ? bothWays : oneWay));
  start.closes(() => {
    deadline.begin(config.drainSeconds * 1000);
    return drain(gate, servers, config.drainSeconds * 1000);
  });
  return openedGate({ config, url, over: over.promise, log, storage, data, certificates, plane, start });
}

/** The client of Redis is loaded only if there is one. */
async function sharedAdapters(
  config: Config,
  log: Log,
  clocks: GateClocks,
  storage: Storage,
  start: Start,
  alone: Adapters,
): Promise<Adapters> {
  if (config.redisUrl === '') return alone;
  const { throughRedis } = await import('./redis.ts');
  return { ...alone, ...(await throughRedis(config, log, clocks, storage, alone, start)) };
}

interface Parts {
  readonly config: Config;
  readonly url: URL;
  readonly over: Promise<string>;
  readonly log: Log;
  readonly storage: Storage;
  readonly data: DataPlane;
  readonly certificates: GateCertificates | undefined;
  readonly plane: ManagementApp;
  readonly start: Start;
}

function openedGate({ config, url, over, log, storage, data, certificates, plane, start }: Parts): OpenGate {
  const { registry, queue, lines, serviceTurns } = data.gate;
  return {
    url: url.origin,
    over,
    setUpLink: () => storage.patiently(() => plane.setUpLink()),
    outbox: plane.outbox,
    servers: serverControl(config, data.gate),
    reload: () => {
      certificates?.reload();
      data.storedServers.reload();
      reloadRoutes(data.storedRoutes, config, Number(url.port), log);
      try {
        registry.renew();
      } catch (error) {
        log.logger.error(
          { reason: (error as Error).message },
          'files of a model server cannot be used; nothing changed',
        );
      }
    },
    settle: () => {
      storage.refusals.flush();
      return storage.ledger.settle();
    },
    waiting: () =>
      [...queue.snapshot(), ...serviceTurns.queue.snapshot()].reduce((sum, lane) => sum + lane.waiting, lines.waiting),
    loads: () => data.gate.loads.now(),
    stop: () => start.close(),
  };
}

function healthOf({ gate }: DataPlane, { store }: Storage): Health {
  return {
    live: () => true,
    ready: async () => {
      const answers = await store.ping().then(
        () => true,
        () => false,
      );
      const parts = { accepting: !gate.draining, store: answers, upstream: gate.registry.anyUp };
      return { parts, maintenance: maintenanceAt(gate.maintenance, gate.wallNow()) !== null };
    },
  };
}

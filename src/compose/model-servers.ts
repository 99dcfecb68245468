// Opens the model servers of the settings with their credentials, and lets servers be changed while the gate serves.
import { join } from 'node:path';
import { type ModelServer, readServerAddress } from '../domain/model-server.ts';
import { unseal } from '../domain/sealed-secret.ts';
import type { Secret } from '../domain/secret.ts';
import type { ModelManagement, PullProgress } from '../domain/server-models.ts';
import type { HealthState } from '../domain/server-status.ts';
import type { Gate } from '../gateway/pipeline.ts';
import { manageModels } from '../jobs/managed-models.ts';
import { ModelPulls } from '../jobs/model-pulls.ts';
import { StoredServers } from '../jobs/stored-servers.ts';
import { sealingKeysFrom } from '../management/servers/sealing.ts';
import { describeCause, type Log } from '../observe/log.ts';
import type { Config } from '../settings/config.ts';
import type { Store } from '../store/ports/store.ts';
import { type CredentialFiles, readCredentials, readOwnCredentials, refuseStray } from '../upstream/credentials.ts';
import { EarliestAnswer } from '../upstream/estimate/earliest-answer.ts';
import { kindNamed } from '../upstream/kinds.ts';
import { UpstreamRegistry } from '../upstream/registry.ts';
import type { ServerEntry, Upstream } from '../upstream/server.ts';
import { slotsOf } from './model-slots.ts';
import type { Storage } from './storage.ts';

/** Opens the model servers of the settings. @throws CredentialsUnusable if a file of a server cannot be used. */
export function openModelServers(config: Config, { logger }: Log): UpstreamRegistry {
  const urls = config.upstream.map((address) => new URL(address));
  refuseStray(urls, credentialFilesOf(config));
  const registry = new UpstreamRegistry(
    { connectTimeoutMs: config.connectSeconds * 1000, probeIntervalMs: config.probeSeconds * 1000 },
    new EarliestAnswer({ slotsFor: slotsOf(config.live), nowMs: () => performance.now() }),
    (upstream, state, reason, changes) => reportTurn(logger, upstream.name, state, reason, changes),
  );
  for (const url of urls) registry.add(entryOf(url, config));
  return registry;
}

function reportTurn(
  logger: Log['logger'],
  upstream: string,
  state: HealthState,
  reason: string,
  changes: number,
): void {
  const facts = { upstream, ...(changes > 1 ? { changes } : {}) };
  if (state === 'up') logger.info(facts, 'the model server answers');
  else if (state === 'loading') logger.info(facts, 'the model server is loading its model');
  else if (state === 'down')
    logger.warn({ ...facts, reason }, 'no model server answers there; the gateway keeps trying');
  else if (state === 'refused')
    logger.error({ ...facts, reason }, 'the model server refuses the gateway; check its secret');
  else logger.warn({ ...facts, state, reason }, 'the model server gets fewer calls for a while');
}

const credentialFilesOf = (config: Config): CredentialFiles => ({
  ca: config.upstreamCa,
  cert: config.upstreamCert,
  key: config.upstreamKey,
  headers: config.upstreamHeaderFile,
});

/** The settings of a server. */
function entryOf(url: URL, config: Config): ServerEntry {
  const files = credentialFilesOf(config);
  const refusers = config.noStreamOptions.map((address) => new URL(address).origin);
  return {
    url,
    readCredentials: () => readCredentials(url, files),
    takesStreamOptions: !refusers.includes(url.origin),
  };
}

/** The addresses of the settings, normalized for comparison with stored ones. */
const fixedAddresses = ({ upstream }: Config): ReadonlySet<string> => new Set(upstream.map(readServerAddress));

/** Follows the model servers in the store from the first `reconcile` on. */
export function openStoredServers(
  config: Config,
  { logger }: Log,
  store: Store,
  { registry, running, wallNow }: Pick<Gate, 'registry' | 'running' | 'wallNow'>,
): StoredServers {
  return new StoredServers({
    store,
    registry,
    running,
    wallNow,
    entryOf: (server) => storedEntryOf(server, config),
    fixed: fixedAddresses(config),
    drainMs: config.serverDrainSeconds * 1000,
    onUnusable: ({ name, address }, reason) =>
      logger.error(
        { server: name, upstream: address, reason },
        'a model server cannot be used; the gateway keeps trying',
      ),
    onError: (error) => logger.error({ cause: describeCause(error) }, 'a model server could not be removed'),
  });
}

/** Converts a stored server for the registry. @throws Error with a sentence if it cannot be used. */
function storedEntryOf(server: ModelServer, config: Config): ServerEntry {
  const { id, name, address, kind, secret, caFile, certificateFile, keyFile, weight, slots, plans, accounts } = server;
  const given = kind === null ? undefined : kindNamed(kind);
  if (kind !== null && !given) throw new Error(`this version knows no kind "${kind}"`);
  const url = new URL(address);
  const pathOf = (file: string | null): string | undefined => {
    if (file === null) return undefined;
    if (config.serverFiles === '') throw new Error(`${file}: the setting server_files names no directory for it`);
    return join(config.serverFiles, file);
  };
  const opened = (): Secret | undefined =>
    secret?.kind === 'stored' ? unseal(sealingKeysFrom(config.serverSecretKey), id, secret.sealed) : undefined;
  return {
    url,
    readCredentials: () =>
      readOwnCredentials(url, {
        ca: pathOf(caFile),
        cert: pathOf(certificateFile),
        key: pathOf(keyFile),
        headers: secret?.kind === 'file' ? pathOf(secret.file) : undefined,
        secret: opened(),
      }),
    takesStreamOptions: true,
    terms: { name, kind: given, weight, slots, plans, accounts },
  };
}

/** Changes the model servers while the gate serves. */
export interface ServerControl {
  /** Includes draining servers. */
  readonly all: readonly Upstream[];
  /** Adds a server, which takes calls immediately. @throws CredentialsUnusable if a file of it cannot be used. */
  add(address: URL): Upstream;
  /** See UpstreamRegistry. */
  drain(server: Upstream, withinMs: number): Promise<void>;
  remove(server: Upstream): Promise<void>;
}

export const serverControl = (
  config: Config,
  { registry, running }: Pick<Gate, 'registry' | 'running'>,
): ServerControl => ({
  get all() {
    return registry.all;
  },
  add: (address) => registry.add(entryOf(address, config)),
  drain: (server, withinMs) => registry.drain(server, withinMs, running),
  remove: (server) => registry.remove(server, running),
});

export interface OpenModels {
  readonly management: ModelManagement;
  /** What other gates have to know of the pulls that run here; undefined if there are none. */
  readonly shown: () => { readonly pulls: Readonly<Record<string, PullProgress>> } | undefined;
  /** Interrupts the pulls. */
  stop(): Promise<void>;
}

type Shown = Partial<NonNullable<ReturnType<OpenModels['shown']>>>;

/** The models on the servers, with the pulls that the gateway runs. */
export async function openModelPulls(
  { logger }: Log,
  { store, gates, changes }: Storage,
  { registry, modelRules, wallNow }: Pick<Gate, 'registry' | 'modelRules' | 'wallNow'>,
): Promise<OpenModels> {
  const pulls = new ModelPulls({
    store,
    gate: gates.id,
    wallNow,
    isThere: (server) => registry.all.includes(server),
    onError: (error) => logger.error({ cause: describeCause(error) }, 'the end of a pull could not be written down'),
  });
  await pulls.open();
  await changes.subscribe({
    what: 'whether pulls were canceled at another gateway could not be read',
    run: () => pulls.look(),
  });
  const mayPullFrom = (host: string): boolean => modelRules.registryHosts.has(host);
  const elsewhere = async (): Promise<ReadonlyMap<string, PullProgress>> =>
    new Map((await gates.shown()).flatMap(({ now }) => Object.entries((JSON.parse(now) as Shown).pulls ?? {})));
  return {
    management: manageModels({ registry, pulls, mayPullFrom, wallNow, elsewhere }),
    shown: () => {
      const running = pulls.progress();
      return running.size === 0 ? undefined : { pulls: Object.fromEntries(running) };
    },
    stop: () => pulls.stop(),
  };
}

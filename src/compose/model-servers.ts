// Opens the model servers of the settings with their credentials, and lets servers be changed while the gate serves.
import type { Gate } from '../gateway/pipeline.ts';
import type { Log } from '../observe/log.ts';
import type { Config } from '../settings/config.ts';
import { leastBusy } from '../upstream/choice.ts';
import { type CredentialFiles, readCredentials, refuseStray } from '../upstream/credentials.ts';
import { UpstreamRegistry } from '../upstream/registry.ts';
import type { ServerEntry, Upstream } from '../upstream/server.ts';

/** Opens the model servers of the settings. @throws CredentialsUnusable where a file of theirs cannot be used. */
export function openModelServers(config: Config, { logger }: Log): UpstreamRegistry {
  const urls = config.upstream.map((address) => new URL(address));
  refuseStray(urls, credentialFilesOf(config));
  const registry = new UpstreamRegistry(
    { connectTimeoutMs: config.connectSeconds * 1000, probeIntervalMs: config.probeSeconds * 1000 },
    leastBusy,
    (upstream, up, reason) => {
      if (up) logger.info({ upstream: upstream.name }, 'the model server answers');
      else logger.warn({ upstream: upstream.name, reason }, 'no model server answers there; the gate keeps trying');
    },
  );
  for (const url of urls) registry.add(entryOf(url, config));
  return registry;
}

const credentialFilesOf = (config: Config): CredentialFiles => ({
  ca: config.upstreamCa,
  cert: config.upstreamCert,
  key: config.upstreamKey,
  headers: config.upstreamHeaderFile,
});

/** What the settings say about a server. */
function entryOf(url: URL, config: Config): ServerEntry {
  const files = credentialFilesOf(config);
  const refusers = config.noStreamOptions.map((address) => new URL(address).origin);
  return {
    url,
    readCredentials: () => readCredentials(url, files),
    takesStreamOptions: !refusers.includes(url.origin),
  };
}

/** Changes the model servers while the gate serves. */
export interface ServerControl {
  /** Also the servers that are draining. */
  readonly all: readonly Upstream[];
  /** The server takes calls at once. @throws CredentialsUnusable where a file for it cannot be used. */
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

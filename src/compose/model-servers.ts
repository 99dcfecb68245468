// From the settings to the model servers behind the gate, with what each of them wants to see.
import type { Log } from '../observe/log.ts';
import type { Config } from '../settings/config.ts';
import { leastBusy } from '../upstream/choice.ts';
import { type PassFiles, readPass, refuseStray } from '../upstream/credentials.ts';
import { UpstreamRegistry } from '../upstream/registry.ts';

/** @throws PassUnusable where a file of theirs cannot be used. */
export function openModelServers(config: Config, { logger }: Log): UpstreamRegistry {
  const urls = config.upstream.map((address) => new URL(address));
  const passFiles: PassFiles = {
    ca: config.upstreamCa,
    cert: config.upstreamCert,
    key: config.upstreamKey,
    headers: config.upstreamHeaderFile,
  };
  refuseStray(urls, passFiles);
  const withoutStreamOptions = new Set(config.noStreamOptions.map((address) => new URL(address).origin));
  return new UpstreamRegistry(
    urls.map((url) => ({
      url,
      readPass: () => readPass(url, passFiles),
      takesStreamOptions: !withoutStreamOptions.has(url.origin),
    })),
    { connectTimeoutMs: config.connectSeconds * 1000, probeIntervalMs: config.probeSeconds * 1000 },
    leastBusy,
    (upstream, up, reason) => {
      if (up) logger.info({ upstream: upstream.name }, 'the model server answers');
      else logger.warn({ upstream: upstream.name, reason }, 'no model server answers there; the gate keeps trying');
    },
  );
}

// From the settings to the model servers behind the gate, with what each of them wants to see.
import type { Log } from '../observe/log.ts';
import type { Config } from '../settings/config.ts';
import { type PassFiles, readPass, refuseStray } from '../upstream/credentials.ts';
import { UpstreamPool } from '../upstream/pool.ts';

/** @throws PassUnusable where a file of theirs cannot be used. */
export function openModelServers(config: Config, { logger }: Log): UpstreamPool {
  const servers = config.upstream.map((address) => new URL(address));
  const passFiles: PassFiles = {
    ca: config.upstreamCa,
    cert: config.upstreamCert,
    key: config.upstreamKey,
    headers: config.upstreamHeaderFile,
  };
  refuseStray(servers, passFiles);
  return new UpstreamPool(
    servers,
    {
      connectTimeoutMs: config.connectSeconds * 1000,
      probeIntervalMs: config.probeSeconds * 1000,
      passFor: (server) => readPass(server, passFiles),
      takesStreamOptions: ({ origin }) => !config.noStreamOptions.some((server) => new URL(server).origin === origin),
    },
    (upstream, up, reason) => {
      if (up) logger.info({ upstream: upstream.name }, 'the model server answers');
      else logger.warn({ upstream: upstream.name, reason }, 'no model server answers there; the gate keeps trying');
    },
  );
}

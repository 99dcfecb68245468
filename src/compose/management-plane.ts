// Builds the management plane from the settings: sign-in, link addresses, and its view of the data plane.
import { openIntrospection } from '../gateway/introspection.ts';
import { type ManagementApp, openManagementApp } from '../management/management-app.ts';
import { routeRulesOf } from '../management/routes/route-rules.ts';
import { serverRulesOf } from '../management/servers/server-rules.ts';
import { describeCause, type Log } from '../observe/log.ts';
import { pagesDirectory } from '../package.ts';
import { type Config, isExposed, plainPort } from '../settings/config.ts';
import { ownHostsOf } from '../settings/routes-file.ts';
import type { GateCertificates } from '../tls/certificate-manager.ts';
import { kinds } from '../upstream/kinds.ts';
import type { Adapters } from './adapters.ts';
import type { GateClocks } from './clocks.ts';
import type { DataPlane } from './data-plane.ts';
import { encryptionNow } from './encryption.ts';
import { listenedOn } from './services.ts';
import type { Storage } from './storage.ts';

export interface ManagementParts {
  readonly clocks: GateClocks;
  readonly storage: Storage;
  readonly data: DataPlane;
  readonly adapters: Pick<Adapters, 'failures' | 'signIns'>;
  readonly certificates: GateCertificates | undefined;
  /** The address of the pages for a browser on this machine. */
  readonly url: URL;
  /** The port on which the gateway listens. */
  readonly port: number;
}

export function openManagementPlane(
  config: Config,
  { logger }: Log,
  { clocks, storage, data, adapters, certificates, url, port }: ManagementParts,
): ManagementApp {
  const { gate, liveStats } = data;
  return openManagementApp(
    {
      ...config,
      portal: config.publicUrl === '' ? url : new URL(config.publicUrl),
      exposed: isExposed(config),
      pages: pagesDirectory,
    },
    {
      store: storage.store,
      introspection: openIntrospection(gate, liveStats, storage.gates),
      serverRules: serverRulesOf(
        { ...config, port, httpPort: plainPort(config) },
        kinds.map(({ name }) => name),
      ),
      servers: data.storedServers,
      models: data.models,
      routes: data.storedRoutes,
      routeRules: () =>
        routeRulesOf(
          { ...listenedOn(config, port), serverFiles: config.serverFiles },
          data.storedRoutes.fixed().map(({ route }) => route),
          ownHostsOf(config),
        ),
      failures: gate.throttle,
      applications: adapters.failures('applications', () => config.live.now.applicationsPerMinute, clocks.nowMs),
      signIns: adapters.signIns(clocks.nowMs),
      trustedProxies: gate.trustedProxies,
      now: clocks.clock.wall,
      nowMs: clocks.nowMs,
      tls: certificates && {
        names: () => certificates.status().certificates.flatMap(({ names }) => names),
        authority: () => certificates.authority(),
      },
      encryption: () => encryptionNow(config, certificates),
      onKeyUse: (id, at) => storage.ledger.noteUse(id, at),
      onChange: () => void storage.changes.announce(),
      gates: async () => {
        await storage.gates.confirm();
        return storage.gates.alive.length;
      },
      onError: (message, error, id) => logger.error({ id, cause: describeCause(error) }, message),
    },
  );
}

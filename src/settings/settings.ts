// Every setting once: name, type, default, unit and meaning. Nothing is read here; config.ts does that.
// docs/configuration.md is held against this table by a house test.
import { z } from 'zod';
import {
  blocks,
  host,
  isOrigin,
  isTimeZone,
  list,
  noUpstreams,
  positiveSeconds,
  type Setting,
  seconds,
  setting,
  upstreams,
} from './kinds.ts';
import { liveSettings } from './live-table.ts';
import { serverSettings } from './servers.ts';
import { tlsSettings } from './tls.ts';

export const settings = {
  port: setting(
    'port',
    z.coerce.number().int().min(0).max(65_535),
    3000,
    '',
    'Port to listen on; 0 chooses a free one.',
  ),
  host: setting('host', host, '127.0.0.1', '', 'Address to listen on. 0.0.0.0 or :: opens the gateway to the network.'),
  metricsPort: setting(
    'metrics_port',
    z.coerce.number().int().min(0).max(65_535),
    0,
    '',
    'Port for /metrics in the text format of Prometheus; 0: none. It needs no key.',
  ),
  metricsHost: setting('metrics_host', host, '127.0.0.1', '', 'Address on which /metrics is served.'),
  metricsNames: setting(
    'metrics_names',
    list,
    [],
    'list of hosts',
    'Host names under which /metrics may be asked for, besides addresses, localhost and metrics_host.',
  ),
  publicUrl: setting(
    'public_url',
    z.string().refine((text) => text === '' || isOrigin(text), 'must be an origin such as https://gate.example.org'),
    '',
    'address',
    'Where browsers reach the gateway. Pages and sign-in then only answer under this name, and links in emails point to it.',
  ),
  ...liveSettings,
  upstream: setting(
    'upstream',
    upstreams,
    ['http://localhost:11434'],
    'list of addresses',
    'Model servers, best first. A trailing /v1 is ignored, because the gateway adds the paths.',
  ),
  ...serverSettings,
  routes: setting(
    'routes',
    z.string(),
    '',
    'path',
    'File with the services that are published beside the models (JSON, comments allowed); see services.md.',
  ),
  dataDir: setting(
    'data_dir',
    z.string().min(1),
    './data',
    'path',
    'Directory of the database and the journal, created with mode 0700.',
  ),
  databaseUrl: setting(
    'database_url',
    z
      .string()
      .refine(
        (text) => text === '' || /^postgres(ql)?:\/\/[^/?#]+\/[^/?#]+(\?[^#]*)?$/.test(text),
        'must be postgres://user:password@host/database, percent-encoded where user or password have other characters',
      ),
    '',
    'address',
    'PostgreSQL database in place of the file in data_dir; see database.md. The journal stays in data_dir.',
    true,
  ),
  databaseConnections: setting(
    'database_connections',
    z.coerce.number().int().min(2).max(100),
    10,
    'connections',
    'The most connections to that database.',
  ),
  redisUrl: setting(
    'redis_url',
    z
      .string()
      .refine(
        (text) => text === '' || /^rediss?(\+(sentinel|cluster))?:\/\/[^/?]+/.test(text),
        'must be redis://user:password@host:6379/0; docs/redis.md shows every form',
      ),
    '',
    'address',
    'Redis in which gateways count limits together, or rediss:// for an encrypted connection; see redis.md.',
    true,
  ),
  apiKeys: setting(
    'api_keys',
    list,
    [],
    'list of keys',
    'Static keys, or sha256:<hex> of one. Prefer keys made with `sekisho key create`.',
    true,
  ),
  apiKeysFile: setting(
    'api_keys_file',
    z.string(),
    '',
    'path',
    'File with static keys, one per line; # starts a comment.',
  ),
  trustedProxies: setting(
    'trusted_proxies',
    blocks,
    [],
    'list of CIDR blocks',
    'Proxies whose X-Forwarded-For is trusted.',
  ),
  logLevel: setting(
    'log_level',
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    'info',
    '',
    'How much is logged; debug logs every request.',
  ),
  logFormat: setting(
    'log_format',
    z.enum(['auto', 'json', 'text']),
    'auto',
    '',
    'Format of log lines; auto is text on a terminal and JSON otherwise.',
  ),
  drainSeconds: setting(
    'drain_seconds',
    seconds,
    30,
    's',
    'How long running answers may continue after a stop signal.',
  ),
  headSeconds: setting('head_seconds', positiveSeconds, 15, 's', 'How long a request head may take to arrive.'),
  idleSeconds: setting(
    'idle_seconds',
    positiveSeconds,
    15,
    's',
    'How long an idle connection is kept. Behind a load balancer: its idle time plus 5 s.',
  ),
  maxConnections: setting(
    'max_connections',
    z.coerce.number().int().min(1),
    10_000,
    'connections',
    'Client connections at once. When all are taken, an idle one is closed for a new one.',
  ),
  connectSeconds: setting(
    'connect_seconds',
    positiveSeconds,
    5,
    's',
    'How long connecting to a model server may take.',
  ),
  noStreamOptions: setting(
    'no_stream_options',
    noUpstreams,
    [],
    'list of addresses',
    'Model servers that refuse stream_options; usage of streams there is estimated. The gateway also finds out by itself.',
  ),
  probeSeconds: setting('probe_seconds', positiveSeconds, 5, 's', 'How often a model server is probed.'),
  timeZone: setting(
    'time_zone',
    z.string().refine(isTimeZone, 'must be a time zone such as UTC or Asia/Tokyo'),
    'UTC',
    '',
    'Time zone in which hours, days, weeks and months of limits begin.',
  ),
  retentionDays: setting(
    'retention_days',
    z.coerce.number().int().min(1).max(36_500),
    90,
    'days',
    'How long single usage records are kept; sums per quarter of an hour are kept forever.',
  ),
  signatureSkewSeconds: setting(
    'signature_skew_seconds',
    positiveSeconds,
    60,
    's',
    'How far the clock of a signing Ollama CLI may be off.',
  ),
  ...tlsSettings,
} as const satisfies Record<string, Setting>;

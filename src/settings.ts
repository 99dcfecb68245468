// Every setting once: name, type, default, unit and meaning. Nothing is read here; config.ts does that.
// docs/configuration.md is held against this table by a house test.
import { isIP } from 'node:net';
import { z } from 'zod';
import { AddressBlocks } from './domain/address.ts';

interface Setting {
  /** Lower case in the file, upper case in the environment. */
  readonly name: string;
  readonly schema: z.ZodType;
  readonly fallback: unknown;
  readonly unit: string;
  readonly meaning: string;
  readonly secret?: boolean;
}

const seconds = z.coerce
  .number()
  .min(0)
  .max(30 * 86_400);
const positiveSeconds = z.coerce
  .number()
  .min(0.001)
  .max(30 * 86_400);
const bytes = z.coerce
  .number()
  .int()
  .min(1)
  .max(2 ** 40);
const list = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((word) => word.trim())
          .filter((word) => word !== '')
      : value,
  z.array(z.string()),
);
const upstreams = list.pipe(
  z
    .array(z.string().refine(isUpstream, 'must be an http:// or https:// address without user, query or fragment'))
    .min(1),
);
const origins = list.pipe(
  z.array(
    z
      .string()
      .refine((origin) => origin === '*' || isOrigin(origin), 'must be an origin such as https://example.org, or *'),
  ),
);
const blocks = list.pipe(z.array(z.string().refine(isBlock, 'must be an address or a block such as 10.0.0.0/8')));
const slotList = list.pipe(
  z.array(z.string().refine((text) => /^[^=]+=[1-9]\d{0,4}$/.test(text), 'must be model=calls, such as gemma3:4b=8')),
);
const host = z
  .string()
  .refine((text) => isIP(text) !== 0 || /^[A-Za-z0-9.-]{1,253}$/.test(text), 'must be an address or a host name');

const setting = <T extends z.ZodType>(
  name: string,
  schema: T,
  fallback: z.output<T>,
  unit: string,
  meaning: string,
  secret = false,
) => ({
  name,
  schema,
  fallback,
  unit,
  meaning,
  secret,
});

export const settings = {
  port: setting('port', z.coerce.number().int().min(0).max(65_535), 3000, '', 'Port to listen on; 0 takes a free one.'),
  host: setting('host', host, '127.0.0.1', '', 'Address to listen on. 0.0.0.0 or :: opens the gate to the network.'),
  publicUrl: setting(
    'public_url',
    z.string().refine((text) => text === '' || isOrigin(text), 'must be an origin such as https://gate.example.org'),
    '',
    'address',
    'Where browsers reach the gate. Pages and sign-in then answer under this name only; links in letters point to it.',
  ),
  gateName: setting(
    'gate_name',
    z.string().min(1).max(60),
    'Sekisho',
    'text',
    'What the gate calls itself on pages and in letters.',
  ),
  smtpUrl: setting(
    'smtp_url',
    z.string().refine((text) => text === '' || /^smtps?:\/\/\S+$/.test(text), 'must begin with smtp:// or smtps://'),
    '',
    'address',
    'Mail server, as smtps://user:password@host:465. Without one, operators hand links on themselves.',
    true,
  ),
  mailFrom: setting(
    'mail_from',
    z.string().max(300),
    '',
    'address',
    'Sender of letters, as Sekisho <gate@example.org>.',
  ),
  oidcIssuer: setting(
    'oidc_issuer',
    z.string().refine((text) => text === '' || /^https?:\/\/\S+$/.test(text), 'must be an address'),
    '',
    'address',
    'OpenID Connect provider that people may sign in with; its discovery document stands below it.',
  ),
  oidcClientId: setting('oidc_client_id', z.string(), '', 'text', 'Client id at that provider.'),
  oidcClientSecret: setting('oidc_client_secret', z.string(), '', 'text', 'Client secret at that provider.', true),
  oidcName: setting(
    'oidc_name',
    z.string().max(60),
    '',
    'text',
    'What its button says; the host of the issuer if nothing is said.',
  ),
  upstream: setting(
    'upstream',
    upstreams,
    ['http://localhost:11434'],
    'list of addresses',
    'Model servers, best first.',
  ),
  dataDir: setting(
    'data_dir',
    z.string().min(1),
    './data',
    'path',
    'Where the database and the journal live; made with mode 0700.',
  ),
  apiKeys: setting(
    'api_keys',
    list,
    [],
    'list of keys',
    'Static keys, or sha256:<hex> of one. Keys made with `sekisho key create` are better.',
    true,
  ),
  apiKeysFile: setting(
    'api_keys_file',
    z.string(),
    '',
    'path',
    'File with static keys, one a line; # starts a comment.',
  ),
  corsOrigins: setting(
    'cors_origins',
    origins,
    [],
    'list of origins',
    'Web pages that may call the gate from a browser; * is any.',
  ),
  trustedProxies: setting(
    'trusted_proxies',
    blocks,
    [],
    'list of CIDR blocks',
    'Proxies in front whose X-Forwarded-For is believed.',
  ),
  registryHosts: setting(
    'registry_hosts',
    list,
    ['registry.ollama.ai', 'hf.co', 'huggingface.co'],
    'list of hosts',
    'Registries that models may be pulled from or pushed to, with the scope for it.',
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
    'Log lines for machines or for people; auto is text on a terminal.',
  ),
  drainSeconds: setting('drain_seconds', seconds, 30, 's', 'How long running answers may go on after a stop signal.'),
  bodyLimitBytes: setting(
    'body_limit_bytes',
    bytes,
    64 * 1024 * 1024,
    'bytes',
    'Largest request body that is read; blobs stream and are not limited.',
  ),
  bodyMemoryBytes: setting(
    'body_memory_bytes',
    bytes,
    512 * 1024 * 1024,
    'bytes',
    'How much the request bodies of all running calls may take together.',
  ),
  bodySeconds: setting('body_seconds', positiveSeconds, 120, 's', 'How long a request body may take to arrive.'),
  headSeconds: setting('head_seconds', positiveSeconds, 15, 's', 'How long a request head may take to arrive.'),
  idleSeconds: setting(
    'idle_seconds',
    positiveSeconds,
    15,
    's',
    'How long an idle connection is kept. Behind a load balancer: its own idle time and 5 s.',
  ),
  maxConnections: setting(
    'max_connections',
    z.coerce.number().int().min(1),
    10_000,
    'connections',
    'Client connections at once; more are closed at once.',
  ),
  connectSeconds: setting(
    'connect_seconds',
    positiveSeconds,
    5,
    's',
    'How long connecting to a model server may take.',
  ),
  firstByteSeconds: setting(
    'first_byte_seconds',
    positiveSeconds,
    900,
    's',
    'How long a model server may take to begin an answer; a cold load of a large model takes minutes.',
  ),
  silenceSeconds: setting(
    'silence_seconds',
    positiveSeconds,
    300,
    's',
    'How long an answer may be silent between two chunks.',
  ),
  totalSeconds: setting(
    'total_seconds',
    positiveSeconds,
    3600,
    's',
    'How long one inference may take in all. Transfers of models have no such limit.',
  ),
  metadataSeconds: setting(
    'metadata_seconds',
    positiveSeconds,
    60,
    's',
    'How long a look at versions, lists and details may take.',
  ),
  transferSilenceSeconds: setting(
    'transfer_silence_seconds',
    positiveSeconds,
    600,
    's',
    'How long a pull, push or create may be silent.',
  ),
  readerBufferBytes: setting(
    'reader_buffer_bytes',
    bytes,
    8 * 1024 * 1024,
    'bytes',
    'How much of an answer may wait for a slow reader before the reader is dropped.',
  ),
  readerStallSeconds: setting(
    'reader_stall_seconds',
    positiveSeconds,
    60,
    's',
    'How long a reader may take nothing before it is dropped.',
  ),
  probeSeconds: setting('probe_seconds', positiveSeconds, 5, 's', 'How often a model server is looked at.'),
  slots: setting(
    'slots',
    z.coerce.number().int().min(1).max(100_000),
    1,
    'calls',
    'How many calls a model server works on at once for one model; OLLAMA_NUM_PARALLEL, if it is set here, or 1, as Ollama does by itself.',
  ),
  modelSlots: setting(
    'model_slots',
    slotList,
    [],
    'list of model=calls',
    'Models with another number of slots than the rest, such as gemma3:4b=8.',
  ),
  queueLength: setting(
    'queue_length',
    z.coerce.number().int().min(0).max(100_000),
    256,
    'calls',
    'How many calls may wait for one model; beyond it whoever waits with most is refused.',
  ),
  queueSeconds: setting('queue_seconds', positiveSeconds, 300, 's', 'How long a call may wait for its turn.'),
  timeZone: setting(
    'time_zone',
    z.string().refine(isTimeZone, 'must be a time zone such as UTC or Asia/Tokyo'),
    'UTC',
    '',
    'Where the days and months of quotas begin.',
  ),
  appealContact: setting(
    'appeal_contact',
    z
      .string()
      .max(200)
      .regex(/^[\x20-\x7e]*$/, 'must be plain text'),
    '',
    '',
    'Where a suspended caller may appeal: an address or a page; part of the refusal.',
  ),
  authFailuresPerMinute: setting(
    'auth_failures_per_minute',
    z.coerce.number().int().min(1).max(1_000_000),
    30,
    'failures',
    'Wrong keys from one address (IPv6: one /64) in a minute before more are refused unseen.',
  ),
  applicationsPerMinute: setting(
    'applications_per_minute',
    z.coerce.number().int().min(1).max(1_000_000),
    5,
    'applications',
    'How many applications for a key one address (IPv6: one /64) may send in a minute.',
  ),
  retentionDays: setting(
    'retention_days',
    z.coerce.number().int().min(1).max(36_500),
    90,
    'days',
    'How long the raw rows of the ledger are kept; hourly sums stay.',
  ),
  signatureSkewSeconds: setting(
    'signature_skew_seconds',
    positiveSeconds,
    60,
    's',
    'How far the clock of a signing Ollama CLI may be off.',
  ),
} as const satisfies Record<string, Setting>;

function isUpstream(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
}

function isOrigin(text: string): boolean {
  return URL.parse(text)?.origin === text || /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]*$/i.test(text);
}

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

function isBlock(text: string): boolean {
  try {
    new AddressBlocks([text]);
    return true;
  } catch {
    return false;
  }
}

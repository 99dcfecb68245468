// Every setting once: name, type, default, unit and meaning. Values come from sekisho.yaml and the environment, the
// environment wins, and an unknown name or a wrong value refuses to start with all faults listed at once.
// docs/configuration.md is held against this table by a house test.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { AddressBlocks } from './domain/address.ts';
import { digestOf } from './domain/api-key.ts';
import { Secret } from './domain/secret.ts';

interface Setting {
  /** Lower case in the file, upper case in the environment. */
  readonly name: string;
  readonly schema: z.ZodType;
  readonly fallback: unknown;
  readonly unit: string;
  readonly meaning: string;
  readonly secret?: boolean;
}

const seconds = z.coerce.number<unknown>().min(0).max(30 * 86_400);
const positiveSeconds = z.coerce.number<unknown>().min(0.001).max(30 * 86_400);
const bytes = z.coerce.number<unknown>().int().min(1).max(2 ** 40);
const list = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',').map((word) => word.trim()).filter((word) => word !== '') : value),
  z.array(z.string()),
);
const upstreams = list.pipe(z.array(z.string().refine(isUpstream, 'must be an http:// or https:// address without user, query or fragment')).min(1));
const origins = list.pipe(z.array(z.string().refine((origin) => origin === '*' || isOrigin(origin), 'must be an origin such as https://example.org, or *')));
const blocks = list.pipe(z.array(z.string().refine(isBlock, 'must be an address or a block such as 10.0.0.0/8')));
const host = z.string().refine((text) => isIP(text) !== 0 || /^[A-Za-z0-9.-]{1,253}$/.test(text), 'must be an address or a host name');

const setting = <T extends z.ZodType>(name: string, schema: T, fallback: z.output<T>, unit: string, meaning: string, secret = false) => ({
  name,
  schema,
  fallback,
  unit,
  meaning,
  secret,
});

export const settings = {
  port: setting('port', z.coerce.number<unknown>().int().min(0).max(65_535), 3000, '', 'Port to listen on; 0 takes a free one.'),
  host: setting('host', host, '127.0.0.1', '', 'Address to listen on. 0.0.0.0 or :: opens the gate to the network.'),
  upstream: setting('upstream', upstreams, ['http://localhost:11434'], 'list of addresses', 'Model servers, best first.'),
  dataDir: setting('data_dir', z.string().min(1), './data', 'path', 'Where the database and the journal live; made with mode 0700.'),
  apiKeys: setting('api_keys', list, [], 'list of keys', 'Static keys, or sha256:<hex> of one. Keys made with `sekisho key create` are better.', true),
  apiKeysFile: setting('api_keys_file', z.string(), '', 'path', 'File with static keys, one a line; # starts a comment.'),
  corsOrigins: setting('cors_origins', origins, [], 'list of origins', 'Web pages that may call the gate from a browser; * is any.'),
  trustedProxies: setting('trusted_proxies', blocks, [], 'list of CIDR blocks', 'Proxies in front whose X-Forwarded-For is believed.'),
  registryHosts: setting('registry_hosts', list, ['registry.ollama.ai', 'hf.co', 'huggingface.co'], 'list of hosts', 'Registries that models may be pulled from or pushed to, with the scope for it.'),
  logLevel: setting('log_level', z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']), 'info', '', 'How much is logged; debug logs every request.'),
  logFormat: setting('log_format', z.enum(['auto', 'json', 'text']), 'auto', '', 'Log lines for machines or for people; auto is text on a terminal.'),
  drainSeconds: setting('drain_seconds', seconds, 30, 's', 'How long running answers may go on after a stop signal.'),
  bodyLimitBytes: setting('body_limit_bytes', bytes, 64 * 1024 * 1024, 'bytes', 'Largest request body that is read; blobs stream and are not limited.'),
  bodySeconds: setting('body_seconds', positiveSeconds, 120, 's', 'How long a request body may take to arrive.'),
  headSeconds: setting('head_seconds', positiveSeconds, 15, 's', 'How long a request head may take to arrive.'),
  idleSeconds: setting('idle_seconds', positiveSeconds, 15, 's', 'How long an idle connection is kept. Behind a load balancer: its own idle time and 5 s.'),
  maxConnections: setting('max_connections', z.coerce.number<unknown>().int().min(1), 10_000, 'connections', 'Client connections at once; more are closed at once.'),
  connectSeconds: setting('connect_seconds', positiveSeconds, 5, 's', 'How long connecting to a model server may take.'),
  firstByteSeconds: setting('first_byte_seconds', positiveSeconds, 900, 's', 'How long a model server may take to begin an answer; a cold load of a large model takes minutes.'),
  silenceSeconds: setting('silence_seconds', positiveSeconds, 300, 's', 'How long an answer may be silent between two chunks.'),
  totalSeconds: setting('total_seconds', positiveSeconds, 3600, 's', 'How long one inference may take in all. Transfers of models have no such limit.'),
  metadataSeconds: setting('metadata_seconds', positiveSeconds, 60, 's', 'How long a look at versions, lists and details may take.'),
  transferSilenceSeconds: setting('transfer_silence_seconds', positiveSeconds, 600, 's', 'How long a pull, push or create may be silent.'),
  readerBufferBytes: setting('reader_buffer_bytes', bytes, 8 * 1024 * 1024, 'bytes', 'How much of an answer may wait for a slow reader before the reader is dropped.'),
  readerStallSeconds: setting('reader_stall_seconds', positiveSeconds, 60, 's', 'How long a reader may take nothing before it is dropped.'),
  probeSeconds: setting('probe_seconds', positiveSeconds, 5, 's', 'How often a model server is looked at.'),
  signatureSkewSeconds: setting('signature_skew_seconds', positiveSeconds, 60, 's', "How far the clock of a signing Ollama CLI may be off."),
} as const satisfies Record<string, Setting>;

type Values = { -readonly [Name in keyof typeof settings]: z.output<(typeof settings)[Name]['schema']> };
export type Config = Readonly<Omit<Values, 'apiKeys'>> & {
  readonly apiKeys: readonly Secret[];
  /** Things worth saying at the start that do not stop it. */
  readonly warnings: readonly string[];
};

export class ConfigFaults extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`The settings are not right:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ConfigFaults';
    this.faults = faults;
  }
}

const names = new Map<string, keyof typeof settings>(
  (Object.keys(settings) as (keyof typeof settings)[]).map((key) => [settings[key].name, key]),
);

/**
 * The effective settings. The file is SEKISHO_CONFIG, or sekisho.yaml where there is one. In the environment every
 * setting goes by its own name or with SEKISHO_ before it; an unknown SEKISHO_ name is a fault.
 * @throws ConfigFaults with every fault found.
 */
export function loadConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const given = new Map<keyof typeof settings, { value: unknown; from: string }>();
  readFile(environment['SEKISHO_CONFIG'], given, faults);
  readEnvironment(environment, given, faults);

  const values: Record<string, unknown> = {};
  for (const [name, key] of names) {
    const source = given.get(key);
    if (!source) {
      values[key] = settings[key].fallback;
      continue;
    }
    const result = settings[key].schema.safeParse(source.value);
    if (result.success) values[key] = result.data;
    else for (const issue of result.error.issues) faults.push(`${source.from}: ${lowerFirst(issue.message)} (${name}: ${settings[key].meaning})`);
  }
  const config = values as Values;
  const warnings: string[] = [];
  if (faults.length === 0) config.apiKeys = [...config.apiKeys, ...readKeysFile(config.apiKeysFile, faults, warnings)];
  checkStaticKeys(config, faults, warnings);
  if (faults.length > 0) throw new ConfigFaults(faults);
  return { ...config, apiKeys: config.apiKeys.map((key) => new Secret(key)), warnings };
}

/** The digests under which static keys are found; an entry sha256:<hex> is one already. */
export function staticDigests(config: Config): string[] {
  return config.apiKeys.map((key) => {
    const text = key.reveal();
    return text.startsWith('sha256:') ? text.slice('sha256:'.length).toLowerCase() : digestOf(text);
  });
}

/** The effective values for people: secrets hidden, the unit beside each figure. */
export function describeConfig(config: Config): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, key] of names) shown[name] = config[key];
  return JSON.parse(JSON.stringify(shown)) as Record<string, unknown>;
}

type Given = Map<keyof typeof settings, { value: unknown; from: string }>;

function readFile(named: string | undefined, given: Given, faults: string[]): void {
  const file = named ?? 'sekisho.yaml';
  if (named === undefined && !existsSync(file)) return;
  let content: unknown;
  try {
    content = parseYaml(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    faults.push(`${file} cannot be read: ${(error as Error).message.split('\n')[0]}`);
    return;
  }
  if (typeof content !== 'object' || Array.isArray(content)) {
    faults.push(`${file} must hold one setting a line, such as "port: 3000"`);
    return;
  }
  for (const [name, value] of Object.entries(content as object)) {
    const key = names.get(name);
    if (key) given.set(key, { value, from: `${name} in ${file}` });
    else faults.push(`${name} in ${file}: there is no such setting${suggest(name)}`);
  }
}

function readEnvironment(environment: Readonly<Record<string, string | undefined>>, given: Given, faults: string[]): void {
  for (const [name, key] of names) {
    const upper = name.toUpperCase();
    const plain = environment[upper];
    const prefixed = environment[`SEKISHO_${upper}`];
    if (plain !== undefined) given.set(key, { value: plain, from: upper });
    if (prefixed !== undefined) given.set(key, { value: prefixed, from: `SEKISHO_${upper}` });
  }
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('SEKISHO_') || name === 'SEKISHO_CONFIG') continue;
    const bare = name.slice('SEKISHO_'.length).toLowerCase();
    if (!names.has(bare)) faults.push(`${name}: there is no such setting${suggest(bare)}`);
  }
}

function readKeysFile(file: string, faults: string[], warnings: string[]): string[] {
  if (file === '') return [];
  try {
    if ((statSync(file).mode & 0o004) !== 0) warnings.push(`${file} can be read by everybody on this machine: chmod 600 ${file}`);
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
      .filter((line) => line !== '');
  } catch (error) {
    faults.push(`API_KEYS_FILE: ${(error as Error).message}`);
    return [];
  }
}

const samples = new Set(['changeme', 'change-me', 'secret', 'password', 'ollama', 'your-api-key', 'sk-1234', 'test']);

/** A static key is chosen by a person, so it is held to a length; short ones are tolerated only on this machine itself. */
function checkStaticKeys(config: Values, faults: string[], warnings: string[]): void {
  const local = config.host === 'localhost' || config.host === '::1' || String(config.host).startsWith('127.');
  if (!Array.isArray(config.apiKeys)) return;
  for (const [index, key] of config.apiKeys.entries()) {
    const which = `static key ${index + 1}`;
    if (key.startsWith('sha256:')) {
      if (!/^sha256:[0-9a-f]{64}$/i.test(key)) faults.push(`${which}: sha256: must be followed by 64 hex digits`);
    } else if (samples.has(key.toLowerCase())) faults.push(`${which} is a sample that everybody knows; make one with: openssl rand -hex 24`);
    else if (!/^[\x21-\x7e]+$/.test(key)) faults.push(`${which} must be printable ASCII without spaces`);
    else if (key.length < 16) {
      if (local) warnings.push(`${which} is short; before the gate is opened to a network it needs at least 16 characters`);
      else faults.push(`${which} has fewer than 16 characters; make one with: openssl rand -hex 24`);
    } else if (key.length < 24) warnings.push(`${which} has fewer than 24 characters`);
  }
}

function isUpstream(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
}

function isOrigin(text: string): boolean {
  return URL.parse(text)?.origin === text || /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]*$/i.test(text);
}

function isBlock(text: string): boolean {
  try {
    new AddressBlocks([text]);
    return true;
  } catch {
    return false;
  }
}

/** The known name nearest to a mistyped one, if it is near. */
function suggest(name: string): string {
  const near = [...names.keys()].find((known) => {
    const a = known.replaceAll(/[_-]/g, '');
    const b = name.toLowerCase().replaceAll(/[_-]/g, '');
    return a === b || (b.length > 3 && (a.startsWith(b) || b.startsWith(a)));
  });
  return near ? `; did you mean ${near}?` : '';
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

// Reads the settings: sekisho.yaml, and the environment, which wins. An unknown name or a wrong value refuses to start,
// with all faults listed at once. What settings there are stands in settings.ts.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, relative, resolve } from 'node:path';
import type * as Yaml from 'yaml';
import type { z } from 'zod';
import { digestOf } from '../domain/api-key.ts';
import { Secret } from '../domain/secret.ts';
import { fill } from '../domain/sentences.ts';
import { type GivenSettings, LiveSettings } from './live.ts';
import { type LiveKey, liveKeys } from './live-table.ts';
import { ownHostsOf, readRoutesFile } from './routes-file.ts';
import { settings } from './settings.ts';
import { withoutPassword } from './smtp.ts';
import { faultsTogether } from './together.ts';

type Values = { -readonly [Name in keyof typeof settings]: z.output<(typeof settings)[Name]['schema']> };
type StartValues = Omit<Values, LiveKey>;
export type Config = Readonly<Omit<StartValues, 'apiKeys'>> & {
  readonly apiKeys: readonly Secret[];
  /** The settings that can change while the gate runs; only here, so that nothing keeps what the start has read. */
  readonly live: LiveSettings;
  /** Things worth saying at the start that do not stop it. */
  readonly warnings: readonly string[];
};

export class ConfigErrors extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`The settings are not right:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ConfigErrors';
    this.faults = faults;
  }
}

const names = new Map<string, keyof typeof settings>(
  (Object.keys(settings) as (keyof typeof settings)[]).map((key) => [settings[key].name, key]),
);

/**
 * The effective settings. The file is SEKISHO_CONFIG, or sekisho.yaml where there is one. In the environment every
 * setting goes by its own name or with SEKISHO_ before it; an unknown SEKISHO_ name is a fault.
 * @throws ConfigErrors with every fault found.
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
    else
      for (const issue of result.error.issues)
        faults.push(`${source.from}: ${lowerFirst(issue.message)} (${name}: ${settings[key].meaning})`);
  }
  const config = values as Values;
  const warnings: string[] = [];
  if (faults.length === 0) config.apiKeys = [...config.apiKeys, ...readKeysFile(config.apiKeysFile, faults, warnings)];
  checkStaticKeys(config, faults, warnings);
  if (faults.length === 0)
    faults.push(...faultsTogether(config).map((said) => lowerFirst(fill(said)).replace(/\.$/, '')));
  if (faults.length === 0) checkTls(config, faults, warnings);
  if (faults.length === 0) checkServerFiles(config, faults);
  if (faults.length === 0) checkRoutes(config, faults);
  if (faults.length > 0) throw new ConfigErrors(faults);
  const start = Object.fromEntries(
    Object.entries(config).filter(([key]) => !liveNames.has(key)),
  ) as unknown as StartValues;
  const live = new LiveSettings(givenOf(given, config));
  return { ...start, apiKeys: config.apiKeys.map((key) => new Secret(key)), live, warnings };
}

const liveNames: ReadonlySet<string> = new Set(liveKeys);

const givenOf = (given: Given, values: Values): GivenSettings =>
  new Map(
    liveKeys.flatMap((key) => {
      const from = given.get(key)?.from;
      return from === undefined ? [] : [[key, { value: values[key], from }] as const];
    }),
  );

/** The digests under which static keys are found; an entry sha256:<hex> is one already. */
export function staticDigests(config: Config): string[] {
  return config.apiKeys.map((key) => {
    const text = key.reveal();
    return text.startsWith('sha256:') ? text.slice('sha256:'.length).toLowerCase() : digestOf(text);
  });
}

/** Where links to pages point: PUBLIC_URL, the name that the gate has a certificate for, or what this machine calls it. */
export function pageUrl(config: Pick<Config, 'publicUrl' | 'host' | 'port' | TlsSetting>): URL {
  const { publicUrl, host, port, acmeDomains } = config;
  if (publicUrl !== '') return new URL(publicUrl);
  const mode = tlsMode(config);
  const own = ['127.0.0.1', '0.0.0.0', '::'].includes(host) ? 'localhost' : host;
  const shown = mode === 'acme' ? (acmeDomains[0] as string) : own;
  const scheme = mode === 'off' ? 'http' : 'https';
  return new URL(`${scheme}://${shown.includes(':') ? `[${shown}]` : shown}:${port}`);
}

type TlsSetting = 'tls' | 'tlsCert' | 'acmeDomains';

/** Where certificates come from; off: the gate speaks plain HTTP. */
export function tlsMode({
  tls,
  tlsCert,
  acmeDomains,
}: Pick<Config, TlsSetting>): 'off' | 'files' | 'acme' | 'self-signed' {
  if (tls !== 'auto') return tls;
  if (tlsCert.length > 0) return 'files';
  return acmeDomains.length > 0 ? 'acme' : 'off';
}

/** The port for plain HTTP beside the encrypted one; 0: none. */
export const plainPort = (config: Pick<Config, TlsSetting | 'httpPort'>): number =>
  config.httpPort === 0 && tlsMode(config) === 'acme' ? 80 : config.httpPort;

/** The effective values for people: secrets hidden, the unit beside each figure. */
export function describeConfig(config: Config): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  const values: Readonly<Record<string, unknown>> = { ...config, ...config.live.now };
  for (const [name, key] of names) {
    const value = values[key];
    shown[name] = settings[key].secret && typeof value === 'string' && value !== '' ? '[secret]' : value;
  }
  shown['smtp_url'] = withoutPassword(config.live.now.smtpUrl);
  return JSON.parse(JSON.stringify(shown)) as Record<string, unknown>;
}

type Given = Map<keyof typeof settings, { value: unknown; from: string }>;

/** Loaded only where there is a file: it takes 3 MB. */
const loadYaml = () => createRequire(import.meta.url)('yaml') as typeof Yaml;

function readFile(named: string | undefined, given: Given, faults: string[]): void {
  const file = named ?? 'sekisho.yaml';
  if (named === undefined && !existsSync(file)) return;
  let content: unknown;
  try {
    content = loadYaml().parse(readFileSync(file, 'utf8')) ?? {};
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

function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  given: Given,
  faults: string[],
): void {
  for (const [name, key] of names) {
    const upper = name.toUpperCase();
    const plain = environment[upper];
    const prefixed = environment[`SEKISHO_${upper}`];
    if (plain !== undefined) given.set(key, { value: plain, from: upper });
    if (prefixed !== undefined) given.set(key, { value: prefixed, from: `SEKISHO_${upper}` });
  }
  // Where the gate runs beside Ollama they share their environment; 0 is "by itself" in older versions.
  const parallel = environment['OLLAMA_NUM_PARALLEL'];
  if (!given.has('slots') && parallel !== undefined && /^[1-9]\d*$/.test(parallel))
    given.set('slots', { value: parallel, from: 'OLLAMA_NUM_PARALLEL' });
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('SEKISHO_') || name === 'SEKISHO_CONFIG') continue;
    const bare = name.slice('SEKISHO_'.length).toLowerCase();
    if (!names.has(bare)) faults.push(`${name}: there is no such setting${suggest(bare)}`);
  }
}

function readKeysFile(file: string, faults: string[], warnings: string[]): string[] {
  if (file === '') return [];
  try {
    if ((statSync(file).mode & 0o004) !== 0)
      warnings.push(`${file} can be read by everybody on this machine: chmod 600 ${file}`);
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
    } else if (samples.has(key.toLowerCase()))
      faults.push(`${which} is a sample that everybody knows; make one with: openssl rand -hex 24`);
    else if (!/^[\x21-\x7e]+$/.test(key)) faults.push(`${which} must be printable ASCII without spaces`);
    else if (key.length < 16) {
      if (local)
        warnings.push(`${which} is short; before the gateway is opened to a network it needs at least 16 characters`);
      else faults.push(`${which} has fewer than 16 characters; make one with: openssl rand -hex 24`);
    } else if (key.length < 24) warnings.push(`${which} has fewer than 24 characters`);
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

function checkTls(config: Values, faults: string[], warnings: string[]): void {
  const { tls, tlsCert, tlsKey, acmeDomains, tlsClientCa, tlsClientCrl, tlsClientCert, acmeKid, acmeHmac, httpPort } =
    config;
  const mode = tlsMode(config);
  const pems = tlsCert.filter((path) => !/\.(p12|pfx)$/i.test(path)).length;
  if (tlsKey.length !== pems)
    faults.push(`tls_key needs one path for each PEM file in tls_cert: there are ${tlsKey.length} for ${pems}`);
  if (tls !== 'auto' && (tlsCert.length > 0 || acmeDomains.length > 0))
    faults.push(`tls is ${tls}, so tls_cert and acme_domains must not be set`);
  if (tlsCert.length > 0 && acmeDomains.length > 0)
    faults.push('tls_cert and acme_domains are two ways to the same thing; set one');
  if ((acmeKid === '') !== (acmeHmac === '')) faults.push('acme_kid and acme_hmac belong together');
  if (mode === 'off' && (tlsClientCa !== '' || httpPort !== 0))
    faults.push(
      'tls_client_ca and http_port mean something only where the gateway encrypts; set tls, tls_cert or acme_domains',
    );
  if (tlsClientCa === '' && (tlsClientCrl !== '' || tlsClientCert !== 'optional'))
    faults.push('tls_client_crl and tls_client_cert need tls_client_ca');
  for (const path of tlsKey) {
    const file = statSync(path, { throwIfNoEntry: false });
    if (file !== undefined && (file.mode & 0o004) !== 0)
      warnings.push(`${path} can be read by everybody on this machine: chmod 640 ${path}`);
  }
  if (isExposed(config))
    warnings.push(
      `keys, questions and answers can be read on their way to ${config.host}: set acme_domains, tls_cert or tls: self-signed, ` +
        'or name the proxy that encrypts in trusted_proxies',
    );
}

/** Can others reach the gate over a network that reads along? A trusted proxy in front is believed to encrypt. */
export function isExposed(config: Pick<Config, TlsSetting | 'host' | 'trustedProxies'>): boolean {
  const local = config.host === 'localhost' || config.host === '::1' || config.host.startsWith('127.');
  return tlsMode(config) === 'off' && !local && config.trustedProxies.length === 0;
}

/** Read once more when they are published; the files that they name are read then. */
function checkRoutes(config: Values, faults: string[]): void {
  try {
    readRoutesFile(config.routes, ownHostsOf(config));
  } catch (error) {
    faults.push((error as Error).message);
  }
}

/** What an operator may name over the network must hold no secret of the gate, and a copy of the database no key to it. */
function checkServerFiles({ serverFiles, serverSecretKey, dataDir }: Values, faults: string[]): void {
  if (serverFiles !== '' && (isIn(dataDir, serverFiles) || isIn(serverFiles, dataDir)))
    faults.push('server_files and data_dir must lie apart: servers could be shown what the gateway keeps there');
  if (serverSecretKey === '') return;
  if (isIn(dataDir, serverSecretKey))
    faults.push('server_secret_key must lie outside data_dir: a copy of the database must not hold its key');
  if (serverFiles !== '' && isIn(serverFiles, serverSecretKey))
    faults.push('server_secret_key must lie outside server_files: servers could be shown the key');
}

/** Is this path the directory, or inside of it? */
function isIn(directory: string, path: string): boolean {
  const way = relative(resolve(directory), resolve(path));
  return !way.startsWith('..') && !isAbsolute(way);
}

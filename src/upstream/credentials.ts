// Reads the credentials that the gateway presents to a model server (a client certificate with its key, header lines)
// and the authorities that it trusts there. Each is in a file, so that no secret is in a setting. They are read at the
// start, and again on SIGHUP.
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { readAuthorities } from '../domain/authority-certificates.ts';

/** Paths. Each is for every server or, written `server=path`, for one of them. */
export interface CredentialFiles {
  readonly ca: readonly string[];
  readonly cert: readonly string[];
  readonly key: readonly string[];
  readonly headers: readonly string[];
}

export interface Credentials {
  readonly tls: { readonly ca?: Buffer[]; readonly cert?: Buffer; readonly key?: Buffer };
  /** Header lines as name, value, name, value; the names in lower case. */
  readonly headers: readonly string[];
  /** The secret values of the header lines, longest first. A caller must never receive one. */
  readonly secrets: readonly string[];
}

export const noCredentials: Credentials = { tls: {}, headers: [], secrets: [] };

/** The message names the file and the reason. */
export class CredentialsUnusable extends Error {
  override readonly name = 'CredentialsUnusable';
}

const mostBytes = 1024 * 1024;
/** Shorter values are words such as `on`; hiding them would only damage answers. */
const secretLength = 8;

/** Headers of body framing and coding, of the HTTP client, or of one connection (RFC 9110 §7.6.1). */
const reservedNames = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
]);

/** @throws CredentialsUnusable if a file is missing, cannot be parsed, or lacks its counterpart. */
export function readCredentials(server: URL, files: CredentialFiles): Credentials {
  const ca = pathsFor(server, files.ca).map(readAuthorityFile);
  const cert = pathsFor(server, files.cert).map(readBounded)[0];
  const key = pathsFor(server, files.key).map(readBounded)[0];
  if ((cert === undefined) !== (key === undefined))
    throw new CredentialsUnusable(`${server.origin}: upstream_cert and upstream_key belong together`);
  const tls = { ...(ca.length > 0 ? { ca } : {}), ...(cert && key ? { cert, key } : {}) };
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new CredentialsUnusable(
      `${server.origin}: its certificate files cannot be used: ${(error as Error).message}`,
    );
  }
  const headers = pathsFor(server, files.headers).flatMap((path) => readHeaders(path));
  const secrets = headers.filter((text, at) => at % 2 === 1 && text.length >= secretLength).flatMap(bothForms);
  return { tls, headers, secrets: secrets.toSorted((a, b) => b.length - a.length) };
}

/** @throws CredentialsUnusable if an entry names an unknown server: a typo must not leave one without credentials. */
export function refuseStray(servers: readonly URL[], files: CredentialFiles): void {
  const known = new Set(servers.map(({ origin }) => origin));
  for (const entry of Object.values(files).flat() as string[]) {
    const { server } = readEntry(entry);
    if (server !== undefined && !known.has(server))
      throw new CredentialsUnusable(`${entry}: ${server} is none of the servers in upstream`);
  }
}

/** Entries for this server replace the entries for all servers. */
function pathsFor({ origin }: URL, entries: readonly string[]): string[] {
  const read = entries.map(readEntry);
  const own = read.filter(({ server }) => server === origin);
  return (own.length > 0 ? own : read.filter(({ server }) => server === undefined)).map(({ path }) => path);
}

function readEntry(entry: string): { server: string | undefined; path: string } {
  const match = /^(https?:\/\/[^=]+)=(.+)$/.exec(entry);
  return match
    ? { server: new URL(match[1] as string).origin, path: match[2] as string }
    : { server: undefined, path: entry };
}

function readBounded(path: string): Buffer {
  try {
    if (statSync(path).size > mostBytes) throw new CredentialsUnusable(`${path}: it is too large`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof CredentialsUnusable) throw error;
    throw new CredentialsUnusable(`${path}: it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

/** OpenSSL would ignore unreadable parts, and every call would fail without a reason. */
function readAuthorityFile(path: string): Buffer {
  const content = readBounded(path);
  readAuthorities(path, content, Date.now(), CredentialsUnusable);
  return content;
}

/** One `Name: value` per line. Empty lines and lines that begin with # are ignored. */
function readHeaders(path: string): string[] {
  const lines = readBounded(path)
    .toString('utf8')
    .split(/\r?\n/)
    .map((line) => line.trim());
  return lines.flatMap((line, at) => {
    if (line === '' || line.startsWith('#')) return [];
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)$/.exec(line);
    const name = match?.[1]?.toLowerCase();
    // The message does not quote the line, which may be a secret with a typo.
    if (!match || name === undefined)
      throw new CredentialsUnusable(`${path}: line ${at + 1} is not of the form "Name: value"`);
    if (reservedNames.has(name)) throw new CredentialsUnusable(`${path}: line ${at + 1}: ${name} cannot be set`);
    return [name, match[2] as string];
  });
}

/** In `Bearer abc`, both the whole value and `abc` are secrets. */
function bothForms(value: string): string[] {
  const credential = value.slice(value.indexOf(' ') + 1);
  return credential !== value && credential.length >= secretLength ? [value, credential] : [value];
}

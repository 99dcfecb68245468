// Reads the credentials that the gateway presents to a model server (a client certificate with its key, header lines)
// and the authorities that it trusts there. Each is in a file, so that no secret is in a setting. They are read at the
// start, and again on SIGHUP.
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { readAuthorities } from '../domain/authority-certificates.ts';
import { readHeaderLines, readSecretLines } from '../domain/credential-lines.ts';
import type { Secret } from '../domain/secret.ts';

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

/** @throws CredentialsUnusable if a file is missing, cannot be parsed, or lacks its counterpart. */
export function readCredentials(server: URL, files: CredentialFiles): Credentials {
  const ca = pathsFor(server, files.ca).map(readAuthorityFile);
  const cert = pathsFor(server, files.cert).map(readBounded)[0];
  const key = pathsFor(server, files.key).map(readBounded)[0];
  if ((cert === undefined) !== (key === undefined))
    throw new CredentialsUnusable(`${server.origin}: upstream_cert and upstream_key belong together`);
  return together(
    server,
    ca,
    cert,
    key,
    pathsFor(server, files.headers).flatMap((path) => readHeaders(path, readHeaderLines)),
  );
}

/** The files of one server by their paths; `secret` is text that stands in no file. */
export interface OwnCredentials {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly headers: string | undefined;
  readonly secret: Secret | undefined;
}

/** @throws CredentialsUnusable as `readCredentials`. */
export function readOwnCredentials(server: URL, { ca, cert, key, headers, secret }: OwnCredentials): Credentials {
  let lines = headers === undefined ? [] : readHeaders(headers, readSecretLines);
  try {
    if (secret) lines = readSecretLines(secret.reveal());
  } catch (error) {
    throw new CredentialsUnusable(`its secret: ${(error as Error).message}`);
  }
  return together(
    server,
    ca === undefined ? [] : [readAuthorityFile(ca)],
    cert === undefined ? undefined : readBounded(cert),
    key === undefined ? undefined : readBounded(key),
    lines,
  );
}

function together(
  { origin }: URL,
  ca: Buffer[],
  cert: Buffer | undefined,
  key: Buffer | undefined,
  headers: string[],
): Credentials {
  const tls = { ...(ca.length > 0 ? { ca } : {}), ...(cert && key ? { cert, key } : {}) };
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new CredentialsUnusable(`${origin}: its certificate files cannot be used: ${(error as Error).message}`);
  }
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

/** @throws CredentialsUnusable with what is wrong in the file. */
function readHeaders(path: string, read: (text: string) => string[]): string[] {
  const text = readBounded(path).toString('utf8');
  try {
    return read(text);
  } catch (error) {
    throw new CredentialsUnusable(`${path}: ${(error as Error).message}`);
  }
}

/** In `Bearer abc`, both the whole value and `abc` are secrets. */
function bothForms(value: string): string[] {
  const credential = value.slice(value.indexOf(' ') + 1);
  return credential !== value && credential.length >= secretLength ? [value, credential] : [value];
}

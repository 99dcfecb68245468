// What the gate shows to a model server to be let in, and whom it believes there: an authority, a client certificate with
// its key, and header lines, each in a file, so that no secret stands in a setting. Read at the start, and again on SIGHUP.
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { readAuthorities } from '../domain/authority-certificates.ts';

/** Paths, each for every server or, as `server=path`, for one of them. */
export interface PassFiles {
  readonly ca: readonly string[];
  readonly cert: readonly string[];
  readonly key: readonly string[];
  readonly headers: readonly string[];
}

export interface Pass {
  readonly tls: { readonly ca?: Buffer[]; readonly cert?: Buffer; readonly key?: Buffer };
  /** Header lines as name, value, name, value; the names in lower case. */
  readonly headers: readonly string[];
  /** What must not come back to a caller: values of the header lines. */
  readonly secrets: readonly string[];
}

export const noPass: Pass = { tls: {}, headers: [], secrets: [] };

/** Says in a sentence which file and why. */
export class PassUnusable extends Error {
  override readonly name = 'PassUnusable';
}

const mostBytes = 1024 * 1024;
/** Shorter values are words such as `on`; to hide those in an answer would only spoil it. */
const secretLength = 8;

/** They say how a body is to be read, or the HTTP client writes them, or they belong to one connection only (RFC 9110 §7.6.1). */
const ours = new Set([
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

/** @throws PassUnusable where a file is not there, is none of its kind, or its server is not one of ours. */
export function readPass(server: URL, files: PassFiles): Pass {
  const ca = pathsFor(server, files.ca).map(readAuthorityFile);
  const cert = pathsFor(server, files.cert).map(readBounded)[0];
  const key = pathsFor(server, files.key).map(readBounded)[0];
  if ((cert === undefined) !== (key === undefined))
    throw new PassUnusable(`${server.origin}: upstream_cert and upstream_key belong together`);
  const tls = { ...(ca.length > 0 ? { ca } : {}), ...(cert && key ? { cert, key } : {}) };
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new PassUnusable(`${server.origin}: its certificate files cannot be used: ${(error as Error).message}`);
  }
  const headers = pathsFor(server, files.headers).flatMap((path) => readHeaders(path));
  const secrets = headers.filter((text, at) => at % 2 === 1 && text.length >= secretLength).flatMap(bothForms);
  return { tls, headers, secrets: secrets.toSorted((a, b) => b.length - a.length) };
}

/** @throws PassUnusable where an entry names a server which is not there: a typo must not leave one without its credential. */
export function refuseStray(servers: readonly URL[], files: PassFiles): void {
  const known = new Set(servers.map(({ origin }) => origin));
  for (const entry of Object.values(files).flat() as string[]) {
    const { server } = readEntry(entry);
    if (server !== undefined && !known.has(server))
      throw new PassUnusable(`${entry}: ${server} is none of the servers in upstream`);
  }
}

/** Those for one server come in place of those for all. */
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
    if (statSync(path).size > mostBytes) throw new PassUnusable(`${path}: it is too large`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof PassUnusable) throw error;
    throw new PassUnusable(`${path}: it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

/** OpenSSL would ignore what it cannot read of it, and every call would fail without saying why. */
function readAuthorityFile(path: string): Buffer {
  const content = readBounded(path);
  readAuthorities(path, content, Date.now(), PassUnusable);
  return content;
}

/** `Name: value` a line; empty lines and those that begin with # are for people. */
function readHeaders(path: string): string[] {
  const lines = readBounded(path)
    .toString('utf8')
    .split(/\r?\n/)
    .map((line) => line.trim());
  return lines.flatMap((line, at) => {
    if (line === '' || line.startsWith('#')) return [];
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)$/.exec(line);
    const name = match?.[1]?.toLowerCase();
    // The line itself is not shown: it may be a secret with a typo.
    if (!match || name === undefined) throw new PassUnusable(`${path}: line ${at + 1} is no "Name: value"`);
    if (ours.has(name)) throw new PassUnusable(`${path}: line ${at + 1}: ${name} is not for you to set`);
    return [name, match[2] as string];
  });
}

/** `Bearer abc` is a secret, and so is the `abc` of it. */
function bothForms(value: string): string[] {
  const credential = value.slice(value.indexOf(' ') + 1);
  return credential !== value && credential.length >= secretLength ? [value, credential] : [value];
}

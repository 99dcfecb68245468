// The files that a page loads, held in memory with what the build has compressed beside them. A stream from the disk for
// each reader cost a quarter of a megabyte without reading any of it, for a request of a hundred bytes.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Request, Response } from 'express';
import type { SharedAnswers } from '../http/send.ts';

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css;charset=utf-8',
  '.js': 'text/javascript;charset=utf-8',
  '.md': 'text/markdown;charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/** In the order in which they are preferred. */
const codings = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

interface StaticFile {
  readonly type: string;
  readonly etag: string;
  readonly bytes: Buffer;
  /** The same, by coding. */
  readonly coded: ReadonlyMap<string, Buffer>;
}

export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>;
  readonly #shared: SharedAnswers;

  /** Files of kinds that a page loads; others in the directory are not served. */
  constructor(directory: string, shared: SharedAnswers) {
    this.#shared = shared;
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    const there = new Set(names);
    const hold = (name: string): [string, StaticFile][] => {
      const type = types[extname(name)];
      if (type === undefined) return [];
      const bytes = readFileSync(join(directory, name));
      const coded = codings.flatMap(([coding, suffix]): [string, Buffer][] =>
        there.has(name + suffix) ? [[coding, readFileSync(join(directory, name + suffix))]] : [],
      );
      const etag = `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
      return [[`/${name}`, { type, etag, bytes, coded: new Map(coded) }]];
    };
    this.#files = new Map(names.flatMap(hold));
  }

  /** Answers a GET or HEAD for a path; false where there is no such file. */
  answer(path: string, cacheControl: string, request: Request, response: Response): boolean {
    const file = this.#files.get(path);
    if (!file) return false;
    response.setHeader('cache-control', cacheControl).setHeader('etag', file.etag);
    if (file.coded.size > 0) response.setHeader('vary', 'accept-encoding');
    if (request.headers['if-none-match']?.includes(file.etag)) {
      response.writeHead(304).end();
      return true;
    }
    const accepted = request.headers['accept-encoding'];
    const coding = codings.map(([name]) => name).find((name) => file.coded.has(name) && accepts(accepted, name));
    if (coding !== undefined) response.setHeader('content-encoding', coding);
    this.#shared.send((coding && file.coded.get(coding)) || file.bytes, file.type, request, response);
    return true;
  }
}

/** Is the coding among those of an Accept-Encoding line, and not with a weight of 0 (RFC 9110, section 12.5.3)? */
function accepts(line: string | undefined, coding: string): boolean {
  const named = line?.split(',').find((part) => part.split(';')[0]?.trim().toLowerCase() === coding);
  return named !== undefined && !/;\s*q=0(\.0*)?\s*$/i.test(named);
}

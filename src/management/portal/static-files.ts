// The files of the portal, in memory, with their compressed forms from the build. A file stream per reader cost a quarter of a
// megabyte, even for a stalled reader and a request of a hundred bytes.
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
  '.txt': 'text/plain;charset=utf-8',
  '.woff2': 'font/woff2',
};

/** In order of preference. */
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

  /** Types of files that a page loads; other files are not served. */
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

  /** Answers a GET or HEAD for a path; false if there is no such file. */
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

/** Whether an Accept-Encoding line has the coding with a weight other than 0 (RFC 9110, section 12.5.3). */
function accepts(line: string | undefined, coding: string): boolean {
  const named = line?.split(',').find((part) => part.split(';')[0]?.trim().toLowerCase() === coding);
  return named !== undefined && !/;\s*q=0(\.0*)?\s*$/i.test(named);
}

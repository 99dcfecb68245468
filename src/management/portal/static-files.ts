// The files of the portal, in memory, with their compressed forms from the build. A file stream per reader cost a quarter of a
// megabyte, even for a stalled reader and a request of a hundred bytes.
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Request, Response } from 'express';
import { type Coded, codedOf, codings, sendCoded } from '../http/coded.ts';
import type { SharedAnswers } from '../http/send.ts';

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css;charset=utf-8',
  '.js': 'text/javascript;charset=utf-8',
  '.md': 'text/markdown;charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain;charset=utf-8',
  '.woff2': 'font/woff2',
};

export class StaticFiles {
  readonly #files: ReadonlyMap<string, Coded>;
  readonly #shared: SharedAnswers;

  /** Types of files that a page loads; other files are not served. */
  constructor(directory: string, shared: SharedAnswers) {
    this.#shared = shared;
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    const there = new Set(names);
    const hold = (name: string): [string, Coded][] => {
      const type = types[extname(name)];
      if (type === undefined) return [];
      const bytes = readFileSync(join(directory, name));
      const coded = codings.flatMap(([coding, suffix]): [string, Buffer][] =>
        there.has(name + suffix) ? [[coding, readFileSync(join(directory, name + suffix))]] : [],
      );
      return [[`/${name}`, codedOf(type, bytes, new Map(coded))]];
    };
    this.#files = new Map(names.flatMap(hold));
  }

  /** Answers a GET or HEAD for a path; false if there is no such file. */
  answer(path: string, cacheControl: string, request: Request, response: Response): boolean {
    const file = this.#files.get(path);
    if (!file) return false;
    sendCoded(file, cacheControl, this.#shared, request, response);
    return true;
  }
}

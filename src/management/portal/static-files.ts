// The files of the portal with their compressed forms from the build, in memory from the first request for each. A file stream
// per reader cost a quarter of a megabyte, even for a stalled reader and a request of a hundred bytes.
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
  readonly #files: ReadonlyMap<string, () => Coded | undefined>;
  readonly #shared: SharedAnswers;

  /** Types of files that a page loads; other files are not served. */
  constructor(directory: string, shared: SharedAnswers) {
    this.#shared = shared;
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    const there = new Set(names);
    const held = (name: string): [string, () => Coded | undefined][] => {
      const type = types[extname(name)];
      if (type === undefined) return [];
      const suffixes = codings.filter(([, suffix]) => there.has(name + suffix));
      let file: Coded | undefined;
      return [[`/${name}`, () => (file ??= readForms(join(directory, name), type, suffixes))]];
    };
    this.#files = new Map(names.flatMap(held));
  }

  /** Answers a GET or HEAD for a path; false if there is no such file. */
  answer(path: string, cacheControl: string, request: Request, response: Response): boolean {
    const file = this.#files.get(path)?.();
    if (!file) return false;
    sendCoded(file, cacheControl, this.#shared, request, response);
    return true;
  }
}

/** Undefined if the build that this process started with has been replaced by one without the file. */
function readForms(path: string, type: string, suffixes: readonly (typeof codings)[number][]): Coded | undefined {
  try {
    const coded = suffixes.map(([coding, suffix]) => [coding, readFileSync(path + suffix)] as const);
    return codedOf(type, readFileSync(path), new Map(coded));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

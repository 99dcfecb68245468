// The states of the model servers in a file beside the database. The running gate writes it, and the command line, which is
// another process, reads it.
import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NotedState } from '../domain/server-status.ts';

/** A gate that runs has written its file later than this ago. */
const freshMs = 15_000;

const fileIn = (dataDir: string): string => join(dataDir, 'server-states.json');

/** Undefined if no gate that runs has written it. */
export function readServerStates(dataDir: string): ReadonlyMap<string, NotedState> | undefined {
  const file = fileIn(dataDir);
  try {
    if (Date.now() - statSync(file).mtimeMs > freshMs) return undefined;
    const states = JSON.parse(readFileSync(file, 'utf8')) as readonly NotedState[];
    return new Map(states.map((state) => [state.server, state]));
  } catch {
    return undefined;
  }
}

/** Nothing depends on the file, so a disk that cannot be written is no reason to fail. */
export class StatesFile {
  readonly #file: string;
  #written = '';

  constructor(dataDir: string) {
    this.#file = fileIn(dataDir);
  }

  /** Call regularly: a file that is not written any more counts for nothing. */
  write(states: readonly NotedState[]): void {
    const text = JSON.stringify(states);
    try {
      if (text === this.#written) {
        const now = new Date();
        utimesSync(this.#file, now, now);
        return;
      }
      writeFileSync(`${this.#file}.new`, text, { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
      this.#written = text;
    } catch {
      this.#written = '';
    }
  }

  remove(): void {
    rmSync(this.#file, { force: true });
  }
}

// The results of the last contacts with the mail server and the sign-in providers, for the settings page. Kept in memory, so each
// gateway only knows its own.
import type { WallMs } from '../../domain/time.ts';

export interface ConnectionState {
  /** Null: not used since the gate started. */
  readonly works: boolean | null;
  /** Unix milliseconds of the last use. */
  readonly at: number | null;
  /** The message of the other side or of the system; null if it works. */
  readonly problem: string | null;
}

const unused: ConnectionState = { works: null, at: null, problem: null };
const longestProblem = 300;

export class Connections {
  readonly #now: () => WallMs;
  readonly #states = new Map<string, ConnectionState>();

  constructor(now: () => WallMs) {
    this.#now = now;
  }

  /** `name`: `mail`, or `provider:` with its id. `error` undefined: it worked. */
  note(name: string, error?: unknown): void {
    const problem = error === undefined ? null : problemOf(error);
    this.#states.set(name, { works: problem === null, at: this.#now(), problem });
  }

  /** Its settings have changed: what was seen says nothing about it any more. */
  forget(name: string): void {
    this.#states.delete(name);
  }

  look(name: string): ConnectionState {
    return this.#states.get(name) ?? unused;
  }
}

/** One line, without control characters. */
export function problemOf(error: unknown): string {
  const { message = '', code, cause } = error as { message?: string; code?: string; cause?: unknown };
  const deeper = cause instanceof Error ? `: ${cause.message}` : '';
  const text = `${message}${deeper}`.replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return (text === '' ? (code ?? 'unknown') : text).slice(0, longestProblem);
}

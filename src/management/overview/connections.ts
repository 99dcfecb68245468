// How the mail server and the sign-in providers answered the last time the gate asked them, for the page of settings. Kept in memory:
// each gate knows what it has seen itself.
import type { WallMs } from '../../domain/time.ts';

export interface ConnectionState {
  /** Null: not used since the gate started. */
  readonly works: boolean | null;
  /** Unix milliseconds of the last use. */
  readonly at: number | null;
  /** In the words of the other side or of the system; null while it works. */
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

  look(name: string): ConnectionState {
    return this.#states.get(name) ?? unused;
  }
}

/** One line, without what a terminal or page would take for more than text. */
function problemOf(error: unknown): string {
  const { message = '', code, cause } = error as { message?: string; code?: string; cause?: unknown };
  const deeper = cause instanceof Error ? `: ${cause.message}` : '';
  const text = `${message}${deeper}`.replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return (text === '' ? (code ?? 'unknown') : text).slice(0, longestProblem);
}

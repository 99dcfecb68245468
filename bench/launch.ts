// What a subject gets at its start, and what it returns once it answers.
import type { Started } from './processes.ts';

export interface Place {
  /** A directory of this launch alone. */
  readonly directory: string;
  readonly upstreamPort: number;
  /** Where to put CPU profiles of Sekisho; undefined if none are wanted. */
  readonly profileDirectory: string | undefined;
  /** Besides those of every launch; only for Sekisho. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface Launched {
  readonly port: number;
  /** Undefined if there is nothing between load and upstream. */
  readonly process: Started | undefined;
  /** The keys that requests use in turn. */
  readonly keys: readonly string[];
  /** After it has stopped: throws unless it has recorded at least so many answers to the token. */
  readonly checkBooks?: (answers: number) => void;
}

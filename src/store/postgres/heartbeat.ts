// How often gates tell each other through the database that they are alive, and the time by which they do.

import type { WallMs } from '../../domain/time.ts';

/** The time of the database in Unix milliseconds. */
export const now = 'floor(extract(epoch from clock_timestamp()) * 1000)::bigint';

/** Told what the clock of the database showed between two moments of this machine's. */
export type ReadClock = (theirs: WallMs, askedAt: WallMs, answeredAt: WallMs) => void;

export interface Beats {
  /** How long others count on a gate after its heartbeat. */
  readonly lifeMs: number;
  readonly renewMs: number;
}

export const usualBeats: Beats = { lifeMs: 20_000, renewMs: 5_000 };

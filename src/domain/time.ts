// Which clock a time was read from, by type: a time of one clock does not pass for a time of another. Figures that no
// clock gave, such as those of the store, pass for any.

/**
 * Unix milliseconds of the wall clock, which can be set at any moment. For facts that have a date: when something was
 * made, expires, ends, was used; what others have signed.
 */
export type WallMs = number & { readonly __clock?: 'wall' };

/**
 * Unix milliseconds of the steady clock: the wall clock as it was at the start and the time that has passed since. For the
 * windows of limits and rules, which nobody refills by setting a clock.
 */
export type SteadyMs = number & { readonly __clock?: 'steady' };

/** Milliseconds since some moment, never set and never going back. For durations within this process. */
export type MonotonicMs = number & { readonly __clock?: 'monotonic' };

export interface Clocks {
  readonly wall: () => WallMs;
  readonly steady: () => SteadyMs;
  /** The same moment by the other clock: the same figure, unless the wall clock was set since the start. */
  readonly toSteady: (at: WallMs) => SteadyMs;
  readonly toWall: (at: SteadyMs) => WallMs;
  /** Has the wall clock been set since the start? */
  readonly wasSet: boolean;
}

/** So far a clock goes back in ordinary life, when it is put right by a little. */
const ordinaryStepMs = 60_000;

/**
 * How old something is, never below 0. What is dated in the future was written under a clock that was wrong: how old it
 * is cannot be known, and it counts as older than everything.
 */
export function ageOf(at: WallMs, now: WallMs): number {
  return at - now > ordinaryStepMs ? Infinity : Math.max(0, now - at);
}

/** A moment as the management API and the command write it (RFC 3339, UTC). */
export function iso(at: number): string;
export function iso(at: number | null): string | null;
export function iso(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

// Types that tell which clock a time was read from: a time of one clock is not assignable to another. Plain numbers,
// such as those of the store, are assignable to any.

/**
 * Unix milliseconds of the wall clock, which can be set at any time. For facts with a date (created, expires, ended,
 * used) and for times signed by others.
 */
export type WallMs = number & { readonly __clock?: 'wall' };

/**
 * Unix milliseconds of the steady clock: the wall clock at the start plus the time elapsed since. For the windows of
 * limits and rules, which setting a clock must not reset.
 */
export type SteadyMs = number & { readonly __clock?: 'steady' };

/** Milliseconds since an arbitrary moment, never set and never decreasing. For durations within this process. */
export type MonotonicMs = number & { readonly __clock?: 'monotonic' };

export interface Clocks {
  readonly wall: () => WallMs;
  readonly steady: () => SteadyMs;
  /** The same moment on the other clock: the same figure unless the wall clock was set since the start. */
  readonly toSteady: (at: WallMs) => SteadyMs;
  readonly toWall: (at: SteadyMs) => WallMs;
  /** Whether the wall clock was set since the start. */
  readonly wasSet: boolean;
}

/** The largest step back of an ordinary clock correction. */
const ordinaryStepMs = 60_000;

/**
 * The age of something, never below 0. A time in the future was written under a wrong clock: its age is unknown, so it
 * counts as older than everything.
 */
export function ageOf(at: WallMs, now: WallMs): number {
  return at - now > ordinaryStepMs ? Infinity : Math.max(0, now - at);
}

/** A time as the management API and the command write it (RFC 3339, UTC). */
export function iso(at: number): string;
export function iso(at: number | null): string | null;
export function iso(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

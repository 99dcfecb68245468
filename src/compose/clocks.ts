// The clocks of a gateway, which all its parts share: one clock, one calendar, and the monotonic clock in milliseconds. Dates follow
// the clock of the database, if there is one that several gateways can use.
import { uptime } from 'node:os';
import { Calendar } from '../domain/calendar.ts';
import { FollowedClock } from '../domain/followed-clock.ts';
import { SteadyClock } from '../domain/steady-clock.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { Config } from '../settings/config.ts';

export interface GateClocks {
  readonly clock: SteadyClock;
  /** What its dates are by. */
  readonly followed: FollowedClock;
  readonly calendar: Calendar;
  readonly nowMs: () => MonotonicMs;
}

export function openClocks({ timeZone }: Config): GateClocks {
  const nowMs = (): MonotonicMs => performance.now();
  const followed = new FollowedClock(() => Date.now());
  return {
    followed,
    clock: new SteadyClock({ wallMs: followed.now, monotonicMs: nowMs, uptimeMs: () => uptime() * 1000 }),
    calendar: new Calendar(timeZone),
    nowMs,
  };
}

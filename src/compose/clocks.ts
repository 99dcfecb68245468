// The clocks of a gateway, which all its parts share: one clock, one calendar, and the monotonic clock in milliseconds.
import { uptime } from 'node:os';
import { Calendar } from '../domain/calendar.ts';
import { SteadyClock } from '../domain/steady-clock.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { Config } from '../settings/config.ts';

export interface GateClocks {
  readonly clock: SteadyClock;
  readonly calendar: Calendar;
  readonly nowMs: () => MonotonicMs;
}

export function openClocks({ timeZone }: Config): GateClocks {
  const nowMs = (): MonotonicMs => performance.now();
  return {
    clock: new SteadyClock({ wallMs: () => Date.now(), monotonicMs: nowMs, uptimeMs: () => uptime() * 1000 }),
    calendar: new Calendar(timeZone),
    nowMs,
  };
}

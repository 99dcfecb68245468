// Have the caller's limits any room at all? Takes a caller who may use the operation; looks at what was used before anything
// of the call is read, so that a caller who has used everything up never makes us read a body.
import type { Calendar } from '../domain/calendar.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import type { Permitted } from './check-access.ts';
import { addLimitLines } from './limits/limit-headers.ts';
import { refuseExhausted, refuseIdle, standingOf } from './limits/limiter.ts';
import type { UsageSource } from './metering.ts';

export interface LimitRules extends UsageSource {
  readonly calendar: Calendar;
}

declare class Mark {
  protected readonly prechecked: true;
}
/** The caller's limits leave room for some call of this kind. */
export interface Prechecked extends Permitted, Mark {}

/**
 * Takes nothing from the limits. `lines` are the response's.
 * @throws GatewayError `rate_limited`, `quota_exceeded`, `beyond_plan` where no call at all would be let through now.
 */
export function refuseSpent(permitted: Permitted, lines: string[], rules: LimitRules): Prechecked {
  const { operation, metering } = permitted;
  const { principal } = permitted.caller;
  if (metering.kind === 'unmetered' || operation.body === 'none') return permitted as Prechecked;
  if (operation.time !== 'metadata') refuseIdle(principal);
  const now = rules.clocks.steady();
  const { slowed } = restrictionsOf(principal.suspensions, rules.clocks.wall());
  const standing = standingOf(principal, metering.usage, slowed, rules.calendar, now);
  try {
    const kind =
      operation.time !== 'inference' ? 'nothing' : operation.scope === 'inference:chat' ? 'generation' : 'embedding';
    refuseExhausted(principal, standing, kind, now);
  } catch (error) {
    addLimitLines(lines, principal, standing, operation.dialect, rules.clocks, true);
    throw error;
  }
  return permitted as Prechecked;
}

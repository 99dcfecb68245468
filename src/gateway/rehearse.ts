// What `admit` would say of a call now, for previews: takes from the account's limits what the call would take and gives it back in
// the same breath. A call that would wait in the line of its account passes when it is its turn.
import { type GatewayError, toGatewayError } from '../domain/error.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import type { Shaped } from './apply-plan.ts';
import { expectedUse } from './limits/expected-use.ts';
import { type Ask, refuseBeyond, reserve, standingOf } from './limits/limiter.ts';
import { waitsInLine } from './limits/take-limits.ts';
import type { LimitRules } from './precheck.ts';

export interface Rehearsal {
  readonly ask: Ask;
  readonly refusal: GatewayError | undefined;
}

export function rehearse(call: Shaped, { calendar, clocks }: LimitRules): Rehearsal {
  const { metering } = call;
  const { principal } = call.caller;
  const ask = expectedUse(call);
  if (metering.kind === 'unmetered') return { ask, refusal: undefined };
  const { usage } = metering;
  const at = clocks.steady();
  const { slowed } = restrictionsOf(principal.suspensions, clocks.wall());
  const standing = standingOf(principal, usage, slowed, calendar, at);
  try {
    if (waitsInLine(principal, usage, ask)) refuseBeyond(principal, standing, ask, at);
    else reserve(principal, standing, ask, at).cancel();
    return { ask, refusal: undefined };
  } catch (error) {
    return { ask, refusal: toGatewayError(error) };
  }
}

// Predicts what `admit` would do with a call now, for previews. Reserves nothing. A call that would wait in its
// account's line counts as passing.
import { type GatewayError, toGatewayError } from '../domain/error.ts';
import { type Ask, firstCrowded } from '../domain/limit.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import type { Shaped } from './apply-plan.ts';
import { expectedUse } from './limits/expected-use.ts';
import { crowdedError, idleError, refuseFull } from './limits/limit-refusals.ts';
import { mayWait } from './limits/take-limits.ts';
import type { LimitRules } from './metering.ts';

export interface Rehearsal {
  readonly ask: Ask;
  readonly refusal: GatewayError | undefined;
}

export async function rehearse(call: Shaped, { clocks }: LimitRules): Promise<Rehearsal> {
  const { metering } = call;
  const { principal } = call.caller;
  const ask = expectedUse(call);
  if (metering.kind === 'unmetered') return { ask, refusal: undefined };
  const { usage } = metering;
  const { slowed } = restrictionsOf(principal.suspensions, clocks.wall());
  const standing = await usage.key(principal.lineage).limits.look(principal, clocks.steady(), slowed);
  try {
    refuseFull(principal, standing, ask, clocks.steady());
  } catch (error) {
    return { ask, refusal: toGatewayError(error) };
  }
  if (!ask.spends) return { ask, refusal: undefined };
  const crowded = firstCrowded(principal.atOnce, standing);
  const waits = crowded === undefined || mayWait(principal, usage, ask);
  return { ask, refusal: idleError(principal) ?? (waits ? undefined : crowdedError(crowded, principal, standing)) };
}

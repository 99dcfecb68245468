// Checks whether the caller's limits have any room at all. Takes a caller who may use the operation, and checks their
// usage before the body is read, so the body of an exhausted caller is never read.
import type { Standing } from '../domain/limit.ts';
import { isLater, type Soon } from '../domain/soon.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import type { Permitted } from './check-access.ts';
import { addLimitLines } from './limits/limit-headers.ts';
import { idleError, refuseExhausted } from './limits/limit-refusals.ts';
import type { LimitRules } from './metering.ts';

declare class Mark {
  protected readonly prechecked: true;
}
/** Proof that the caller's limits leave room for some call of this kind. */
export interface Prechecked extends Permitted, Mark {}

/**
 * Reserves nothing. `lines` are the response's header lines.
 * @throws GatewayError `rate_limited`, `quota_exceeded`, `beyond_plan` if no call at all would be admitted now.
 */
export function refuseSpent(permitted: Permitted, lines: string[], rules: LimitRules): Soon<Prechecked> {
  const { operation, metering } = permitted;
  const { principal } = permitted.caller;
  if (metering.kind === 'unmetered' || operation.body === 'none') return permitted as Prechecked;
  const idle = operation.time === 'metadata' ? undefined : idleError(principal);
  if (idle) throw idle;
  const { slowed } = restrictionsOf(principal.suspensions, rules.clocks.wall());
  const looking = metering.usage.key(principal.lineage).limits.look(principal, rules.clocks.steady(), slowed);
  return isLater(looking)
    ? looking.then((standing) => judge(permitted, standing, lines, rules))
    : judge(permitted, looking, lines, rules);
}

function judge(permitted: Permitted, standing: Standing, lines: string[], { clocks }: LimitRules): Prechecked {
  const { operation } = permitted;
  const { principal } = permitted.caller;
  try {
    const kind =
      operation.time !== 'inference' ? 'nothing' : operation.scope === 'inference:chat' ? 'generation' : 'embedding';
    refuseExhausted(principal, standing, kind, clocks.steady());
  } catch (error) {
    addLimitLines(lines, principal, standing, operation.dialect, clocks, true);
    throw error;
  }
  return permitted as Prechecked;
}

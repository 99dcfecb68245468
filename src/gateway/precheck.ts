// Checks whether the caller's limits have any room at all. Takes a call that the gate would take, and checks its
// caller's usage before the body is read, so the body of an exhausted caller is never read.
import type { Standing } from '../domain/limit.ts';
import { isLater, type Soon } from '../domain/soon.ts';
import { restrictionsOf } from '../domain/suspension.ts';
import { addLimitLines } from './limits/limit-headers.ts';
import { idleError, refuseExhausted } from './limits/limit-refusals.ts';
import type { Welcome } from './maintenance.ts';
import type { LimitRules } from './metering.ts';

declare class Mark {
  protected readonly prechecked: true;
}
/** Proof that the caller's limits leave room for some call of this kind. */
export interface Prechecked extends Welcome, Mark {}

/**
 * Reserves nothing. `lines` are the response's header lines.
 * @throws GatewayError `rate_limited`, `quota_exceeded`, `beyond_plan` if no call at all would be admitted now.
 */
export function refuseSpent(welcome: Welcome, lines: string[], rules: LimitRules): Soon<Prechecked> {
  const { operation, metering } = welcome;
  const { principal } = welcome.caller;
  if (metering.kind === 'unmetered' || operation.body === 'none') return welcome as Prechecked;
  const idle = operation.time === 'metadata' ? undefined : idleError(principal);
  if (idle) throw idle;
  const { slowed } = restrictionsOf(principal.suspensions, rules.clocks.wall());
  const looking = metering.usage.key(principal.lineage).limits.glance(principal, rules.clocks.steady(), slowed);
  return isLater(looking)
    ? looking.then((standing) => judge(welcome, standing, lines, rules))
    : judge(welcome, looking, lines, rules);
}

function judge(welcome: Welcome, standing: Standing, lines: string[], { clocks }: LimitRules): Prechecked {
  const { operation } = welcome;
  const { principal } = welcome.caller;
  try {
    const kind =
      operation.time !== 'inference' ? 'nothing' : operation.scope === 'inference:chat' ? 'generation' : 'embedding';
    refuseExhausted(principal, standing, kind, clocks.steady());
  } catch (error) {
    addLimitLines(lines, principal, standing, operation.dialect, clocks, true);
    throw error;
  }
  return welcome as Prechecked;
}

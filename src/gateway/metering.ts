// Are the calls of this caller counted, and where? Takes a known caller; proves that the account's usage is at hand, or that
// the account has no limits, so that nothing of its calls is counted. Refuses nobody for what was used.
import { GatewayError } from '../domain/error.ts';
import { unlimited } from '../domain/plan.ts';
import { isLater, type Soon } from '../domain/soon.ts';
import type { Clocks } from '../domain/time.ts';
import type { Exchange } from './exchange.ts';
import type { Identified } from './identify.ts';
import { type Metering, unmetered } from './limits/account-usage.ts';
import type { AccountUsages } from './limits/account-usages.ts';

declare class Mark {
  protected readonly accounted: true;
}
/** It is known whether and where the caller's calls are counted. */
export interface Accounted extends Identified, Mark {
  readonly metering: Metering;
}

export interface LimitRules {
  readonly accountUsages: Pick<AccountUsages, 'of'>;
  /** Windows go by the steady clock, suspensions by the wall clock. */
  readonly clocks: Clocks;
}

/**
 * At once where the account has been seen lately.
 * @throws GatewayError `limits_unavailable` where the ledger cannot be read: what was used is not known to be nothing.
 */
export function openUsage(
  identified: Identified,
  exchange: Pick<Exchange, 'notes'>,
  { accountUsages, clocks }: LimitRules,
): Soon<Accounted> {
  const { principal } = identified.caller;
  if (principal.plan === unlimited) return accounted(identified, exchange, unmetered);
  const found = accountUsages.of(principal.accountId);
  if (isLater(found))
    return found.then(
      (usage) => accounted(identified, exchange, usage.metered),
      (cause: unknown) => {
        throw new GatewayError('limits_unavailable', { cause });
      },
    );
  found.lastSeenAt = clocks.steady();
  return accounted(identified, exchange, found.metered);
}

function accounted(identified: Identified, exchange: Pick<Exchange, 'notes'>, metering: Metering): Accounted {
  const { operation, parameter, caller, signature } = identified;
  exchange.notes.noteMetering(metering);
  return { operation, parameter, caller, signature, metering } as Accounted;
}

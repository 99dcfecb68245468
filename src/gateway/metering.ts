// Determines whether and where the caller's calls are counted. Takes a known caller; proves that the account's usage is
// loaded, or that the account has no limits, so nothing is counted. Does not refuse calls for their usage.
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
/** Proof that it is known whether and where the caller's calls are counted. */
export interface Accounted extends Identified, Mark {
  readonly metering: Metering;
}

export interface LimitRules {
  readonly accountUsages: Pick<AccountUsages, 'of'>;
  /** Windows use the steady clock, suspensions the wall clock. */
  readonly clocks: Clocks;
}

/**
 * Synchronous if the account was seen recently.
 * @throws GatewayError `limits_unavailable` if the ledger cannot be read: unknown usage is not zero usage.
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

// The last gate before money is spent. Takes a call that is allowed; proves that the gate is not stopping and that the
// call stands in the journal, so that it will be accounted for whatever happens next. What cannot be written down is
// not started.
import { GatewayError } from '../domain/error.ts';
import type { UsageJournal } from '../store/ports.ts';
import type { Authorized } from './authorize.ts';
import type { Exchange } from './exchange.ts';
import { draftOf } from './record.ts';

export interface Admitted extends Authorized {
  readonly [admitted]: true;
}
declare const admitted: unique symbol;

/** @throws GatewayError `draining`, or `internal` where the journal cannot be written. */
export function admit(call: Authorized, exchange: Exchange, journal: UsageJournal, draining: boolean): Admitted {
  if (draining) throw new GatewayError('draining');
  const draft = draftOf(exchange);
  if (!draft) throw new GatewayError('internal');
  exchange.begun = journal.begin(draft, () => ({ ...(exchange.meter?.read() ?? unsent), bytesOut: exchange.bytesOut }));
  return call as Admitted;
}

const unsent = { promptTokens: 0, completionTokens: 0 };

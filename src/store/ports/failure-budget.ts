// The port to the budgets for attempts from one address, such as wrong keys. An IPv4 address counts by itself and an IPv6 address as
// its /64; a budget is for a minute. An adapter that shares the budget with other gates counts later, and knows at once only what it
// has heard. Every adapter has to pass test/contracts/failure-budget.ts.
import type { Soon } from '../../domain/soon.ts';

export interface FailureBudget {
  /** Seconds until this address may try again, as far as this gate knows; 0 if it may now. */
  waitSeconds(address: string): number;
  /** Counts an attempt. Seconds until this address may try again if the budget was already spent; else 0. Never rejects. */
  note(address: string): Soon<number>;
}

// The figures by which guessed passwords and codes are throttled, and what an attempt counts for.
import { networkOf } from './address.ts';

export type SignInCount = 'pair' | 'mailbox' | 'address';

/** Failures before there is a wait. */
export const freeFailures = { pair: 5, mailbox: 30, address: 60 } as const;
/** Many people can share an address; if one of them guesses, the others only wait for seconds. */
export const longestWaitMs = { pair: 15 * 60_000, mailbox: 30_000, address: 10_000 } as const;
/** After this time without a failure, everything is forgotten. */
export const forgetFailuresMs = 60 * 60_000;

export function signInCountsOf(address: string, mailbox: string): readonly (readonly [SignInCount, string])[] {
  const network = networkOf(address);
  const byAddress = ['address', `${network} `] as const;
  return mailbox === ''
    ? [byAddress]
    : [byAddress, ['pair', `${network} ${mailbox}`] as const, ['mailbox', ` ${mailbox}`] as const];
}

// The port to the throttle of passwords and codes that are guessed: by address and mailbox together, by mailbox from all addresses,
// and by address for all mailboxes. Waits double and expire, so an attacker cannot lock a person out for long, and a correct password
// from an address without failures is accepted unless very many addresses are guessing at that mailbox. Without a mailbox (an empty
// one), only the address counts. Nothing here rejects. Every adapter has to pass test/contracts/sign-in-throttle.ts.
import type { Soon } from '../../domain/soon.ts';

export interface SignInThrottle {
  /** Seconds to wait; or 0, and the attempt counts as failed from now on, so that fifty at the same time count as fifty. */
  attempt(address: string, mailbox: string): Soon<number>;
  /** The attempt has failed. The wait starts now, after the check. */
  answered(address: string, mailbox: string): Soon<void>;
  /** Failures of that address at that mailbox no longer count; others still do. */
  succeeded(address: string, mailbox: string): Soon<void>;
}

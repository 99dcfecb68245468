// The port of what accounts have used: where the figures are counted that limits look at. An adapter takes what a call asks from
// all limits of its account and its key, or from none; it may answer at once or later. The gate says in words why a call is
// refused. test/contracts/limit-store.ts holds what every adapter promises.
import type { AccountId, KeyId, RequestId } from '../../domain/id.ts';
import type { Ask, CallerBounds, Limit, Standing, SubjectName, Use } from '../../domain/limit.ts';
import type { Soon } from '../../domain/soon.ts';
import type { SteadyMs } from '../../domain/time.ts';
import type { UsageBucket } from '../../domain/usage.ts';

export interface LimitStore {
  /**
   * What an account has used, when this process sees it for the first time or after hours without a call. `recorded` is what the
   * ledger has of it, the oldest first, with each key by the first of its row of rotations; an adapter whose figures outlive the
   * process does not need it.
   */
  open(account: AccountId, recorded: readonly UsageBucket[], at: SteadyMs): Soon<AccountLimits>;
}

export interface AccountLimits {
  /** Calls of this process that hold something. */
  readonly held: number;
  /** Called when a call that ran has ended, here or in another process: one that waits for room may try again. */
  onEnd: (() => void) | undefined;
  /** For one key, by the first of its row of rotations. The same object each time. */
  of(lineage: KeyId): CallerLimits;
}

export interface CallerLimits {
  /** How its limits stand, by the windows of `at`. Takes nothing; figures may be a moment old. */
  look(bounds: CallerBounds, at: SteadyMs, slowed: boolean): Soon<Standing>;
  /**
   * Takes what a call asks, from all limits or from none, in the windows of `at`. No two calls get the same last piece, however
   * many ask at once. Rejects with a GatewayError where the figures are not to be had: then nothing is taken.
   */
  reserve(id: RequestId, ask: Ask, bounds: CallerBounds, at: SteadyMs, slowed: boolean): Soon<Reserved>;
}

export type Reserved = Lease | Full | Crowded;

/** What a call holds of its limits, until it is settled or cancelled. Whichever comes first counts, once. */
export interface Lease {
  readonly kind: 'lease';
  readonly standing: Standing;
  /** The moment in whose windows the call counts. */
  readonly at: SteadyMs;
  /** The call is over and has used this, which takes the place of what it asked. */
  settle(use: Use): void;
  /** The call did not leave: it costs nothing, not even a request. */
  cancel(): void;
}

/** As many calls run as may. Looked at first: the call can wait for the end of one of them. */
export interface Crowded {
  readonly kind: 'crowded';
  readonly standing: Standing;
  readonly on: SubjectName;
}

/** A window has no room for the call. */
export interface Full {
  readonly kind: 'full';
  readonly standing: Standing;
  readonly limit: Limit;
}

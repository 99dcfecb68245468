// The port to the counters behind the limits. An adapter reserves what a call asks for from all limits of its account and key, or
// from none of them; it may answer at once or later. The gateway turns a refusal into words. Every adapter has to pass
// test/contracts/limit-store.ts.
import type { AccountId, KeyId, RequestId } from '../../domain/id.ts';
import type { Ask, CallerBounds, Limit, Standing, SubjectName, Use } from '../../domain/limit.ts';
import type { Soon } from '../../domain/soon.ts';
import type { SteadyMs } from '../../domain/time.ts';
import type { UsageBucket } from '../../domain/usage.ts';
import type { JointEntry } from './turn-queue.ts';

export interface LimitStore {
  /**
   * Called for the first call of an account in this process, and for the first one after hours of silence. `recorded` is the
   * account's use according to the ledger, oldest first; each key is named by the first key of its rotations. An adapter whose
   * counters outlive the process does not need it.
   */
  open(account: AccountId, recorded: readonly UsageBucket[], at: SteadyMs): Soon<AccountLimits>;
}

export interface AccountLimits {
  /** Open leases of this process. */
  readonly held: number;
  /** Called when a lease has ended, in this process or another: waiting calls may find room. */
  onEnd: (() => void) | undefined;
  /** The limits of one key, named by the first key of its rotations. Returns the same object each time. */
  of(lineage: KeyId): CallerLimits;
}

export interface CallerLimits {
  /** How the limits stand in the windows of `at`. Reserves nothing; the figures may be slightly out of date. */
  look(bounds: CallerBounds, at: SteadyMs, slowed: boolean): Soon<Standing>;
  /** As `look`, but may answer with figures of a minute ago if these leave room: a full limit is always that of now. */
  glance(bounds: CallerBounds, at: SteadyMs, slowed: boolean): Soon<Standing>;
  /**
   * Reserves what a call asks for, from all limits or from none, in the windows of `at`. Exact under any number of parallel
   * calls. `id` names the call, so that an adapter can repeat the question. Rejects with a GatewayError, and reserves nothing, if
   * the counters cannot be reached. `joint`: the call's turn, to be asked for with the limits if one store keeps both.
   */
  reserve(
    id: RequestId,
    ask: Ask,
    bounds: CallerBounds,
    at: SteadyMs,
    slowed: boolean,
    joint?: JointEntry<unknown>,
  ): Soon<Reserved>;
}

export type Reserved = Lease | Full | Crowded;

/** A call's reservation. The first call of `settle` or `cancel` ends it; later ones do nothing. */
export interface Lease {
  readonly kind: 'lease';
  readonly standing: Standing;
  /** The call counts in the windows of this moment. */
  readonly at: SteadyMs;
  /** The call has ended: its actual use replaces the reservation. */
  settle(use: Use): void;
  /** The call was not forwarded: it costs nothing, not even a request. */
  cancel(): void;
}

/** Too many calls run. Checked before the windows, because such a call can wait until another one ends. */
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

// Counts limits in the memory of this process. A reservation runs to its end without waiting, so two calls can never both see the
// last piece free (litellm#34732). Counters start from the ledger, so that a restart forgets no use; a call counts in the windows
// in which it began, as in the ledger. Windows begin with the minute of the clock, and with the hour, day, week and month of a
// time zone: see docs/plans.md.
import type { Calendar } from '../../domain/calendar.ts';
import type { AccountId, KeyId, RequestId } from '../../domain/id.ts';
import {
  type Ask,
  type CallerBounds,
  firstCrowded,
  firstFull,
  type Limit,
  type Standing,
  type SubjectName,
  subjectNames,
  type Use,
} from '../../domain/limit.ts';
import type { SteadyMs } from '../../domain/time.ts';
import type { UsageBucket } from '../../domain/usage.ts';
import type { AccountLimits, CallerLimits, Crowded, Full, Lease, LimitStore } from '../ports/limit-store.ts';
import { count, UsageCounters } from './usage-counters.ts';

export class MemoryLimits implements LimitStore {
  readonly #calendar: Calendar;

  constructor(calendar: Calendar) {
    this.#calendar = calendar;
  }

  open(_account: AccountId, recorded: readonly UsageBucket[], at: SteadyMs): AccountCounters {
    const account = new AccountCounters(this.#calendar);
    for (const bucket of recorded) account.of(bucket.keyId).add(bucket, at);
    return account;
  }
}

/** All state of an account is in this object: opening the account again starts from the ledger. */
class AccountCounters implements AccountLimits {
  held = 0;
  onEnd: (() => void) | undefined;
  readonly #calendar: Calendar;
  readonly #account = new UsageCounters();
  readonly #keys = new Map<KeyId, Chain>();

  constructor(calendar: Calendar) {
    this.#calendar = calendar;
  }

  of(lineage: KeyId): Chain {
    let chain = this.#keys.get(lineage);
    if (!chain) {
      chain = new Chain(this, this.#calendar, { account: this.#account, key: new UsageCounters() });
      this.#keys.set(lineage, chain);
    }
    return chain;
  }
}

/** The counters of every subject that the calls of one key count on. */
class Chain implements CallerLimits, Standing {
  slowed = false;
  /** In the order of `subjects`. */
  readonly counters: readonly UsageCounters[];
  readonly #owner: AccountCounters;
  readonly #calendar: Calendar;

  constructor(owner: AccountCounters, calendar: Calendar, counters: Readonly<Record<SubjectName, UsageCounters>>) {
    this.#owner = owner;
    this.#calendar = calendar;
    this.counters = subjectNames.map((on) => counters[on]);
  }

  /** Adds recorded use. */
  add(bucket: UsageBucket, now: SteadyMs): void {
    this.#roll(now);
    count(this.counters, bucket.at, bucket, undefined);
  }

  look(_bounds: CallerBounds, at: SteadyMs, slowed: boolean): Standing {
    this.slowed = slowed;
    this.#roll(at);
    return this;
  }

  glance(bounds: CallerBounds, at: SteadyMs, slowed: boolean): Standing {
    return this.look(bounds, at, slowed);
  }

  reserve(_id: RequestId, ask: Ask, bounds: CallerBounds, at: SteadyMs, slowed: boolean): MemoryLease | Full | Crowded {
    this.look(bounds, at, slowed);
    const on = ask.spends ? firstCrowded(bounds.atOnce, this) : undefined;
    if (on !== undefined) return { kind: 'crowded', standing: this, on };
    const limit = firstFull(bounds.limits, ask, this);
    return limit === undefined ? new MemoryLease(this, ask, at) : { kind: 'full', standing: this, limit };
  }

  used({ subjectAt, windowAt, measureAt }: Limit): number {
    return (this.counters[subjectAt] as UsageCounters).used(windowAt, measureAt);
  }

  endsAt({ subjectAt, windowAt }: Limit): SteadyMs {
    return (this.counters[subjectAt] as UsageCounters).endsAt(windowAt);
  }

  running(on: SubjectName): number {
    return (this.counters[subjectNames.indexOf(on)] as UsageCounters).running;
  }

  /** A lease begins or ends. */
  hold(step: 1 | -1, { spends }: Ask): void {
    this.#owner.held += step;
    if (spends) for (const counters of this.counters) counters.running += step;
    if (step < 0) this.#owner.onEnd?.();
  }

  #roll(now: SteadyMs): void {
    for (const counters of this.counters) counters.roll(this.#calendar, now);
  }
}

class MemoryLease implements Lease {
  readonly kind = 'lease';
  readonly standing: Chain;
  readonly at: SteadyMs;
  readonly #ask: Ask;
  #open = true;

  constructor(chain: Chain, ask: Ask, at: SteadyMs) {
    this.standing = chain;
    this.at = at;
    this.#ask = ask;
    count(chain.counters, at, ask, undefined);
    chain.hold(1, ask);
  }

  settle(use: Use): void {
    this.#end(use);
  }

  cancel(): void {
    this.#end(undefined);
  }

  #end(use: Use | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    count(this.standing.counters, this.at, use, this.#ask);
    this.standing.hold(-1, this.#ask);
  }
}

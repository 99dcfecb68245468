// What this process keeps about one active account: the handle of its limits, the calls that wait for room, the bytes that
// are held for it, the rolling figures of the ladder, and the length of its keys' last answers. Decides nothing.
import type { KeyId } from '../../domain/id.ts';
import type { Rule } from '../../domain/rule.ts';
import type { SteadyMs, WallMs } from '../../domain/time.ts';
import type { AccountLimits, CallerLimits } from '../../store/ports/limit-store.ts';
import type { Holder } from '../payload/body-budget.ts';
import { AccountLine } from './account-line.ts';
import { RecentAnswers } from './recent-answers.ts';
import type { RollingCount } from './rolling-count.ts';

/** A figure of the ladder, for one rule. */
export interface RollingFigure {
  readonly rule: Rule;
  readonly count: RollingCount;
  readonly taken: TakenStep;
  /** The ledger is being asked what other gates add to it. */
  isAsked: boolean;
}

/** The last step that a figure caused. A changed rule has a figure of its own, but the same step. */
export interface TakenStep {
  /** Its end, so that it is not taken twice. */
  until: SteadyMs;
  /** When it was stored; a caller read later without the step has had it lifted. */
  storedAt: SteadyMs;
  /** Since when the store has failed to say whether it has the step; Infinity if it is known. */
  unsureSince: WallMs;
}

/** The ladder's figures, by rule name. */
export type RollingFigures = Map<string, RollingFigure>;

/** Whether and where the calls of a caller are counted. Accounts without limits are not counted. */
export type Metering = Metered | { readonly kind: 'unmetered' };

export interface Metered {
  readonly kind: 'metered';
  readonly usage: AccountUsage;
}

export const unmetered: Metering = { kind: 'unmetered' };

/** The account to which request bodies are charged; undefined for callers that are not counted. */
export const bodiesOf = (metering: Metering): Holder | undefined =>
  metering.kind === 'metered' ? metering.usage : undefined;

/** The same for answers that wait for their readers. */
export const answersOf = (metering: Metering): Holder | undefined =>
  metering.kind === 'metered' ? metering.usage.answers : undefined;

/** Usage of a key, together with the keys that it replaced. */
export interface KeyUsage {
  readonly limits: CallerLimits;
  readonly recentAnswers: RecentAnswers;
  readonly rolling: RollingFigures;
}

export class AccountUsage {
  /** For the proofs of its calls. */
  readonly metered: Metered = { kind: 'metered', usage: this };
  readonly limits: AccountLimits;
  /** Calls that wait until fewer of the account are running. */
  readonly line = new AccountLine();
  readonly rolling: RollingFigures = new Map();
  readonly #keys = new Map<KeyId, KeyUsage>();
  lastSeenAt: SteadyMs = 0;
  /** Bytes of its request bodies in memory. */
  heldBytes = 0;
  /** Bytes of its answers that wait for their readers. */
  readonly answers: Holder = { heldBytes: 0 };

  constructor(limits: AccountLimits) {
    this.limits = limits;
    limits.onEnd = () => this.line.fill();
  }

  key(lineage: KeyId): KeyUsage {
    let key = this.#keys.get(lineage);
    if (!key) {
      key = { limits: this.limits.of(lineage), recentAnswers: new RecentAnswers(), rolling: new Map() };
      this.#keys.set(lineage, key);
    }
    return key;
  }

  get idle(): boolean {
    return this.limits.held + this.heldBytes + this.answers.heldBytes + this.line.length === 0;
  }

  /** Whether it has figures that are not in the ledger. Failed authentications leave no row. */
  holdsUnwritten(now: SteadyMs): boolean {
    for (const { rolling } of [this, ...this.#keys.values()])
      for (const { rule, count } of rolling.values())
        if (rule.measure === 'failedAuthentications' && count.total(now) > 0) return true;
    return false;
  }
}

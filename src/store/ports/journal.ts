// The journal: records each exchange before and after it runs, so that none is lost if the process is killed.
import type { Member } from '../../domain/swap-set.ts';
import type { UsageCost, UsageRecord } from '../../domain/usage.ts';

/** The cost of an exchange so far; requested once a second while it runs. */
export interface Progress {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly cost?: UsageCost;
}

/** An exchange that has begun, as the journal knows it. */
export interface OpenUsage extends Member {
  /** The row to recover if the process is killed. */
  readonly draft: UsageRecord;
  readonly progress: () => Progress;
}

/** Records exchanges so that none is lost if the process is killed. */
export interface UsageJournal {
  /**
   * `before`: the same exchange has begun already, as another draft says, and nothing of it was sent. @throws if it cannot be
   * written; the exchange must then not start.
   */
  begin(draft: UsageRecord, progress: () => Progress, before?: OpenUsage): OpenUsage;
  /** Has written when it returns; call before the caller can see the end of the answer. */
  end(record: UsageRecord, begun: OpenUsage | undefined): void;
  /**
   * Like `end`, in one write with the other rows of this turn of the event loop. Calls back on a later turn, after the
   * write; only then may the caller see the end of the answer.
   */
  endSoon(record: UsageRecord, begun: OpenUsage | undefined, written: () => void): void;
  /** The journal cannot be written now, so new rows stay in memory. */
  readonly isStuck: boolean;
}

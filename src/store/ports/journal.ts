// The journal: each exchange is written down before and after it runs, so that no kill loses it.
import type { Member } from '../../domain/swap-set.ts';
import type { UsageRecord } from '../../domain/usage.ts';

/** What an exchange has cost so far; asked about once a second while it runs. */
export interface Progress {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly bytesOut: number;
}

/** An exchange that has begun, as the journal knows it. */
export interface OpenUsage extends Member {
  /** The row as it would be if the process died now. */
  readonly draft: UsageRecord;
  readonly progress: () => Progress;
}

/** Where exchanges are written down so that no kill can lose them. */
export interface UsageJournal {
  /** Throws if it cannot be written: then the exchange must not start. */
  begin(draft: UsageRecord, progress: () => Progress): OpenUsage;
  /** Has written when it returns; to be called before the caller can see the end of the answer. */
  end(record: UsageRecord, begun: OpenUsage | undefined): void;
  /**
   * As `end`, in one write with the other rows of this turn of the event loop. Calls back, on a later turn, when it has been
   * written; only then may the caller see the end of the answer.
   */
  endSoon(record: UsageRecord, begun: OpenUsage | undefined, written: () => void): void;
  /** It cannot be written now: each row that comes meanwhile stands in memory. */
  readonly isStuck: boolean;
}

// Notifies of changes in the store, by this process or another, so that cached data (callers, rules) can be refreshed.
import type { AccountId } from '../../domain/id.ts';

/** The accounts whose calls a change may concern. */
export type ChangedAccounts = ReadonlySet<AccountId> | 'all';

export interface ChangeListener {
  /** What failed, for the log. */
  readonly what: string;
  /** What later listeners do depends on what this one reads: if it takes long, they run again when it is done. */
  readonly isBasis?: true;
  /**
   * Refreshes what depends on the store. `staleMs`: nothing had changed so many milliseconds ago, as far as the store could say;
   * undefined: this process has changed something. `accounts`: whose calls may have to be decided otherwise since its last run;
   * undefined at the first one.
   */
  readonly run: (staleMs?: number, accounts?: ChangedAccounts) => Promise<void>;
}

/** Where a feed reports that something starts to fail, once instead of at every look, and that it works again. */
export interface FeedReport {
  readonly onFailure: (what: string, error: unknown) => void;
  readonly onRecovery: (what: string) => void;
}

/**
 * The guarantee: for every change committed before a look begins, each listener runs at least once, starting after the
 * change. A listener that fails has not run: every look calls it again until it succeeds, whether or not anything else
 * has changed. Listeners are independent, so one that fails or takes long does not block others, nor later looks for them. Two
 * runs of one listener never overlap. A look that cannot determine whether anything has changed calls them all. A listener may run without a
 * relevant change.
 */
export interface ChangeFeed {
  /** Runs the listener, and again whenever it is due. Rejects if the first run fails; it is then not subscribed. */
  subscribe(listener: ChangeListener): Promise<() => void>;
  /** Looks for changes by other processes, and resolves when every listener has run for them. Never rejects. */
  look(): Promise<void>;
  /** Whether the store cannot say at present if anything has changed. Never rejects. */
  isBlind(): Promise<boolean>;
  /** Reports a change by this process, which a look alone may miss. Resolves after the next look. Never rejects. */
  announce(): Promise<void>;
  /** Called for each change by this process, so that other gates can be told to look. */
  onAnnounce: (() => void) | undefined;
}

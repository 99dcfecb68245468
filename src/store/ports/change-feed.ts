// Changes of the store, whoever writes them. What a process keeps of it in memory (callers, rules) follows through here.

export interface ChangeListener {
  /** What could not be done when it fails, for the log. */
  readonly what: string;
  /** Reads again what depends on the store. */
  readonly run: () => Promise<void>;
}

/** Where a feed says that something begins to fail, once and not with every look, and that it is over. */
export interface FeedReport {
  readonly onFailure: (what: string, error: unknown) => void;
  readonly onRecovery: (what: string) => void;
}

/**
 * The guarantee: for every change that was committed before a look begins, each listener runs at least once from the beginning
 * after the change. A listener that fails has not run: every look calls it again until it succeeds, whether or not
 * anything else has changed. Listeners stand for themselves, so one that fails holds up no other. No two runs of one
 * listener overlap. A look that cannot find out whether anything has changed calls them all.
 * A listener may run although nothing has changed that concerns it.
 */
export interface ChangeFeed {
  /** Runs the listener, and from then on whenever it is due. Rejects where the first run fails: then it is not subscribed. */
  subscribe(listener: ChangeListener): Promise<() => void>;
  /** Looks for changes of other processes. Looks do not overlap. Never rejects. */
  look(): Promise<void>;
  /** This process has written, which a look by itself need not notice. Resolves when that was looked at. Never rejects. */
  announce(): Promise<void>;
}

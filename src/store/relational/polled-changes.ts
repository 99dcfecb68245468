// The change feed of a database with a figure that changes when another process has changed something (`Engine.version`). A
// look costs one read of the figure.
import type { ChangeFeed, ChangeListener, FeedReport } from '../ports/change-feed.ts';

interface Followed extends ChangeListener {
  /** The figure, and this process's change count, as of its last run; undefined: it must run. */
  version: number | string | undefined;
  changes: number;
  failure: string | undefined;
}

export class PolledChanges implements ChangeFeed {
  onAnnounce: (() => void) | undefined;
  readonly #version: () => Promise<number | string>;
  readonly #report: FeedReport;
  readonly #followed = new Set<Followed>();
  /** Changes made by this process, which the figure does not reflect. */
  #changes = 0;
  /** How often a look was requested. */
  #asked = 0;
  #looking: Promise<void> | undefined;
  #failure: string | undefined;

  constructor(version: () => Promise<number | string>, report: FeedReport) {
    this.#version = version;
    this.#report = report;
  }

  async subscribe(listener: ChangeListener): Promise<() => void> {
    // Read before the run begins: writes during the run change the figure and cause another run.
    const changes = this.#changes;
    const version = await this.#version();
    await listener.run();
    const followed = { ...listener, version, changes, failure: undefined };
    this.#followed.add(followed);
    return () => this.#followed.delete(followed);
  }

  announce(): Promise<void> {
    this.#changes++;
    this.onAnnounce?.();
    return this.look();
  }

  async isBlind(): Promise<boolean> {
    if (this.#failure !== undefined) return true;
    return this.#version().then(
      () => false,
      () => true,
    );
  }

  look(): Promise<void> {
    this.#asked++;
    this.#looking ??= this.#lookUntilDone();
    return this.#looking;
  }

  /** Looks again if a look was requested meanwhile, since its change may be newer than the figure that was read. */
  async #lookUntilDone(): Promise<void> {
    let asked: number;
    do {
      asked = this.#asked;
      await this.#lookOnce(this.#changes);
    } while (asked !== this.#asked);
    // In the same step as the comparison, so that no caller joins a look that is over.
    this.#looking = undefined;
  }

  async #lookOnce(changes: number): Promise<void> {
    let version: number | string | undefined;
    try {
      version = await this.#version();
      this.#failure = this.#tell('the version of the store could not be read', this.#failure, undefined);
    } catch (error) {
      this.#failure = this.#tell('the version of the store could not be read', this.#failure, error);
    }
    for (const followed of this.#followed) {
      const isDone = version !== undefined && followed.version === version && followed.changes === changes;
      if (isDone) continue;
      try {
        await followed.run();
        followed.failure = this.#tell(followed.what, followed.failure, undefined);
        followed.version = version;
        followed.changes = changes;
      } catch (error) {
        followed.failure = this.#tell(followed.what, followed.failure, error);
        followed.version = undefined;
      }
    }
  }

  /** Reports a new failure, or a recovery; returns the state to remember. */
  #tell(what: string, before: string | undefined, error: unknown): string | undefined {
    const now = error === undefined ? undefined : error instanceof Error ? error.message : 'unknown';
    if (now !== undefined && now !== before) this.#report.onFailure(what, error);
    if (now === undefined && before !== undefined) this.#report.onRecovery(what);
    return now;
  }
}
